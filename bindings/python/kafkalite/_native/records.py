# SPDX-License-Identifier: MIT
"""What a poll hands out: a batch, and its records.

A batch is copied from the log by one call, as columns and one block of bytes; keys and values are
cut out of it when somebody asks. With zero_copy they are views of the log itself instead, and the
log's files stay until the batch is released and the last view is gone.
"""
from __future__ import annotations

import struct
from functools import partial
from itertools import repeat
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from .. import _ffi
from .._errors.store import ArgumentTypeError, ArgumentValueError, ClosedError
from ..structs import TopicPartition

Bytes = Union[bytes, memoryview]
Headers = Tuple[Tuple[str, Optional[bytes]], ...]


class Record(NamedTuple):
    """One record. A missing key or value is None; timestamp is in milliseconds since 1970 UTC."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: Any
    value: Any
    headers: Headers = ()


_make_record: Any = partial(tuple.__new__, Record)
_header_head = struct.Struct("<Ii")


def as_bytes(value: Any, what: str) -> Optional[bytes]:
    """bytes, or None; other buffers are copied, and anything else is refused."""
    if value is None or type(value) is bytes:
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise ArgumentTypeError(f"a {what} is bytes or None, not {type(value).__name__}")


def unpack_headers(block: bytes) -> Headers:
    """Headers as the log has them: name size, value size, name, NUL, value."""
    headers = []
    place = 0
    while place < len(block):
        name_size, value_size = _header_head.unpack_from(block, place)
        place += _header_head.size
        name = block[place : place + name_size].decode("utf-8", "surrogateescape")
        place += name_size + 1
        value = None if value_size < 0 else block[place : place + value_size]
        place += max(value_size, 0)
        headers.append((name, value))
    return tuple(headers)


def header_rows(headers: Any) -> List[Tuple[bytes, Optional[bytes]]]:
    """(name, value) of each header, as the library takes them."""
    rows = []
    for header in headers:
        if not isinstance(header, (tuple, list)) or len(header) != 2 or not isinstance(header[0], str):
            raise ArgumentTypeError(f"a header is a pair of a str and bytes, not {header!r}")
        name = header[0].encode("utf-8", "surrogateescape")
        if b"\0" in name:
            raise ArgumentValueError("a header name without zero bytes is needed")
        rows.append((name, as_bytes(header[1], "header's value")))
    return rows


def pack_headers(headers: Sequence[Tuple[str, Optional[bytes]]]) -> bytes:
    parts = []
    for text, value in header_rows(headers):
        parts.append(_header_head.pack(len(text), -1 if value is None else len(value)))
        parts.append(text + b"\0")
        parts.append(value or b"")
    return b"".join(parts)


def _cut_even(block: bytes, key_size: int, value_size: int, count: int) -> Tuple[Any, Any]:
    """Keys and values that all have the same sizes are cut by one call."""
    missing = [None] * count
    if key_size <= 0 and value_size <= 0:
        empty = [b""] * count
        return (missing if key_size < 0 else empty), (missing if value_size < 0 else empty)
    pieces = f"{key_size}s" if key_size >= 0 else ""
    pieces += f"{value_size}s" if value_size >= 0 else ""
    rows = struct.iter_unpack(pieces, block)
    if key_size < 0:
        return missing, [row[0] for row in rows]
    if value_size < 0:
        return [row[0] for row in rows], missing
    keys, values = zip(*rows)
    return keys, values


def _cut(
    block: bytes, key_sizes: List[int], value_sizes: List[int], headers_sizes: List[int]
) -> Tuple[Any, Any, Any]:
    count = len(key_sizes)
    key_size, value_size = key_sizes[0], value_sizes[0]
    plain = not any(headers_sizes)
    if plain and key_sizes.count(key_size) == count and value_sizes.count(value_size) == count:
        return (*_cut_even(block, key_size, value_size, count), repeat(()))
    keys: List[Optional[bytes]] = []
    values: List[Optional[bytes]] = []
    headers: List[Headers] = []
    place = 0
    for key_size, value_size, headers_size in zip(key_sizes, value_sizes, headers_sizes):
        if key_size >= 0:
            keys.append(block[place : place + key_size])
            place += key_size
        else:
            keys.append(None)
        if value_size >= 0:
            values.append(block[place : place + value_size])
            place += value_size
        else:
            values.append(None)
        if not plain:
            headers.append(unpack_headers(block[place : place + headers_size]))
            place += headers_size
    return keys, values, repeat(()) if plain else headers


class Batch:
    """The records of one poll, in the order of their offsets within each partition.

    It is a sequence of Record; whole columns come cheaper: keys(), values(), tuples(), offsets().
    """

    def __init__(self, handle: _ffi.Handle, count: int, committer: Any, zero_copy: bool) -> None:
        self._committer = committer
        self._views: Optional[List[memoryview]] = None
        self._handle: Optional[_ffi.Handle] = None
        self._records: Optional[List[Record]] = None
        self._cut: Optional[Tuple[Any, Any, Any]] = None
        self._types: List[int] = []
        self._sizes: Tuple[List[int], List[int], List[int]] = ([], [], [])
        self._topics: List[str]
        self._partitions: List[int]
        self._offsets: List[int]
        self._timestamps: List[int]
        self._released = False
        self._count = count
        if zero_copy:
            self._handle = handle
            self._views = []
            self._block = b""
            self._topics, self._partitions, self._offsets, self._timestamps = _ffi.places(
                handle, count
            )
            return
        rows, self._block = _ffi.packed(handle, count)
        self._types = _ffi.timestamp_types(handle, count)
        narrow = memoryview(rows).cast("i")
        wide = memoryview(rows).cast("q")
        self._offsets = wide[0::5].tolist()
        self._timestamps = wide[1::5].tolist()
        self._partitions = narrow[4::10].tolist()
        self._sizes = (
            narrow[5::10].tolist(),
            narrow[6::10].tolist(),
            narrow[8::10].tolist(),
        )
        topics: List[int] = narrow[9::10].tolist()
        names = [_ffi.lib.records_topic(handle, n).decode() for n in range(max(topics) + 1)]
        self._topics = names * count if len(names) == 1 else [names[n] for n in topics]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records())

    def __getitem__(self, index: Any) -> Any:
        return self.records()[index]

    def __repr__(self) -> str:
        return f"<Batch of {self._count} records>"

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _columns(self) -> Tuple[Any, Any, Any]:
        if self._released:
            raise ClosedError("the batch is released")
        if self._cut is None:
            if self._handle is not None:
                self._cut = self._cut_views(self._handle)
            else:
                self._cut = _cut(self._block, *self._sizes)
                self._block = b""
        return self._cut

    def _cut_views(self, handle: _ffi.Handle) -> Tuple[Any, Any, Any]:
        memory, rows = _ffi.memory_of(handle), _ffi.record_rows(handle, self._count)
        views: List[memoryview] = []

        def view(address: int, size: int) -> Optional[memoryview]:
            if address == 0:
                return None
            views.append(memory[address : address + size])
            return views[-1]

        keys = [view(key, size) for key, size, _, _, _, _ in rows]
        values = [view(value, size) for _, _, value, size, _, _ in rows]
        headers = [
            unpack_headers(bytes(memory[place : place + size])) if place else ()
            for _, _, _, _, place, size in rows
        ]
        self._views = views
        return keys, values, headers

    def records(self) -> List[Record]:
        """All of them; made once."""
        if self._records is None or self._released:
            self._records = list(map(_make_record, zip(*self.columns())))
        return self._records

    def columns(self) -> Tuple[Any, ...]:
        """Topics, partitions, offsets, timestamps, keys, values and headers, to be zipped."""
        return (
            self._topics,
            self._partitions,
            self._offsets,
            self._timestamps,
            *self._columns(),
        )

    def sizes(self) -> Tuple[List[int], List[int]]:
        """Of keys and of values in the log; -1 for missing ones."""
        return self._sizes[0], self._sizes[1]

    def timestamp_types(self) -> List[int]:
        """0 for a time that the producer gave, 1 for that of the append."""
        return self._types

    def tuples(self) -> List[Tuple[int, int, Any, Any]]:
        """(offset, timestamp, key, value) of each."""
        keys, values, _ = self._columns()
        return list(zip(self._offsets, self._timestamps, keys, values))

    def keys(self) -> List[Any]:
        """Of each record, as bytes, a view, or None."""
        return list(self._columns()[0])

    def values(self) -> List[Any]:
        """The same."""
        return list(self._columns()[1])

    def offsets(self) -> List[int]:
        """Of each record."""
        return list(self._offsets)

    def timestamps(self) -> List[int]:
        """Of each record, in milliseconds since 1970 UTC."""
        return list(self._timestamps)

    def partitions(self) -> List[TopicPartition]:
        """The partition of each record."""
        return [TopicPartition(*place) for place in zip(self._topics, self._partitions)]

    def next_offsets(self) -> Dict[TopicPartition, int]:
        """What lies behind the last record of each partition: what commit() commits."""
        places = zip(self._topics, self._partitions)
        last = dict(zip(places, self._offsets))
        return {TopicPartition(*place): offset + 1 for place, offset in last.items()}

    def first_offsets(self) -> Dict[TopicPartition, int]:
        """The first record of each partition."""
        first: Dict[TopicPartition, int] = {}
        for topic, partition, offset in zip(self._topics, self._partitions, self._offsets):
            first.setdefault(TopicPartition(topic, partition), offset)
        return first

    def commit(self) -> None:
        """Commit everything up to and with this batch, for the consumer's group."""
        self._committer.commit(self)

    def release(self) -> None:
        """Let go of the log. Keys and values handed out as views then refuse to be read.

        What derives from such a view (a slice of it, say) stays whole, and keeps the log's file
        until it is gone. Without zero_copy nothing is held, and nothing happens.
        """
        if self._views is None or self._released:
            return
        self._released = True
        for view in self._views:
            view.release()
        self._handle = self._cut = self._records = None
        self._views = []
