# SPDX-License-Identifier: MIT
"""Sending: one record a call, on condition, or many by one call."""
from __future__ import annotations

import time
from array import array
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from .. import _ffi
from .._errors.store import ArgumentTypeError, ArgumentValueError, ClosedError
from . import handles, waiting
from .offset import PENDING as PENDING, Offset
from .records import as_bytes, header_rows, pack_headers

BytesLike = Union[bytes, bytearray, memoryview]
HeaderList = Sequence[Tuple[str, Optional[bytes]]]

ANY = -1
NOW = -1


_size, _NO_HEADERS, _NOW = _ffi.sizes, _ffi.NO_HEADERS, _ffi.NOW
_send_to = _ffi.sender(Offset)
_send = _ffi.declare_quick("producer_send")
_send_packed = _ffi.declare("producer_send_packed")
# How many topics a producer remembers.
_KNOWN_MAX = 10_000
# A kfl_packed_row: offset PENDING, timestamp NOW, partition ANY, and sizes.
_ROW = array("i", (-3, -1, -1, -1, -1, 0, 0, 0, 0, 0))


class Sent(Sequence[Offset]):
    """Where the records of one send_many() went, in their order."""

    def __init__(self, rows: "array[int]") -> None:
        self._rows = memoryview(rows)

    def __len__(self) -> int:
        return len(self._rows) // 10

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return list(self)[index]
        place = range(len(self))[index]
        wide = self._rows.cast("B").cast("q")
        return Offset(self._rows[place * 10 + 4], wide[place * 5])

    def __repr__(self) -> str:
        told = ", ".join(map(repr, self[:3]))
        return f"<Sent {told}{', ...' if len(self) > 3 else ''}>"

    def __iter__(self) -> Iterator[Offset]:
        wide = self._rows.cast("B").cast("q")
        return map(Offset, self._rows[4::10].tolist(), wide[0::5].tolist())


class Producer:
    """Appends records. Threads may share one."""

    close_rank = 1

    def __init__(self, store: Any, handle: _ffi.Handle, patience: float = 0.0) -> None:
        self._store = store
        self._patience = patience
        self._handle: Optional[_ffi.Handle] = handle
        self._topics: Dict[str, bytes] = {}
        self._to: Dict[str, Any] = {}
        self._spare: List[Tuple[Any, Any]] = []
        # Answers whether nobody wants the call any more that waits for room.
        self.unwanted: Callable[[], bool] = lambda: False
        handles.opened(self)

    def __enter__(self) -> "Producer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _closed(self) -> ClosedError:
        return ClosedError("the producer is closed")

    def send(
        self,
        topic: str,
        value: Optional[BytesLike] = None,
        key: Optional[BytesLike] = None,
        headers: Optional[HeaderList] = None,
        partition: Optional[int] = None,
        timestamp: Optional[int] = None,
    ) -> Offset:
        """Append one record; it is in the log when this returns, as safe as acks says.

        partition: a number, or by the key. timestamp: milliseconds since 1970 UTC, or now.
        """
        # Most records come this way, and every step counts; whatever is odd about one is found out below.
        if (
            type(value) is bytes
            and (type(key) is bytes or key is None)
            and headers is None
            and partition is None
            and timestamp is None
        ):
            try:
                to = self._to[topic]
            except KeyError:
                self._learn(topic)
            else:
                return _send_to(to, key, value) or self._send_anew(topic, value, key)
        return Offset(
            *self.send_at(
                topic,
                value,
                key,
                headers,
                ANY if partition is None else partition,
                NOW if timestamp is None else timestamp,
            )
        )

    def _send_anew(self, topic: str, value: bytes, key: Optional[bytes]) -> Offset:
        """send() whose short way has just failed."""
        late = self._given_up(_ffi.last_code())
        return Offset(*(late or self.send_at(topic, value, key, None, ANY, NOW)))

    def _learn(self, topic: str) -> None:
        """From now on send() knows where records of this topic go."""
        name, handle = self._topics.get(topic) or self._topic(topic), self._handle
        if handle is not None and _ffi.SIZE_BEFORE and len(self._to) < _KNOWN_MAX:
            self._to[topic] = _ffi.destination(handle, name)
        if self._handle is None:  # closed meanwhile: nothing may keep it open
            self._to.clear()

    def send_at(
        self,
        topic: str,
        value: Optional[BytesLike],
        key: Optional[BytesLike],
        headers: Optional[HeaderList],
        partition: int,
        timestamp: int,
    ) -> Tuple[int, Optional[int]]:
        """send() with all of it; answers partition and offset."""
        handle = self._handle
        if handle is None:
            raise self._closed()
        if type(value) is not bytes:
            value = as_bytes(value, "value")
        if type(key) is not bytes:
            key = as_bytes(key, "key")
        name = self._topics.get(topic) or self._topic(topic)
        if headers:
            return self._send_fully(handle, name, value, key, headers, partition, timestamp)
        # A place of its own for what each call tells: threads share a producer.
        spare = self._spare.pop() if self._spare else _ffi.cell()
        offset, out = spare
        result = _send(
            handle,
            name,
            _number(partition),
            key,
            _size[0 if key is None else len(key)],
            value,
            _size[0 if value is None else len(value)],
            None,
            _NO_HEADERS,
            _NOW if timestamp == NOW else _ffi.whole(_ffi.I64, timestamp),
            out,
        )
        if result < 0:
            return self._given_up(result) or self._send_fully(
                handle, name, value, key, headers, partition, timestamp
            )
        number = offset.value
        self._spare.append(spare)
        return result, None if number == PENDING else number

    def _topic(self, topic: str) -> bytes:
        if type(topic) is not str:
            raise ArgumentTypeError(f"a topic is a str, not {type(topic).__name__}")
        name = topic.encode()
        if b"\0" in name:
            raise ArgumentValueError("a topic name without zero bytes is needed")
        if len(self._topics) < _KNOWN_MAX:
            self._topics[topic] = name
        return name

    def _retry(self, result: int, until: Optional[float]) -> float:
        """Raises, unless the call gave up early so that signals are seen, and max.block.ms is not over.

        It waits for locks and for room before it appends anything. Answers until when to try.
        """
        error, now = _ffi.last_error(result), time.monotonic()
        if until is None:
            until = now + self._patience
        gave_up = result == waiting.INTERRUPTED or now < until and (
            result == waiting.BUSY or result == waiting.NO_SPACE and "for max.block.ms" in str(error)
        )
        if not gave_up or self.unwanted():
            raise error
        return until

    def _given_up(self, result: int) -> Optional[Tuple[int, int]]:
        """_retry() after the first call, unless that has appended the record and gave up waiting for its sync: then
        this waits for it, and answers where it is."""
        error = _ffi.last_error(result)
        if result != waiting.INTERRUPTED or error.offset is None:
            self._retry(result, None)
            return None
        assert error.topic is not None and error.partition is not None
        self._wait_durable(error.topic.encode(), error.partition, error.offset)
        return error.partition, error.offset

    def _wait_durable(self, name: bytes, partition: int, offset: int) -> None:
        handle, below = self._store.handle, offset + 1
        waiting.checked(
            lambda ms: _ffi.plain.topic_wait_durable(handle, name, partition, below, ms), -1
        )

    def _send_fully(
        self,
        handle: _ffi.Handle,
        name: bytes,
        value: Any,
        key: Any,
        headers: Optional[HeaderList],
        partition: int,
        timestamp: int,
        expected: Optional[int] = None,
    ) -> Tuple[int, Optional[int]]:
        rows = _ffi.headers_of(header_rows(headers)) if headers else None
        out, reference = _ffi.cell()
        arguments = [handle, name, _number(partition), key, len(key or b""), value, len(value or b"")]
        arguments += [rows, len(headers or ()), timestamp]
        if expected is not None:
            arguments.append(expected)
        call = _ffi.plain.producer_send if expected is None else _ffi.plain.producer_send_if
        until: Optional[float] = None
        while True:
            result = call(*arguments, reference)
            if result >= 0:
                return result, None if out.value == PENDING else out.value
            if until is None or result == waiting.INTERRUPTED:
                place = self._given_up(result)
                if place is not None:
                    return place
            until = self._retry(result, until)

    def send_if(
        self,
        topic: str,
        partition: int,
        expected_offset: int,
        value: Optional[BytesLike] = None,
        key: Optional[BytesLike] = None,
        headers: Optional[HeaderList] = None,
        timestamp: int = NOW,
    ) -> Offset:
        """Append only if the partition ends at expected_offset, in one step; else ConflictError,
        whose offset is where it ends."""
        if self._handle is None:
            raise self._closed()
        place = self._send_fully(
            self._handle,
            self._topic(topic),
            as_bytes(value, "value"),
            as_bytes(key, "key"),
            headers,
            partition,
            timestamp,
            expected_offset,
        )
        return Offset(*place)

    def send_many(
        self,
        topic: str,
        records: Iterable[Tuple[Any, ...]],
        partition: int = ANY,
        timestamp: int = NOW,
    ) -> Sent:
        """Append many by one call: (key, value) each, or (key, value, headers).

        Those of one partition become one batch, all or none of it.
        """
        handle = self._handle
        if handle is None:
            raise self._closed()
        rows, block = self._pack(records, partition, timestamp)
        name = self._topics.get(topic) or self._topic(topic)
        if rows:
            result = self._send_rows(handle, name, rows, block)
            if result < 0:
                raise _ffi.last_error(result)
        return Sent(rows)

    def _send_rows(
        self, handle: _ffi.Handle, name: bytes, rows: "array[int]", block: bytes
    ) -> int:
        """All of them, by as many calls as signals make of it. A negative answer, an error of the last call: some
        are appended, as the rows tell."""
        until: Optional[float] = None
        while True:
            result: int = _send_packed(
                handle, name, rows.buffer_info()[0], len(rows) // 10, block, len(block)
            )
            if result >= 0:
                return result
            if not _untouched(rows):
                return self._send_rest(handle, name, rows, block) if result == waiting.INTERRUPTED else result
            until = self._retry(result, until)

    def _send_rest(
        self, handle: _ffi.Handle, name: bytes, rows: "array[int]", block: bytes
    ) -> int:
        """The call gave up when it had appended a part, which perhaps is not durable yet."""
        wide = memoryview(rows).cast("B").cast("q")
        offsets = wide[0::5].tolist()
        partition = _ffi.last_error(waiting.INTERRUPTED).partition
        appended = [
            offset for offset, n in zip(offsets, rows[4::10]) if offset != PENDING and n == partition
        ]
        if partition is not None and appended:
            self._wait_durable(name, partition, max(appended))
        places = [place for place, offset in enumerate(offsets) if offset == PENDING]
        rest, parts, begin = array("i"), [], 0
        for place, offset in enumerate(offsets):
            row = rows[place * 10 : place * 10 + 10]
            end = begin + max(row[5], 0) + max(row[6], 0) + row[8]
            if offset == PENDING:
                rest += row
                parts.append(block[begin:end])
            begin = end
        result = self._send_rows(handle, name, rest, b"".join(parts)) if places else len(offsets)
        for n, place in enumerate(places):
            rows[place * 10 : place * 10 + 10] = rest[n * 10 : n * 10 + 10]
        return result

    def _pack(
        self, records: Iterable[Tuple[Any, ...]], partition: int, timestamp: int
    ) -> Tuple["array[int]", bytes]:
        every = records if isinstance(records, list) else list(records)
        if every and not isinstance(every[0], (tuple, list)):
            raise ArgumentTypeError(f"a record is (key, value), not {type(every[0]).__name__}")
        rows = _ROW * len(every)
        if not every:
            return rows, b""
        try:
            if set(map(len, every)) != {2}:
                return self._pack_fully(every, partition, timestamp)
            keys, values = zip(*every)
            rows[5::10] = _sizes(keys)
            rows[6::10] = _sizes(values)
            parts: List[Any] = [b""] * (2 * len(every))
            parts[0::2] = keys if None not in keys else [key or b"" for key in keys]
            parts[1::2] = values if None not in values else [value or b"" for value in values]
            block = b"".join(parts)
        except TypeError as error:
            raise ArgumentTypeError(f"records are (key, value) of bytes or None: {error}") from None
        if partition != ANY:
            rows[4::10] = array("i", [_number(partition).value]) * len(every)
        if timestamp != NOW:
            _put_timestamp(rows, timestamp)
        return rows, block

    def _pack_fully(
        self, records: Sequence[Tuple[Any, ...]], partition: int, timestamp: int
    ) -> Tuple["array[int]", bytes]:
        rows = _ROW * len(records)
        parts: List[bytes] = []
        partition = _number(partition).value
        for place, record in enumerate(records):
            key = as_bytes(record[0], "key")
            value = as_bytes(record[1], "value")
            headers = (record[2] if len(record) > 2 else None) or ()
            packed = pack_headers(headers)
            sizes = (-1 if key is None else len(key), -1 if value is None else len(value))
            rows[place * 10 + 4 : place * 10 + 9] = array(
                "i", (partition, *sizes, len(headers), len(packed))
            )
            parts += (key or b"", value or b"", packed)
        if timestamp != NOW:
            _put_timestamp(rows, timestamp)
        return rows, b"".join(parts)

    def send_entries(self, topic: str, entries: Sequence[Any]) -> List[Tuple[int, int]]:
        """Records with key, value, headers, partition and timestamp of their own, by one call.

        Answers (partition, offset) of each; the offset is PENDING where an error came in between.
        """
        handle = self._handle
        if handle is None:
            raise self._closed()
        rows = _ROW * len(entries)
        wide = memoryview(rows).cast("B").cast("q")
        parts: List[bytes] = []
        for place, entry in enumerate(entries):
            key, value, headers = entry.key, entry.value, entry.headers
            packed = pack_headers(headers) if headers else b""
            rows[place * 10 + 4] = _number(entry.partition).value
            rows[place * 10 + 5] = -1 if key is None else len(key)
            rows[place * 10 + 6] = -1 if value is None else len(value)
            rows[place * 10 + 7] = len(headers) if headers else 0
            rows[place * 10 + 8] = len(packed)
            wide[place * 5 + 1] = _ffi.whole(_ffi.I64, entry.timestamp).value
            parts += (key or b"", value or b"", packed)
        self._send_rows(handle, self._topic(topic), rows, b"".join(parts))
        return list(zip(rows[4::10], wide[0::5].tolist()))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Make everything sent so far as safe as acks says; append what lingers. Seconds."""
        handle = self._handle
        if handle is None:
            raise self._closed()
        waiting.checked(
            lambda ms: _ffi.plain.producer_flush(handle, ms), waiting.milliseconds(timeout)
        )

    def close(self) -> None:
        """Flush, then close. A second call does nothing."""
        self._to.clear()
        _ffi.close(self)


def _number(partition: Any) -> Any:
    """What equals an int is none yet: 0.0, True."""
    if type(partition) is not int:
        raise ArgumentTypeError(f"a partition is an int, not {type(partition).__name__}")
    return _ffi.partitions[partition]


def _sizes(values: Sequence[Any]) -> "array[int]":
    if None in values:
        return array("i", [-1 if value is None else len(value) for value in values])
    return array("i", map(len, values))


def _put_timestamp(rows: "array[int]", timestamp: int) -> None:
    timestamp = _ffi.whole(_ffi.I64, timestamp).value
    wide = memoryview(rows).cast("B").cast("q")
    for place in range(1, len(wide), 5):
        wide[place] = timestamp


def _untouched(rows: "array[int]") -> bool:
    """None of these rows was appended."""
    wide = memoryview(rows).cast("B").cast("q")
    return set(wide[0::5].tolist()) == {PENDING}
