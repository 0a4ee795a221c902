# SPDX-License-Identifier: MIT
"""Where a KafkaConsumer stands, and what there is to read."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Set, Tuple

from .._native.topic import Topic
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    InvalidTopicError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    StateError,
    UnknownTopicOrPartitionError,
)
from ..structs import ConsumerGroupMetadata, OffsetAndTimestamp, TopicPartition

NOT_ASSIGNED = "Partition is not assigned"


class Partitions:
    """Mixed into KafkaConsumer."""

    config: Dict[str, Any]
    _store: Any
    _native: Any
    _subscription: Any
    _fetched: Set[TopicPartition]
    _check_open: Callable[[], None]

    def _need(
        self, partitions: Iterable[Any], which: str = "Unassigned partition", noun: str = "partition"
    ) -> Tuple[Any, ...]:
        """Assigned TopicPartitions."""
        self._check_open()
        assigned = self._native.assignment()
        places = tuple(partitions)
        for place in places:
            if not isinstance(place, TopicPartition):
                a, many = ("a ", "") if noun == "partition" else ("", "s")
                raise TypeError(f"{noun} must be {a}TopicPartition namedtuple{many}")
            if place not in assigned:
                raise StateError(f"{which}: {place.topic}/{place.partition}")
        return places

    def position(self, partition: TopicPartition, timeout_ms: Optional[int] = None) -> int:
        """The offset of the next record that this consumer hands out."""
        self._need([partition], NOT_ASSIGNED)
        self._need_begin()
        return int(self._native.position(partition))

    def _need_begin(self) -> None:
        for place in self._subscription.unset:
            raise NoOffsetForPartitionError(
                f"{place.topic}/{place.partition}: nothing is committed, and auto_offset_reset is"
                " 'none': seek"
            )

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """The next record is that one, in poll() and in a running iteration."""
        if not isinstance(partition, TopicPartition):
            raise TypeError("partition must be a TopicPartition namedtuple")
        if isinstance(offset, bool) or not isinstance(offset, int):
            raise ArgumentTypeError(f"Offset must be >= 0 and an int, not {offset!r}")
        if offset < 0:
            raise ArgumentValueError("Offset must be >= 0")
        self._need([partition])
        self._native.seek(partition, offset)
        self._subscription.unset.discard(partition)

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Of all assigned partitions when none is named."""
        self._seek_all(partitions, "earliest")

    def seek_to_end(self, *partitions: TopicPartition) -> None:
        """Of all assigned partitions when none is named."""
        self._seek_all(partitions, "latest")

    def _seek_all(self, partitions: Tuple[TopicPartition, ...], where: str) -> None:
        places = self._need(partitions, noun="partitions")
        if not partitions:
            places = tuple(self._native.assignment())
            if not places:
                raise StateError("No partitions are currently assigned")
        for place in places:
            self._native.seek(place, where)
            self._subscription.unset.discard(place)

    def pause(self, *partitions: TopicPartition) -> None:
        """Polls hand out nothing of these until resume()."""
        places = self._need(partitions, noun="partitions")
        self._native.pause(*places)

    def resume(self, *partitions: TopicPartition) -> None:
        places = self._need(partitions, noun="partitions")
        self._native.resume(*places)

    def paused(self) -> Set[TopicPartition]:
        """Those of the assignment that are paused."""
        return set(self._native.paused())

    def highwater(self, partition: TopicPartition) -> Optional[int]:
        """Where the log ends; None before the first records of it came."""
        self._need([partition], NOT_ASSIGNED)
        if partition not in self._fetched:
            return None
        return Topic(self._store, partition.topic).end_offset(partition.partition)

    def _lags(self) -> Dict[TopicPartition, int]:
        lags = {}
        for place, position in self._native.assignment().items():
            end = Topic(self._store, place.topic).end_offset(place.partition)
            lags[place] = max(0, end - position)
        return lags

    # What there is -----------------------------------------------------------------------------

    def topics(self) -> Set[str]:
        self._check_open()
        hidden = self.config["exclude_internal_topics"]
        return {
            name
            for name in self._store.topic_names()
            if not (hidden and name.startswith("__"))
        }

    def partitions_for_topic(self, topic: str) -> Optional[Set[int]]:
        """None for a topic that is not there."""
        self._check_open()
        try:
            return set(range(Topic(self._store, topic).partitions))
        except (UnknownTopicOrPartitionError, InvalidTopicError):
            return None

    def _known(self, place: Any) -> Topic:
        if not isinstance(place, TopicPartition):
            raise TypeError("partitions must be TopicPartition namedtuples")
        topic = Topic(self._store, place.topic)
        try:
            count = topic.partitions
        except UnknownTopicOrPartitionError:
            count = 0
            if self.config.get("allow_auto_create_topics", True):
                count = self._store.create_topic(place.topic, exist_ok=True).partitions
        if not 0 <= place.partition < count:
            raise KafkaTimeoutError(
                f"no partition {place.topic}/{place.partition}: the topic has {count}"
            )
        return topic

    def beginning_offsets(self, partitions: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The first offset kept, of each."""
        self._check_open()
        return {place: self._known(place).start_offset(place.partition) for place in partitions}

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The next offset to be given, of each."""
        self._check_open()
        return {place: self._known(place).end_offset(place.partition) for place in partitions}

    def offsets_for_times(
        self, timestamps: Mapping[TopicPartition, int]
    ) -> Dict[TopicPartition, Optional[OffsetAndTimestamp]]:
        """The first record of that time or later, of each; None when there is none."""
        self._check_open()
        for place, moment in timestamps.items():
            if int(moment) < 0:
                raise ValueError(
                    f"The target time for partition {place} is {moment}. The target time cannot"
                    " be negative."
                )
        return {
            place: self._known(place).offset_for_time(int(moment), place.partition)
            for place, moment in timestamps.items()
        }

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Who this consumer is in its group."""
        group = self.config["group_id"]
        instance = self.config.get("group_instance_id")
        try:
            member, generation = self._native.member()
        except Exception:
            member, generation = "", -1
        return ConsumerGroupMetadata(group, generation, member, instance)
