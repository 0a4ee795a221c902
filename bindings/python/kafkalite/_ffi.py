# SPDX-License-Identifier: MIT
"""What crosses the border to the library: handles, numbers, rows, memory. With _abi.py, _load.py and _calls.py, which it
speaks for, it alone knows ctypes.

Out-parameters are filled through new(), number() and their like, so that no other file handles a pointer.

A handle is a pointer that closes itself when the last one who holds it lets go. A call holds its
arguments until it returns, so a handle that one thread closes stays alive for the call that another
thread is still in.
"""
from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Type, TypeVar

from ._abi import I32, I64 as I64, SIZE, STRUCTURES as STRUCTURES, Header, PartitionOffset
from ._calls import (
    INTERRUPTED as INTERRUPTED,
    aside as aside,
    declare as declare,
    declare_quick as declare_quick,
    error_of as error_of,
    last_code as last_code,
    last_error as last_error,
    lib as lib,
    plain as plain,
    whole as whole,
)
from ._errors.base import KafkaError
from ._errors.store import ArgumentTypeError

FORKED = -1017


class _Encoded(I64):
    """The outcome of kfl_producer_send_to(), as the library tells it: ctypes makes it, and no more is done
    until somebody looks."""

    __slots__ = ()
    UNTOLD = (1 << 46) - 1


Encoded: Any = _Encoded


def sender(kind: Any) -> Any:
    """kfl_producer_send_to() with its result as this kind of Encoded; false when it failed."""
    function = declare_quick("producer_send_to")
    function.restype = kind
    return function


def _size_before() -> int:
    """How far in front of its bytes an object of them has its size, as CPython lays it out: behind the object's head,
    and before the hash. 0 when it has not: then nothing goes by destination()."""
    if sys.implementation.name != "cpython":
        return 0
    before = bytes.__basicsize__ - 1 - object.__basicsize__
    for sample in (b"", b"kafkalite", bytes(70_000)):
        place = ctypes.cast(ctypes.c_char_p(sample), ctypes.c_void_p).value or 0
        if place != id(sample) + bytes.__basicsize__ - 1 or SIZE.from_address(place - before).value != len(sample):
            return 0
    return before


SIZE_BEFORE = _size_before()


def destination(producer: "Handle", topic: bytes) -> Any:
    """What sender()'s first argument is for records of a topic, whose keys and values must be bytes or None; it keeps
    the producer open."""
    to = STRUCTURES["kfl_destination"](producer.value, topic, -1, -1, 0, 0, SIZE_BEFORE)
    to.kept = producer
    return ctypes.byref(to)


class _Sizes(Dict[int, SIZE]):
    """size_t by number, made once as long as they are not too many."""

    def __missing__(self, number: int) -> SIZE:
        value = SIZE(number)
        if len(self) < 4096:
            self[number] = value
        return value


class _Partitions(Dict[int, ctypes.c_int32]):
    """The same for partitions; what cannot be one is refused here."""

    def __missing__(self, number: int) -> ctypes.c_int32:
        value: ctypes.c_int32 = whole(I32, number)
        if len(self) < 4096:
            self[number] = value
        return value


sizes = _Sizes()
partitions = _Partitions()
NO_HEADERS = SIZE(0)
NOW = I64(-1)


class Handle(ctypes.c_void_p):
    """A pointer that closes itself when nobody holds it any more.

    closed, when somebody has put a list there, gets the error that the close met, if any. waits: its close may have
    to wait for others, and is not made again.
    """

    closer: Callable[[ctypes.c_void_p], Optional[int]]
    closed: Optional[List[KafkaError]] = None
    waits = False
    _ends = staticmethod(sys.is_finalizing)

    def finish(self) -> None:
        if self.value:
            # Taken first: a signal's handler may raise an error behind the call, and once more would be once too often.
            taken, self.value = ctypes.c_void_p(self.value), None
            if self.waits and not self._ends():  # a thread that begins then never runs
                aside(lambda: self._close(taken))
            else:
                self._close(taken)

    def _close(self, taken: ctypes.c_void_p) -> None:
        result = self.closer(taken)
        if result is not None and result < 0 and self.closed is not None:
            self.closed.append(last_error(result))

    __del__ = finish

    def __reduce_ex__(self, protocol: Any) -> Any:
        """ctypes would copy the pointer, and each copy would close it."""
        raise ArgumentTypeError(
            "what is open can neither be copied nor be sent to another process: open the store anew there"
        )


def _handle(name: str, close: str) -> Type[Handle]:
    function = declare(close)
    # Bound to the class and looked up nowhere else: it runs while an interpreter ends, too.
    return type(name, (Handle,), {"closer": staticmethod(function)})


StoreHandle = _handle("StoreHandle", "store_close")
StoreHandle.waits = True
ProducerHandle = _handle("ProducerHandle", "producer_close")
ConsumerHandle = _handle("ConsumerHandle", "consumer_close")
ConfigHandle = _handle("ConfigHandle", "config_destroy")
RecordsHandle = _handle("RecordsHandle", "records_release")
EventHandle = _handle("EventHandle", "event_release")
NamesHandle = _handle("NamesHandle", "names_release")
OffsetsHandle = _handle("OffsetsHandle", "offsets_release")
SegmentsHandle = _handle("SegmentsHandle", "segments_release")
FindingsHandle = _handle("FindingsHandle", "findings_release")
HistoryHandle = _handle("HistoryHandle", "history_release")
GroupHandle = _handle("GroupHandle", "group_release")
StatsHandle = _handle("StatsHandle", "stats_close")

H = TypeVar("H", bound=Handle)


def new(kind: Type[H], function: Any, *arguments: Any) -> H:
    """What a function hands out through its last parameter, a pointer to a handle."""
    handle = kind()
    function(*arguments, ctypes.byref(handle))
    return handle


def number(function: Any, *arguments: Any) -> int:
    """What a function hands out through its last parameter, an int64_t."""
    out = I64()
    function(*arguments, ctypes.byref(out))
    return out.value


def progress(function: Any, *arguments: Any) -> Tuple[int, Tuple[Any, ...]]:
    """The result, and what a function has done, which it tells through its last parameter, a pointer to a kfl_progress."""
    out = STRUCTURES["kfl_progress"]()
    result: int = function(*arguments, ctypes.byref(out))
    return result, fields(type(out), ctypes.addressof(out))[:-1]


def two_numbers(function: Any, *arguments: Any) -> Optional[Tuple[int, int]]:
    """The same for two, from a function that answers 0 when there is nothing."""
    first, second = I64(), I64()
    if function(*arguments, ctypes.byref(first), ctypes.byref(second)) == 0:
        return None
    return first.value, second.value


def cell() -> Tuple[I64, Any]:
    """An int64_t for many calls, and the argument that makes a function write it."""
    value = I64()
    return value, ctypes.byref(value)


def reference(handle: Handle) -> Any:
    return ctypes.byref(handle)


def fields(kind: Type[ctypes.Structure], address: int) -> Tuple[Any, ...]:
    """The fields of a structure of the library, copied; text as str."""
    row = kind.from_address(address)
    values = (getattr(row, name) for name, *_ in kind._fields_)
    return tuple(v.decode(errors="surrogateescape") if isinstance(v, bytes) else v for v in values)


def headers_of(headers: Sequence[Tuple[bytes, Optional[bytes]]]) -> Any:
    """An array of kfl_header, which keeps the bytes that it points to."""
    rows: Any = [(name, value, 0 if value is None else len(value)) for name, value in headers]
    return (Header * len(headers))(*rows)


def offsets_array(places: Sequence[Tuple[str, int, int, Optional[bytes]]]) -> Any:
    """An array of kfl_partition_offset from (topic, partition, offset, metadata)."""
    array: Any = (PartitionOffset * len(places))()
    kept = []
    for row, (topic, partition, offset, metadata) in zip(array, places):
        row.topic = topic.encode()
        row.partition = whole(I32, partition)
        row.offset = whole(I64, offset)
        if metadata is not None:
            block = ctypes.create_string_buffer(metadata, max(len(metadata), 1))
            kept.append(block)
            row.metadata = ctypes.addressof(block)
            row.metadata_size = len(metadata)
    array.kept = kept
    return array


def offsets_of(handle: Any) -> List[Tuple[str, int, int, Optional[bytes]]]:
    """(topic, partition, offset, metadata) of each row that the library lists."""
    rows = []
    for index in range(lib.offsets_count(handle)):
        row = PartitionOffset.from_address(lib.offsets_get(handle, index))
        metadata = ctypes.string_at(row.metadata, row.metadata_size) if row.metadata else None
        rows.append((row.topic.decode(), row.partition, row.offset, metadata))
    return rows


# All memory that this process can see. Slices of it are copies (bytes) or views of what lies there.
_Memory = ctypes.c_char * (1 << 62)


def view_of(address: int, size: int, owner: Any = None) -> memoryview:
    """A read-only view of memory; owner stays as long as any view that derives from it."""
    memory = _Memory.from_address(0)
    memory.owner = owner  # type: ignore[attr-defined]
    return memoryview(memory)[address : address + size].cast("B").toreadonly()


def memory_of(owner: Any) -> memoryview:
    """A view of everything, to cut views from that keep owner alive."""
    memory = _Memory.from_address(0)
    memory.owner = owner  # type: ignore[attr-defined]
    return memoryview(memory).cast("B").toreadonly()


_pack = declare("records_pack")


def _checked(result: int) -> None:
    if result < 0:
        raise last_error(result)


def packed(records: Handle, count: int) -> Tuple[bytes, bytes]:
    """The rows of kfl_packed_row and their bytes.

    The library fills both before anybody else sees them; not below two bytes, since Python shares
    objects that short.
    """
    size = SIZE()
    out_size = ctypes.byref(size)
    _checked(_pack(records, None, None, 0, out_size))
    rows = bytes(40 * count)
    block = bytes(max(size.value, 16))
    _checked(_pack(records, rows, block, len(block), out_size))
    return rows, block if len(block) == size.value else block[: size.value]


def _record_words(records: Handle, count: int, kind: str) -> Tuple[memoryview, int]:
    """The rows of kfl_record as numbers of one kind, and how many of them a row is."""
    stride = lib.records_stride(records)
    words = view_of(lib.records_get(records, 0), count * stride).cast(kind)
    return words, stride // words.itemsize


def places(records: Handle, count: int) -> Tuple[List[str], List[int], List[int], List[int]]:
    """Topics, partitions, offsets and timestamps."""
    wide, stride = _record_words(records, count, "Q")
    addresses = wide[0::stride].tolist()
    names = {address: ctypes.string_at(address).decode() for address in set(addresses)}
    narrow, half = _record_words(records, count, "i")
    signed, _ = _record_words(records, count, "q")
    return (
        [names[address] for address in addresses],
        narrow[2::half].tolist(),
        signed[2::stride].tolist(),
        signed[3::stride].tolist(),
    )


def record_rows(records: Handle, count: int) -> List[Tuple[int, int, int, int, int, int]]:
    """(key, size, value, size, headers, size) of each record: where they lie, 0 when missing."""
    words, stride = _record_words(records, count, "Q")
    columns = [words[n::stride].tolist() for n in range(4, 10)]
    return list(zip(*columns))  # type: ignore[arg-type]


def timestamp_types(records: Handle, count: int) -> List[int]:
    """0 for the producer's time, 1 for that of the append."""
    words, stride = _record_words(records, count, "i")
    return words[3::stride].tolist()


def names_of(handle: Any) -> List[str]:
    return [lib.names_get(handle, n).decode() for n in range(lib.names_count(handle))]


def _in_use(handle: Handle, owner: Any) -> bool:
    """Is any thread in a call with it? The traceback of an error that somebody keeps holds it too, but uses it no more."""
    for thread_frame in sys._current_frames().values():
        frame: Any = thread_frame
        while frame is not None:
            if frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_code.co_name not in _CLOSING:
                for value in frame.f_locals.values():
                    if value is handle or value is owner:
                        return True
                    if type(value) is tuple and any(item is handle for item in value):
                        return True
            frame = frame.f_back
    return False


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
# Of what one variable holds, as it is counted by who asks.
_REFERENCES = 2
_CLOSING = frozenset(("close", "_in_use", "close_at_exit", "__exit__", "__del__"))


def close(owner: Any) -> None:
    """Let go of owner._handle, and raise what the close met.

    A call of another thread that is still in it keeps it open until it returns. What a child has
    from before fork() is its parent's: there is nothing to be closed.
    """
    met: List[KafkaError] = []
    handle, owner._handle = owner._handle, None
    if handle is not None:
        handle.closed = met
        # Not left to its __del__, from which the error of a signal's handler would be lost.
        if sys.getrefcount(handle) <= _REFERENCES or not _in_use(handle, owner):
            handle.finish()
    if met and met[0].code != FORKED:
        raise met[0]


def rows_of(handle: Handle, noun: str, struct: str) -> List[Tuple[Any, ...]]:
    """All rows of a list of the library: kfl_<noun>_count() and kfl_<noun>_get()."""
    get, kind = getattr(lib, noun + "_get"), STRUCTURES[struct]
    count = getattr(lib, noun + "_count")(handle)
    return [fields(kind, get(handle, index)) for index in range(count)]


def stats_of(handle: Handle) -> Iterator[Tuple[str, str, int, int]]:
    """(name, topic, partition, value) of each."""
    name, topic, partition, value = ctypes.c_char_p(), ctypes.c_char_p(), ctypes.c_int32(), I64()
    out = [ctypes.byref(cell) for cell in (name, topic, partition, value)]
    while lib.stats_next(handle, *out):
        yield (name.value or b"").decode(), (topic.value or b"").decode(), partition.value, value.value


def strings(texts: Sequence[bytes]) -> Any:
    return (ctypes.c_char_p * len(texts))(*texts)


def members_array(rows: Sequence[Tuple[str, str, int]]) -> Any:
    """An array of kfl_member_partition from (member, topic, partition)."""
    kind = STRUCTURES["kfl_member_partition"]
    values: Any = [(member.encode(), topic.encode(), n, 0) for member, topic, n in rows]
    return (kind * len(rows))(*values)


def member_of(consumer: Handle) -> Tuple[str, int]:
    member, generation = ctypes.c_char_p(), ctypes.c_int32()
    lib.consumer_member(consumer, ctypes.byref(member), ctypes.byref(generation))
    return (member.value or b"").decode(), generation.value
