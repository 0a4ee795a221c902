# SPDX-License-Identifier: MIT
"""A topic by name: its partitions, properties, offsets and records."""
from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .. import _ffi
from .._errors.broker import InvalidTopicError
from .._errors.store import ArgumentTypeError
from ..structs import OffsetAndTimestamp, TopicPartition
from . import times, waiting
from .config import config_of, property_names
from .records import Record, as_bytes


class Segment(NamedTuple):
    """One file of a partition; base_offset and max_timestamp are None when it has no record."""

    segment_id: int
    base_offset: Optional[int]
    end_offset: int
    used_bytes: int
    size_bytes: int
    max_timestamp: Optional[int]
    state: str
    path: str


class Progress(NamedTuple):
    """What compact() or retain() did, added up over all calls of a round over the topic.

    more: is there more to be done? deleted_…: by retention; compacted_segments: were replaced by fewer or smaller ones.
    partition, read_bytes, total_bytes: where it stands, None and 0 when it is done.
    """

    more: bool
    deleted_segments: int
    deleted_bytes: int
    compacted_segments: int
    written_bytes: int
    freed_bytes: int
    kept_records: int
    removed_records: int
    kept_tombstones: int
    removed_tombstones: int
    read_bytes: int
    total_bytes: int
    partition: Optional[int]
    partitions_left: int


def _progress(more: int, row: Tuple[Any, ...]) -> Progress:
    done = Progress._make((more > 0, *row))
    return done._replace(partition=None) if row[-2] < 0 else done


# Compaction is done in pieces; whoever is no longer waited for ends with the one that it is in.
_PIECE = 0.1
# Of kfl_topic_compact().
_FORCE, _ROLL, _DRY_RUN = 1, 2, 4
_STATES = {0: "sealed", 1: "active", 2: "prepared"}


def encoded(name: Any) -> bytes:
    if not isinstance(name, str):
        raise InvalidTopicError(f"a topic is a str, not {type(name).__name__}")
    return name.encode("utf-8", "surrogateescape").replace(b"\0", b"\\0")


class Topic:
    """A name in a store: making one of these looks nothing up and makes nothing."""

    def __init__(self, store: Any, name: str) -> None:
        self._store = store
        self.name = name
        self._name = encoded(name)

    def __repr__(self) -> str:
        return f"<Topic {self.name!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topic) and (self._store, self.name) == (other._store, other.name)

    def __hash__(self) -> int:
        return hash((id(self._store), self.name))

    @property
    def partitions(self) -> int:
        """How many there are."""
        return int(_ffi.lib.topic_partition_count(self._store.handle, self._name))

    @property
    def exists(self) -> bool:
        return self.name in self._store.topic_names()

    def add_partitions(self, count: int) -> None:
        """Grow to `count` in all; records stay where they are."""
        _ffi.lib.topic_add_partitions(self._store.handle, self._name, count)

    def delete(self) -> None:
        """With its records and every group's offsets for it."""
        _ffi.lib.topic_delete(self._store.handle, self._name)

    @property
    def config(self) -> Dict[str, str]:
        """All properties as they are in force."""
        handle = _ffi.new(
            _ffi.ConfigHandle, _ffi.lib.topic_config, self._store.handle, self._name
        )
        return {
            name: _ffi.lib.config_get(handle, name.encode()).decode()
            for name in property_names("topic")
        }

    def config_set(self) -> Dict[str, bool]:
        """Which properties were set, by name; the others have their default."""
        handle = _ffi.new(
            _ffi.ConfigHandle, _ffi.lib.topic_config, self._store.handle, self._name
        )
        return {
            name: bool(_ffi.lib.config_is_set(handle, name.encode()))
            for name in property_names("topic")
        }

    def alter(self, config: Optional[Dict[str, Any]] = None, **properties: Any) -> None:
        """Set these properties; None puts a default back. Others stay."""
        every = dict(config or {})
        every.update({name.replace("_", "."): value for name, value in properties.items()})
        _ffi.lib.topic_alter(self._store.handle, self._name, config_of(every))

    def start_offset(self, partition: int = 0) -> int:
        """The first offset kept."""
        return self._offset(_ffi.lib.topic_start_offset, partition)

    def end_offset(self, partition: int = 0) -> int:
        """The next offset to be given."""
        return self._offset(_ffi.lib.topic_end_offset, partition)

    def durable_offset(self, partition: int = 0) -> int:
        """Everything below survives a power cut."""
        return self._offset(_ffi.lib.topic_durable_offset, partition)

    def _offset(self, function: Any, partition: int, *arguments: Any) -> int:
        return _ffi.number(function, self._store.handle, self._name, partition, *arguments)

    def offset_for_time(self, timestamp: int, partition: int = 0) -> Optional[OffsetAndTimestamp]:
        """The first record of that time (milliseconds) or later, or None."""
        found = _ffi.two_numbers(
            _ffi.lib.topic_offset_for_time, self._store.handle, self._name, partition, timestamp
        )
        return None if found is None else OffsetAndTimestamp(*found)

    def lag(self, offset: int, partition: int = 0) -> Tuple[int, int]:
        """How far a reader that goes on at the offset is behind: (records, milliseconds)."""
        behind = _ffi.two_numbers(
            _ffi.lib.topic_lag, self._store.handle, self._name, partition, offset
        )
        return behind or (0, 0)

    def max_timestamp(self, partition: int = 0) -> Optional[OffsetAndTimestamp]:
        """The record with the largest time, or None when there are no records."""
        found = _ffi.two_numbers(
            _ffi.lib.topic_max_timestamp, self._store.handle, self._name, partition
        )
        return None if found is None else OffsetAndTimestamp(*found)

    def wait_durable(
        self, partition: int = 0, offset: Optional[int] = None, timeout: Optional[float] = None
    ) -> None:
        """Until all below offset survives a power cut; None: all that is there now. Seconds."""
        handle, below = self._store.handle, times.END if offset is None else offset
        waiting.checked(
            lambda ms: _ffi.plain.topic_wait_durable(handle, self._name, partition, below, ms),
            waiting.milliseconds(timeout),
        )

    def delete_records(self, partition: int = 0, before: Optional[int] = None) -> int:
        """Delete what lies below an offset; None: all that is there. Answers the new start."""
        below = times.END if before is None else before
        return self._offset(_ffi.lib.topic_delete_records, partition, below)

    def compact(
        self,
        force: bool = False,
        roll: bool = False,
        dry_run: bool = False,
        budget: Optional[float] = None,
    ) -> Progress:
        """Compact now, as the background would if it is due: for each key the newest record stays, with its offset.

        force: whatever min.cleanable.dirty.ratio says. roll: the file that takes appends takes part, too, and another one
        takes them. dry_run: count, change nothing. budget: stop after about so many seconds; None: when it is done.
        Another call with the same arguments goes on where one has stopped, also where Ctrl-C has stopped it.
        """
        handle, name = self._store.handle, self._name
        flags = _FORCE * bool(force) | _ROLL * bool(roll) | _DRY_RUN * bool(dry_run)
        until = None if budget is None else time.monotonic() + waiting.milliseconds(budget) / 1000
        left: List[bool] = []

        def run() -> Progress:
            while True:
                piece = _PIECE if until is None else max(0.0, min(_PIECE, until - time.monotonic()))
                done = _progress(*_ffi.progress(_ffi.lib.topic_compact, handle, name, flags, waiting.milliseconds(piece)))
                if not done.more or left or (until is not None and time.monotonic() >= until):
                    return done

        try:
            return _ffi.aside(run)
        except BaseException:
            left.append(True)
            raise

    def retain(self) -> Progress:
        """Delete now what retention lets go. Ctrl-C leaves it to itself."""
        handle, name = self._store.handle, self._name
        return _progress(*_ffi.aside(lambda: _ffi.progress(_ffi.lib.topic_retain, handle, name)))

    def forget(self, key: bytes) -> int:
        """Take every record of a key out of a compacted topic, whatever its age; answers how many there were.

        A tombstone is appended for those who keep a table, and goes as well. When this has returned no file of the store has
        a record of the key that was there before. Ctrl-C leaves it to itself: it is done then, only later.
        """
        data = as_bytes(key, "key")
        if data is None:
            raise ArgumentTypeError("a key is bytes, not None")
        handle, name, size = self._store.handle, self._name, len(data)
        return _ffi.aside(lambda: _ffi.number(_ffi.lib.topic_forget, handle, name, data, size))

    def segments(self, partition: int = 0) -> List[Segment]:
        """Its files, oldest first."""
        handle = _ffi.new(
            _ffi.SegmentsHandle,
            _ffi.lib.segments_list,
            self._store.handle,
            self._name,
            partition,
        )
        rows = _ffi.rows_of(handle, "segments", "kfl_segment")
        return [
            Segment(
                row[0],
                None if row[1] < 0 else row[1],
                row[2],
                row[3],
                row[4],
                None if row[5] < 0 else row[5],
                _STATES.get(row[6], str(row[6])),
                row[8],
            )
            for row in rows
        ]

    def place(self, partition: int, start: times.Start) -> int:
        """The offset that a start means now."""
        parsed = times.parse(start)
        if isinstance(parsed, times.Moment):
            found = self.offset_for_time(parsed, partition)
            return self.end_offset(partition) if found is None else found.offset
        if parsed == times.BEGINNING:
            return self.start_offset(partition)
        return self.end_offset(partition) if parsed == times.END else parsed

    def read(
        self,
        partition: Optional[int] = None,
        start: times.Start = "earliest",
        stop: times.Start = "now",
        max_records: int = 0,
    ) -> Iterator[Record]:
        """Records without a group: of one partition, or of all, from start up to stop.

        Both are an offset, "earliest", "latest", a datetime or how long ago ("-1h"). What is
        appended meanwhile is not read. Each partition is in order; partitions come mixed.
        """
        numbers = range(self.partitions) if partition is None else [partition]
        begin: Dict[Tuple[str, int], int] = {}
        stops: Dict[int, int] = {}
        for number in numbers:
            first = max(self.place(number, start), self.start_offset(number))
            last = min(self.place(number, stop), self.end_offset(number))
            if first < last:
                begin[TopicPartition(self.name, number)] = first
                stops[number] = last
        return self._read(begin, stops, max_records)

    def latest(self, key: bytes, partition: Optional[int] = None) -> Optional[Record]:
        """The newest record of a key, or None; a deletion is a record without a value.

        It is looked for from the end backwards, in the partition where the default partitioner puts the key: that
        takes as long as it lies far back. For many keys use Store.table().
        """
        from ..partitioner.default import murmur2  # seldom needed, and it brings others along

        data = as_bytes(key, "key")
        if data is None:
            raise ArgumentTypeError("a key is bytes, not None")
        if partition is None:
            partition = (murmur2(data) & 0x7FFFFFFF) % self.partitions
        begin, stop, size = self.start_offset(partition), self.end_offset(partition), 256
        while stop > begin:
            first = max(begin, stop - size)
            found = None
            for record in self.read(partition, first, stop):
                if record.key == data:
                    found = record
            if found is not None:
                return found
            stop, size = first, min(size * 4, 65536)
        return None

    def _read(
        self, begin: Dict[Tuple[str, int], int], stops: Dict[int, int], max_records: int
    ) -> Iterator[Record]:
        if not begin:
            return
        with self._store.consumer() as consumer:
            consumer.assign(begin)
            while stops:
                batch = consumer.poll(timeout=0, max_records=max_records)
                if batch is None:
                    return  # the end may lie beyond the last record, after a power cut
                for record in batch:
                    if record.offset < stops.get(record.partition, 0):
                        yield record
                for number in list(stops):
                    if consumer.position(TopicPartition(self.name, number)) >= stops[number]:
                        del stops[number]
                        consumer.pause(TopicPartition(self.name, number))
