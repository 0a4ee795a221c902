# SPDX-License-Identifier: MIT
"""What members and assignors tell each other in kafka-python."""
from __future__ import annotations

import struct
from typing import Any, Iterable, List, NamedTuple, Sequence, Tuple

from ..structs import TopicPartition


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _block(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def topic_partitions(rows: Sequence[Tuple[str, Sequence[int]]]) -> bytes:
    """Topics with their partitions in Kafka's format."""
    parts = [struct.pack(">i", len(rows))]
    for topic, numbers in rows:
        parts.append(_text(topic) + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers))
    return b"".join(parts)


class ConsumerProtocolMemberMetadata(NamedTuple):
    version: int
    subscription: Sequence[str]
    user_data: bytes

    @property
    def topics(self) -> Sequence[str]:
        return self.subscription

    def encode(self) -> bytes:
        topics = b"".join(_text(topic) for topic in self.subscription)
        head = struct.pack(">hi", self.version, len(self.subscription))
        return head + topics + _block(self.user_data)


class ConsumerProtocolMemberAssignment(NamedTuple):
    version: int
    assignment: Sequence[Tuple[str, Sequence[int]]]
    user_data: bytes

    @property
    def assigned_partitions(self) -> Sequence[Tuple[str, Sequence[int]]]:
        return self.assignment

    def encode(self) -> bytes:
        head = struct.pack(">h", self.version)
        return head + topic_partitions(self.assignment) + _block(self.user_data)

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
