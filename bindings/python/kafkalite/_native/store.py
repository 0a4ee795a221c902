# SPDX-License-Identifier: MIT
"""A store: one directory that holds topics."""
from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Union

from .. import _ffi
from .._errors.store import ArgumentValueError, ClosedError
from .._errors.broker import TopicAlreadyExistsError
from . import handles, waiting
from .config import Properties, config_of, merged
from .consumer import Consumer
from .group import Group, Groups
from .producer import Producer
from .table import Change, Table
from .topic import Topic, encoded

PathLike = Union[str, "os.PathLike[str]"]


class Finding(NamedTuple):
    """Something that verify() found; offsets, place and path are those concerned, or None."""

    kind: str
    topic: str
    partition: Optional[int]
    offset: Optional[int]
    end_offset: Optional[int]
    place: int
    path: str
    text: str


class Verified(NamedTuple):
    """What verify() read and what it found: true when all is well."""

    findings: List[Finding]
    checked_records: int
    checked_bytes: int

    def __bool__(self) -> bool:
        return not self.findings


class HistoryEntry(NamedTuple):
    """Who opened or closed the store, or what recovery did; time in milliseconds since 1970."""

    time: int
    process_id: int
    kind: str
    partition: Optional[int]
    topic: str
    program: str
    text: str


class Stat(NamedTuple):
    """A number; topic is "" and partition None where it belongs to the store."""

    name: str
    topic: str
    partition: Optional[int]
    value: int


MAX_BLOCK_MS = 60_000  # the library's default
_FINDINGS = {1: "damage", 2: "missing file", 3: "index", 4: "order", 5: "catalog"}
_HISTORY = {1: "open", 2: "close", 3: "recovery", 4: "killed"}


class Store:
    """An open store. Threads may share it; a child of fork() opens its own."""

    close_rank = 2

    def __init__(self, path: PathLike, handle: _ffi.Handle) -> None:
        self._handle: Optional[_ffi.Handle] = handle
        self.path = os.fspath(path)
        handles.opened(self)

    @property
    def handle(self) -> _ffi.Handle:
        if self._handle is None:
            raise ClosedError(f"the store {self.path} is closed")
        return self._handle

    @property
    def closed(self) -> bool:
        return self._handle is None

    def __repr__(self) -> str:
        return f"<Store {self.path!r}{' (closed)' if self.closed else ''}>"

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; whoever waits in a call on it gets ClosedError. A second call does nothing."""
        _ffi.close(self)

    # Topics ------------------------------------------------------------------------------------

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        config: Optional[Properties] = None,
        exist_ok: bool = False,
        **properties: Any,
    ) -> Topic:
        """Make a topic. exist_ok: one that is there already is taken as it is."""
        try:
            _ffi.lib.topic_create(
                self.handle, encoded(name), partitions, config_of(merged(config, properties))
            )
        except TopicAlreadyExistsError:
            if not exist_ok or name not in self.topic_names():
                raise
        return Topic(self, name)

    def topic(self, name: str) -> Topic:
        """A topic that must be there."""
        topic = Topic(self, name)
        topic.partitions
        return topic

    def topic_names(self) -> List[str]:
        """Sorted."""
        return _ffi.names_of(_ffi.new(_ffi.NamesHandle, _ffi.lib.topic_list, self.handle))

    def topics(self) -> List[Topic]:
        """Sorted by name."""
        return [Topic(self, name) for name in self.topic_names()]

    def __contains__(self, name: object) -> bool:
        return name in self.topic_names()

    def __iter__(self) -> Iterator[Topic]:
        return iter(self.topics())

    # In and out --------------------------------------------------------------------------------

    def producer(self, config: Optional[Properties] = None, **properties: Any) -> Producer:
        """Properties by Kafka's names, or as keywords: acks="all", linger_ms=5."""
        every = merged(config, properties)
        patience = _in_pieces(every)
        store, settings = self.handle, config_of(every)

        def opened() -> _ffi.ProducerHandle:  # type: ignore[valid-type]
            return _ffi.new(_ffi.ProducerHandle, _ffi.lib.producer_open, store, settings)

        # What lingers is the helper's affair too, which may be waiting for others.
        lingers = _lingers(every)
        handle = _ffi.aside(opened) if lingers else opened()
        handle.waits = lingers
        return Producer(self, handle, patience)

    def consumer(
        self,
        *topics: str,
        group: Optional[str] = None,
        start: Any = None,
        pattern: Optional[str] = None,
        timeout: Optional[float] = None,
        stop_at_end: bool = False,
        zero_copy: bool = False,
        config: Optional[Properties] = None,
        **properties: Any,
    ) -> Consumer:
        """A consumer of topics.

        With a group it shares their partitions with the group's other members, and begins where
        the group has committed, or else at `start` ("earliest" or "latest"); without one it reads
        all of them, from `start` ("earliest", an offset, a datetime, "-1h").
        timeout, stop_at_end: when iteration ends; else it waits for ever.
        zero_copy: keys and values are views of the log; see Batch.release().
        """
        every = merged(config, properties)
        if group is not None:
            every["group.id"] = group
        if start in ("earliest", "latest"):
            every.setdefault("auto.offset.reset", start)
        elif start is not None and every.get("group.id"):
            raise ArgumentValueError(
                f"a group goes on where it has committed, and else at 'earliest' or 'latest', not at {start!r}:"
                " Group.reset() commits another place"
            )
        handle = _ffi.new(
            _ffi.ConsumerHandle, _ffi.lib.consumer_open, self.handle, config_of(every)
        )
        handle.waits = bool(every.get("group.id"))
        consumer = Consumer(self, handle, every, timeout, stop_at_end, zero_copy)
        if topics or pattern is not None:
            if every.get("group.id"):
                consumer.subscribe(topics, pattern=pattern)
            else:
                consumer.assign_topics(topics, "earliest" if start is None else start, pattern)
        return consumer

    def table(
        self, name: str, on_change: Optional[Change] = None, **properties: Any
    ) -> Table:
        """The newest value of each key of a topic, as a mapping that stays current.

        on_change(key, value or None) is told of each record. Properties are the consumer's.
        """
        return Table(self, name, on_change, **properties)

    @property
    def groups(self) -> Groups:
        """Consumer groups by name: log.groups["billing"]."""
        return Groups(self)

    def group(self, name: str) -> Group:
        """The same as groups[name]."""
        return Group(self, name)

    # The whole ---------------------------------------------------------------------------------

    def sync(self, timeout: Optional[float] = None) -> None:
        """Make durable all that was appended before the call. Seconds."""
        handle = self.handle
        waiting.checked(
            lambda ms: _ffi.plain.store_sync(handle, ms), waiting.milliseconds(timeout)
        )

    def maintain(self, budget: float = 0.1) -> bool:
        """What the background helper would do now; True while there is more. Seconds."""
        handle, budget_ms = self.handle, waiting.milliseconds(budget)
        more: int = _ffi.aside(lambda: int(_ffi.lib.store_maintain(handle, budget_ms, None)))
        return more > 0

    def set_clock(self, timestamp: Optional[int]) -> None:
        """Stop the store's wall clock at a time in milliseconds, for tests; None: it runs."""
        _ffi.lib.store_set_clock(self.handle, -1 if timestamp is None else timestamp)

    def verify(self, topic: Optional[str] = None, quick: bool = False) -> Verified:
        """Read and check everything, or one topic; quick: no records."""
        handle, name = self.handle, None if topic is None else encoded(topic)
        return _verified(
            _ffi.aside(
                lambda: _ffi.new(_ffi.FindingsHandle, _ffi.lib.store_verify, handle, name, int(quick))
            )
        )

    def history(self) -> List[HistoryEntry]:
        """Newest last."""
        handle = _ffi.new(_ffi.HistoryHandle, _ffi.lib.history_list, self.handle)
        return [
            HistoryEntry(
                time, pid, _HISTORY.get(kind, str(kind)), None if p < 0 else p, topic, program, text
            )
            for time, pid, kind, p, topic, program, text in _ffi.rows_of(
                handle, "history", "kfl_history_entry"
            )
        ]

    def stats(self) -> List[Stat]:
        """This moment's numbers of the whole store, all processes."""
        handle = _ffi.new(_ffi.StatsHandle, _ffi.lib.stats_open, self.handle)
        return [
            Stat(name, topic, None if partition < 0 else partition, value)
            for name, topic, partition, value in _ffi.stats_of(handle)
        ]


def _lingers(every: Dict[str, Any]) -> bool:
    return str(every.get("linger.ms") or "0") != "0"


def _in_pieces(every: Dict[str, Any]) -> float:
    """The library waits for locks and room in pieces, between which Python sees its signals; answers for how many
    seconds the producer tries again. What lingers waits elsewhere, and close() then needs all of the time."""
    given = every.get("max.block.ms", MAX_BLOCK_MS)
    if _lingers(every) or not isinstance(given, int) or not waiting.PIECE_MS < given < 1 << 31:
        return 0.0
    every["max.block.ms"] = waiting.PIECE_MS
    return given / 1000


def _verified(handle: _ffi.Handle) -> Verified:
    findings = [
        Finding(
            _FINDINGS.get(kind, str(kind)),
            topic or "",
            None if partition < 0 else partition,
            None if offset < 0 else offset,
            None if end < 0 else end,
            place,
            path or "",
            text or "",
        )
        for topic, partition, kind, offset, end, place, path, text in _ffi.rows_of(
            handle, "findings", "kfl_finding"
        )
    ]
    return Verified(
        findings,
        _ffi.lib.findings_checked_records(handle),
        _ffi.lib.findings_checked_bytes(handle),
    )


def repair(path: PathLike, copy_path: PathLike) -> Verified:
    """Salvage a store that does not open any more into a new one; the old one is only read.

    What verifies is copied, at its offset. Lost is what stood in the catalog alone: committed
    offsets, properties, empty topics. Answers what could not be copied.
    """
    paths = os.fsencode(path), os.fsencode(copy_path)
    return _verified(
        _ffi.aside(lambda: _ffi.new(_ffi.FindingsHandle, _ffi.lib.store_repair, *paths))
    )


def open(
    path: PathLike,
    *,
    create: bool = True,
    read_only: bool = False,
    config: Optional[Properties] = None,
    **properties: Any,
) -> Store:
    """Open the store in a directory; make it when there is none, unless create is False.

    ":memory:" is a private store that vanishes at the close.
    """
    every = merged(config, properties)
    if not create:
        every["create"] = False
    if read_only:
        every["read.only"] = True
    name, settings = os.fsencode(path), config_of(every)
    handle = _ffi.aside(lambda: _ffi.new(_ffi.StoreHandle, _ffi.lib.store_open, name, settings))
    return Store(path, handle)
