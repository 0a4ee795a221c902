# SPDX-License-Identifier: MIT
"""Groups as an administrator has them."""
from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from .._native.group import Group
from .._native.times import Start
from .._native.topic import Topic
from ..coordinator.protocol import member_assignment, member_metadata
from ..errors import GroupIdNotFoundError, KafkaError, NoError
from ..structs import (
    GroupInformation,
    MemberInformation,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    TopicPartition,
)


class GroupOffsets:
    """Mixed into KafkaAdminClient."""

    _store: Any
    _check_open: Callable[[], None]

    def list_consumer_groups(self, broker_ids: Any = None) -> List[Tuple[str, str]]:
        self._check_open()
        return [(name, "consumer") for name in self._store.groups.names()]

    list_groups = list_consumer_groups

    def describe_consumer_groups(
        self,
        group_ids: Iterable[str],
        group_coordinator_id: Any = None,
        include_authorized_operations: bool = False,
    ) -> List[GroupInformation]:
        """State, assignor and members of each; a group that is not there is Dead."""
        self._check_open()
        return [self._describe_group(name) for name in group_ids]

    describe_groups = describe_consumer_groups

    def _describe_group(self, name: str) -> GroupInformation:
        try:
            group = Group(self._store, name).describe()
        except GroupIdNotFoundError:
            return GroupInformation(0, name, "Dead", "", "", [], None)
        members = []
        for member in group.members:
            owned: Dict[str, List[int]] = {}
            for topic, number in member.owned:
                owned.setdefault(topic, []).append(number)
            members.append(
                MemberInformation(
                    member.member_id,
                    member.client_id,
                    f"{member.program}[{member.process_id}]",
                    member_metadata(member.topics),
                    member_assignment(owned),
                )
            )
        return GroupInformation(0, name, group.state, "consumer", group.assignor, members, None)

    def list_consumer_group_offsets(
        self,
        group_id: str,
        group_coordinator_id: Any = None,
        partitions: Optional[Iterable[TopicPartition]] = None,
    ) -> Dict[TopicPartition, OffsetAndMetadata]:
        """What a group has committed; of the partitions named, -1 where it is nothing."""
        self._check_open()
        found = Group(self._store, group_id).committed()
        if partitions is None:
            return found
        return {place: found.get(place, OffsetAndMetadata(-1, "")) for place in partitions}

    list_group_offsets = list_consumer_group_offsets

    def delete_consumer_groups(
        self, group_ids: Iterable[str], group_coordinator_id: Any = None
    ) -> List[Tuple[str, Any]]:
        """(name, error class) each: NoError, NonEmptyGroupError or GroupIdNotFoundError."""
        self._check_open()
        outcomes: List[Tuple[str, Any]] = []
        for name in group_ids:
            try:
                Group(self._store, name).delete()
                outcomes.append((name, NoError))
            except KafkaError as error:
                outcomes.append((name, type(error)))
        return outcomes

    delete_groups = delete_consumer_groups

    def alter_group_offsets(
        self, group_id: str, offsets: Mapping[TopicPartition, Any]
    ) -> Dict[TopicPartition, Any]:
        """Commit for a group without members."""
        self._check_open()
        Group(self._store, group_id).commit(offsets)
        return {place: NoError for place in offsets}

    def reset_group_offsets(
        self, group_id: str, to: Start = "earliest", topics: Optional[List[str]] = None
    ) -> Dict[TopicPartition, int]:
        """Commit another place for what a group without members has committed."""
        self._check_open()
        return Group(self._store, group_id).reset(to, topics)

    def delete_group_offsets(
        self, group_id: str, partitions: Iterable[TopicPartition]
    ) -> Dict[TopicPartition, Any]:
        self._check_open()
        places = list(partitions)
        Group(self._store, group_id).delete_offsets(places)
        return {place: NoError for place in places}

    def list_partition_offsets(
        self, topic_partition_specs: Mapping[TopicPartition, Any]
    ) -> Dict[TopicPartition, OffsetAndTimestamp]:
        """{partition: "earliest", "latest", or a time in milliseconds}."""
        self._check_open()
        answer = {}
        for place, spec in topic_partition_specs.items():
            topic = Topic(self._store, place.topic)
            if isinstance(spec, int) and spec >= 0:
                found = topic.offset_for_time(spec, place.partition)
                answer[place] = OffsetAndTimestamp(-1, -1) if found is None else found
            else:
                word = {-2: "earliest", -1: "latest"}.get(spec, spec)
                answer[place] = OffsetAndTimestamp(topic.place(place.partition, word), -1)
        return answer
