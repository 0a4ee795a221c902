# SPDX-License-Identifier: MIT
"""What members and assignors tell each other in kafka-python."""
from __future__ import annotations

from typing import Any, Iterable, List, NamedTuple, Sequence, Tuple

from ..structs import TopicPartition


class ConsumerProtocolMemberMetadata(NamedTuple):
    version: int
    subscription: Sequence[str]
    user_data: bytes


class ConsumerProtocolMemberAssignment(NamedTuple):
    version: int
    assignment: Sequence[Tuple[str, Sequence[int]]]
    user_data: bytes

    def partitions(self) -> List[TopicPartition]:
        return [
            TopicPartition(topic, number) for topic, numbers in self.assignment for number in numbers
        ]


def member_metadata(topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
    return ConsumerProtocolMemberMetadata(0, list(topics), b"")


def member_assignment(assigned: Any, user_data: bytes = b"") -> ConsumerProtocolMemberAssignment:
    """From {topic: partitions}."""
    rows = sorted((topic, list(numbers)) for topic, numbers in assigned.items())
    return ConsumerProtocolMemberAssignment(0, rows, user_data)
