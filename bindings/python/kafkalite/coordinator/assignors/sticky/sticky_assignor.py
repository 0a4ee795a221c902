# SPDX-License-Identifier: MIT
"""As balanced as can be, and of all such assignments one that moves little.

In a group of KafkaConsumers the library's own sticky assignor runs; this one is for programs that
call it themselves.
"""
from __future__ import annotations

import struct
from typing import Any, ClassVar, Dict, List, NamedTuple, Optional, Set

from ....structs import TopicPartition
from ...protocol import ConsumerProtocolMemberMetadata, member_assignment, topic_partitions
from ..abstract import AbstractPartitionAssignor


class StickyAssignorMemberMetadataV1(NamedTuple):
    subscription: Any
    partitions: List[TopicPartition]
    generation: int


class StickyAssignorUserDataV1:
    """What a member owned, and in which generation, as bytes of Kafka's format."""

    def __init__(self, previous_assignment: Any, generation: int) -> None:
        self.previous_assignment = [(topic, list(numbers)) for topic, numbers in previous_assignment]
        self.generation = generation

    def encode(self) -> bytes:
        return topic_partitions(self.previous_assignment) + struct.pack(">i", self.generation)

    @classmethod
    def decode(cls, data: bytes) -> "StickyAssignorUserDataV1":
        (count,), place = struct.unpack_from(">i", data), 4
        assignment = []
        for _ in range(count):
            (size,) = struct.unpack_from(">h", data, place)
            topic = data[place + 2 : place + 2 + size].decode()
            place += 2 + size
            (numbers,) = struct.unpack_from(">i", data, place)
            assignment.append((topic, list(struct.unpack_from(f">{numbers}i", data, place + 4))))
            place += 4 + 4 * numbers
        return cls(assignment, struct.unpack_from(">i", data, place)[0])


class _Sharing:
    """Who may have what, who has what, and the moves that make it even."""

    def __init__(self, cluster: Any, members: Dict[str, StickyAssignorMemberMetadataV1]) -> None:
        self.shares: Dict[str, List[TopicPartition]] = {member: [] for member in sorted(members)}
        self.takers: Dict[TopicPartition, List[str]] = {}
        for member in self.shares:
            for topic in members[member].subscription:
                for number in sorted(cluster.partitions_for_topic(topic) or ()):
                    self.takers.setdefault(TopicPartition(topic, number), []).append(member)
        self._keep(members)

    def _keep(self, members: Dict[str, StickyAssignorMemberMetadataV1]) -> None:
        """What a member had it keeps; of two who had it, the one of the newer generation: the other had it before."""
        taken: Set[TopicPartition] = set()
        self.before: Dict[TopicPartition, str] = {}
        for member in sorted(members, key=lambda m: (-members[m].generation, m)):
            for place in members[member].partitions:
                if member not in self.takers.get(place, ()):
                    continue
                if place not in taken:
                    self.shares[member].append(place)
                    taken.add(place)
                else:
                    self.before.setdefault(place, member)
        self.free = sorted(
            (place for place in self.takers if place not in taken),
            key=lambda place: (len(self.takers[place]), place),
        )

    def run(self) -> None:
        for place in self.free:
            self.shares[self._poorest(self.takers[place])].append(place)
        # Each move brings two members nearer to each other, so there is a last one.
        while self._move():
            pass

    def _poorest(self, members: List[str]) -> str:
        return min(members, key=lambda member: (len(self.shares[member]), member))

    def _move(self) -> bool:
        for member in sorted(self.shares, key=lambda m: (-len(self.shares[m]), m)):
            places = self.shares[member][::-1]
            back = [(place, self.before[place]) for place in places if place in self.before]
            for place, other in back + [(place, self._poorest(self.takers[place])) for place in places]:
                if len(self.shares[other]) + 1 < len(self.shares[member]):
                    self.shares[member].remove(place)
                    self.shares[other].append(place)
                    return True
        return False


class StickyPartitionAssignor(AbstractPartitionAssignor):
    """The class remembers what its member was given, for the metadata of the next rebalance."""

    DEFAULT_GENERATION_ID = -1

    name = "sticky"
    version = 0

    member_assignment: ClassVar[Optional[List[TopicPartition]]] = None
    generation: ClassVar[int] = DEFAULT_GENERATION_ID

    @classmethod
    def assign(cls, cluster: Any, members: Dict[str, Any]) -> Dict[str, Any]:
        sharing = _Sharing(
            cluster, {member: cls.parse_member_metadata(data) for member, data in members.items()}
        )
        sharing.run()
        answer = {}
        for member, places in sharing.shares.items():
            share: Dict[str, List[int]] = {}
            for topic, number in sorted(places):
                share.setdefault(topic, []).append(number)
            answer[member] = member_assignment(share)
        return answer

    @classmethod
    def parse_member_metadata(cls, metadata: Any) -> StickyAssignorMemberMetadataV1:
        partitions: List[TopicPartition] = []
        generation = cls.DEFAULT_GENERATION_ID
        if metadata.user_data:
            try:
                told = StickyAssignorUserDataV1.decode(metadata.user_data)
            except (struct.error, UnicodeDecodeError):
                pass  # of another program: the member starts afresh
            else:
                generation = told.generation
                partitions = [
                    TopicPartition(topic, number)
                    for topic, numbers in told.previous_assignment
                    for number in numbers
                ]
        return StickyAssignorMemberMetadataV1(metadata.subscription, partitions, generation)

    @classmethod
    def metadata(cls, topics: Any) -> Any:
        return cls._metadata(topics, cls.member_assignment, cls.generation)

    @classmethod
    def _metadata(cls, topics: Any, partitions: Any, generation: int = -1) -> Any:
        data = b""
        if partitions is not None:
            share: Dict[str, List[int]] = {}
            for topic, number in partitions:
                share.setdefault(topic, []).append(number)
            data = StickyAssignorUserDataV1(share.items(), generation).encode()
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), data)

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        cls.member_assignment = assignment.partitions()

    @classmethod
    def on_generation_assignment(cls, generation: int) -> None:
        cls.generation = generation
