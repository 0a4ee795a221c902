# SPDX-License-Identifier: MIT
"""KafkaConsumer: kafka-python's consumer over a store."""
from __future__ import annotations

import copy
import logging
import time
import weakref
from typing import Any, ClassVar, Dict, Iterator, List, Optional, Set

from .._facade import metrics, options, serialize
from .._facade.cluster import Client
from .._native import handles, waiting
from ..coordinator.assignors.range import RangePartitionAssignor
from ..coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from ..coordinator.base import Coordinator
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    ClosedError,
    KafkaConfigurationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
)
from ..structs import TopicPartition
from ..version import __version__
from .commits import Commits
from .fetcher import ConsumerRecord, records_of
from .partitions import Partitions
from .subscription import Subscription

log = logging.getLogger("kafkalite")

Polled = Dict[TopicPartition, List[ConsumerRecord]]


class KafkaConsumer(Commits, Partitions):
    """Hands out records of subscribed or assigned partitions, by iteration or by poll()."""

    DEFAULT_CONFIG: ClassVar[Dict[str, Any]] = {
        **options.NETWORK,
        **options.SECURITY,
        "client_id": "kafka-python-" + __version__,
        "group_id": None,
        "key_deserializer": None,
        "value_deserializer": None,
        "fetch_max_wait_ms": 500,
        "fetch_min_bytes": 1,
        "fetch_max_bytes": 52428800,
        "max_partition_fetch_bytes": 1048576,
        "request_timeout_ms": 305000,
        "auto_offset_reset": "latest",
        "enable_auto_commit": True,
        "auto_commit_interval_ms": 5000,
        "default_offset_commit_callback": lambda offsets, response: True,
        "check_crcs": True,
        "partition_assignment_strategy": (RangePartitionAssignor, RoundRobinPartitionAssignor),
        "max_poll_records": 500,
        "max_poll_interval_ms": 300000,
        "session_timeout_ms": 10000,
        "heartbeat_interval_ms": 3000,
        "consumer_timeout_ms": float("inf"),
        "metric_group_prefix": "consumer",
        "exclude_internal_topics": True,
        "legacy_iterator": False,
    }
    _LATER: ClassVar[Dict[str, Any]] = {
        **options.LATER,
        "group_instance_id": None,
        "isolation_level": "read_uncommitted",
        "allow_auto_create_topics": True,
        "client_rack": "",
        "enable_incremental_fetch_sessions": True,
    }
    _IGNORED = (
        "fetch_max_wait_ms",
        "fetch_min_bytes",
        "max_partition_fetch_bytes",
        "check_crcs",
        "heartbeat_interval_ms",
        "metric_group_prefix",
        "legacy_iterator",
        "client_rack",
        "enable_incremental_fetch_sessions",
    )
    DEFAULT_SESSION_TIMEOUT_MS_0_9 = 30000

    close_rank = 0

    def __init__(self, *topics: str, **configs: Any) -> None:
        self._closed = True  # until everything is there
        unknown = [n for n in configs if n not in self.DEFAULT_CONFIG and n not in self._LATER]
        if unknown:
            raise KafkaConfigurationError(f"Unrecognized configs: {set(unknown)}")
        self.config = copy.copy(self.DEFAULT_CONFIG)
        self.config.update(configs)
        self._check_config()
        options.tell_ignored(self.config, configs, self._IGNORED)
        self._deserialize_key = serialize.deserializer(self.config["key_deserializer"])
        self._deserialize_value = serialize.deserializer(self.config["value_deserializer"])
        self._store = options.open_store(self.config)
        self._native = self._store.consumer(config=self._properties())
        self._subscription = Subscription(self._store, self._native, self.config)
        # Without a circle: what the program lets go of leaves its group at once.
        commit = weakref.WeakMethod(self._commit_before_losing)
        self._subscription.on_revoked = lambda places: (commit() or _nothing)(places)
        self._begin_commits()
        self._failure: Optional[BaseException] = None
        self._metrics = metrics.Consumed()
        self._fetched: Set[TopicPartition] = set()
        self.last_poll = 0.0
        self._closed = False
        handles.opened(self)
        if topics:
            self.subscribe(topics)

    def _check_config(self) -> None:
        config = self.config
        old = {"smallest": "earliest", "largest": "latest"}
        reset = old.get(config["auto_offset_reset"], config["auto_offset_reset"])
        if reset not in ("earliest", "latest", "none"):
            log.warning("auto_offset_reset=%r: taken as 'none'", reset)
            reset = "none"
        config["auto_offset_reset"] = reset
        idle, request = config["connections_max_idle_ms"], config["request_timeout_ms"]
        if not config["fetch_max_wait_ms"] < request < idle:
            raise KafkaConfigurationError(
                f"connections_max_idle_ms ({idle}) must be larger than request_timeout_ms"
                f" ({request}) which must be larger than fetch_max_wait_ms"
                f" ({config['fetch_max_wait_ms']})."
            )
        if config["group_id"] is not None and request <= config["session_timeout_ms"]:
            raise KafkaConfigurationError(
                f"Request timeout ({request}) must be larger than session timeout"
                f" ({config['session_timeout_ms']})"
            )
        if config["group_id"] is not None and not config["partition_assignment_strategy"]:
            raise KafkaConfigurationError("Coordinator requires assignors")
        options.check_security(config)
        config["api_version"] = options.api_version(config["api_version"])

    def _properties(self) -> Dict[str, Any]:
        """What the library is told; commits are made here, by what has been handed out."""
        config = self.config
        properties: Dict[str, Any] = {
            "auto.offset.reset": config["auto_offset_reset"],
            "max.poll.records": max(1, min(config["max_poll_records"], 65536)),
            "fetch.max.bytes": max(1, min(config["fetch_max_bytes"], 0x7FFFFFFF)),
        }
        if config["group_id"] is not None:
            properties.update(
                {
                    "group.id": config["group_id"],
                    "client.id": config["client_id"],
                    "max.poll.interval.ms": config["max_poll_interval_ms"],
                    "partition.assignment.strategy": [
                        Subscription.strategy_name(kind)
                        for kind in config["partition_assignment_strategy"]
                    ],
                }
            )
            if config.get("group_instance_id"):
                properties["group.instance.id"] = config["group_instance_id"]
                properties["session.timeout.ms"] = config["session_timeout_ms"]
        return properties

    def __enter__(self) -> "KafkaConsumer":
        return self

    def __exit__(self, kind: Any, *exception: object) -> None:
        self.close(autocommit=kind is None)

    def __del__(self) -> None:
        try:
            self.close(autocommit=False)
        except Exception:  # half built, or at the end of the interpreter
            pass

    def close_at_exit(self) -> None:
        """Nobody said that the last records are dealt with: they are not committed."""
        self.close(autocommit=False)

    @property
    def _client(self) -> Client:
        return Client(self._store)

    @property
    def _coordinator(self) -> Coordinator:
        return Coordinator(self, self._native)

    def _check_open(self) -> None:
        if self._closed:
            handles.wait_for_the_end()
            raise ClosedError("KafkaConsumer is closed")

    def bootstrap_connected(self) -> bool:
        """True while it is open."""
        return not self._closed

    def bootstrap(self, timeout_ms: Optional[int] = None, refresh: bool = False) -> bool:
        """There is nothing to connect to."""
        return not self._closed

    def close(self, autocommit: bool = True, timeout_ms: Optional[int] = None) -> None:
        """Commit, if commits are automatic, leave the group, and close. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        try:
            self._end_commits(autocommit)
        finally:
            self._native.close()
            self._store.close()
            for name in ("key_deserializer", "value_deserializer"):
                serialize.close(self.config[name])

    # Reading -----------------------------------------------------------------------------------

    def poll(
        self, timeout_ms: float = 0, max_records: Optional[int] = None, update_offsets: bool = True
    ) -> Polled:
        """{partition: records}, as soon as there is anything; {} when the time is up.

        Without update_offsets the positions stay: the next poll hands out the same records.
        """
        if timeout_ms < 0:
            raise ArgumentValueError("Timeout must not be negative")
        if max_records is None:
            max_records = self.config["max_poll_records"]
        if isinstance(max_records, bool) or not isinstance(max_records, int):
            raise ArgumentTypeError("max_records must be an integer")
        if max_records < 1:
            raise ArgumentValueError("max_records must be positive")
        self._check_open()
        self._native.rewind()
        found: Polled = {}
        try:
            records = self._fetch(timeout_ms, min(max_records, 65536))
        except ClosedError:
            handles.wait_for_the_end()
            raise
        try:
            for record in records:
                place = TopicPartition(record.topic, record.partition)
                found.setdefault(place, []).append(record)
        except BaseException:  # of a signal's handler: nobody has seen them
            self._native.ahead, self._native.place = records, 0
            self._native.rewind()
            raise
        if not update_offsets and records:
            self._native.ahead, self._native.place = records, 0
            self._native.rewind()
        return found

    def _fetch(self, timeout_ms: float, max_records: int) -> List[ConsumerRecord]:
        """The next records, deserialized; [] when the time is up."""
        self.last_poll = time.monotonic()
        deadline = self.last_poll + min(timeout_ms / 1000, threading_max)
        while True:
            self._commit_when_due()
            step = self._subscription.follow()
            self._need_begin()
            left = max(0.0, (deadline - time.monotonic()) * 1000)
            batch = self._poll(int(min(left + 0.999, step)), max_records)
            if batch is not None:
                try:
                    return self._take(batch)
                except BaseException:
                    self._native.give_back(batch)
                    raise
            if time.monotonic() >= deadline:
                return []

    def _poll(self, timeout_ms: int, max_records: int) -> Any:
        try:
            return self._native.poll_ms(timeout_ms, max_records)
        except UnknownTopicOrPartitionError as error:
            if error.topic is None:
                raise
            self._subscription.gone(error.topic)
            return None
        except OffsetOutOfRangeError as error:
            place = TopicPartition(error.topic or "", error.partition or 0)
            if place in self._fetched or self.config["group_id"] is None:
                raise
            if self._native.committed(place):
                raise
            raise NoOffsetForPartitionError(str(error)) from error

    def _take(self, batch: Any) -> List[ConsumerRecord]:
        records, error = records_of(batch, self._deserialize_key, self._deserialize_value)
        if error is not None:
            # The bad record and those behind it come again; whoever wants to, seeks past it.
            self._native.ahead, self._native.place = batch.records(), len(records)
            self._native.rewind()
            if not records:
                raise error
        self._fetched.update(batch.next_offsets())
        self._metrics.count(batch, len(records))
        return records

    def __iter__(self) -> Iterator[ConsumerRecord]:
        return self

    def __next__(self) -> ConsumerRecord:
        native = self._native
        place = native.place
        if place >= len(native.ahead):
            if self._closed:
                raise StopIteration("KafkaConsumer closed")
            records = self._next_records()
            if not records:
                raise StopIteration
            native.ahead, place = records, 0
        native.place = place + 1
        record: ConsumerRecord = native.ahead[place]
        return record

    next = next_v1 = next_v2 = __next__

    def _next_records(self) -> List[ConsumerRecord]:
        most = max(1, min(self.config["max_poll_records"], 65536))
        try:
            return self._fetch(self.config["consumer_timeout_ms"], most)
        except ClosedError:
            handles.wait_for_the_end()
            return []  # another thread has closed it: iteration ends

    # What to read ------------------------------------------------------------------------------

    def subscribe(self, topics: Any = (), pattern: Any = None, listener: Any = None) -> None:
        """Read topics by name, or those whose names a regular expression matches at their start.

        With a group_id its members share the partitions; without one all are read.
        """
        self._check_open()
        self._subscription.subscribe(topics, pattern, listener)

    def unsubscribe(self) -> None:
        """Leave the group, and have nothing assigned."""
        self._check_open()
        self._commit_before_losing(None)
        self._subscription.unsubscribe()

    def subscription(self) -> Optional[Set[str]]:
        """Topic names, or None."""
        names: Optional[Set[str]] = self._subscription.names()
        return names

    def assign(self, partitions: Any) -> None:
        """Read these partitions, whatever the group does. Commits need a group_id still."""
        self._check_open()
        self._subscription.assign(partitions)

    def assignment(self) -> Set[TopicPartition]:
        """Of a subscription, empty until the first poll."""
        return set() if self.last_poll == 0.0 and self._subscription.follows else self._assigned()

    def _assigned(self) -> Set[TopicPartition]:
        return set() if self._closed else {*self._native.assignment(), *self._subscription.deleted}

    def metrics(self, raw: bool = False) -> Dict[str, Any]:
        """{group: {name: number}}: what came, how fast, and how far behind the end it is."""
        lags = {} if self._closed else self._lags()
        return self._metrics.told(lags)


def _nothing(_: Any) -> None:
    pass


threading_max = waiting.LONG_MS * 24 * 365 / 1000
