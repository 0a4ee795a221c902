# SPDX-License-Identifier: MIT
"""Plain values: partitions, offsets, members of groups. Names and fields are kafka-python's."""
from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class OffsetAndMetadata(NamedTuple):
    """A committed offset: the next one to be read, and what was stored with it."""

    offset: int
    metadata: Optional[str] = ""
    leader_epoch: int = -1


class OffsetAndTimestamp(Tuple[Any, ...]):
    """An offset and the time of its record; equal to what has the same two.

    Of kafka-python's versions one has two fields and the next one three, so the third plays no part
    in a comparison.
    """

    __slots__ = ()
    _fields = ("offset", "timestamp", "leader_epoch")

    def __new__(cls, offset: int, timestamp: int, leader_epoch: int = -1) -> "OffsetAndTimestamp":
        return tuple.__new__(cls, (offset, timestamp, leader_epoch))

    @property
    def offset(self) -> int:
        return self[0]  # type: ignore[no-any-return]

    @property
    def timestamp(self) -> int:
        return self[1]  # type: ignore[no-any-return]

    @property
    def leader_epoch(self) -> int:
        return self[2]  # type: ignore[no-any-return]

    @classmethod
    def _make(cls, fields: Iterable[Any]) -> "OffsetAndTimestamp":
        return cls(*fields)

    def _asdict(self) -> Dict[str, Any]:
        return dict(zip(self._fields, self))

    def _replace(self, **fields: Any) -> "OffsetAndTimestamp":
        return type(self)(**{**self._asdict(), **fields})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple) and len(other) in (2, 3) and self[:2] == other[:2]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:2])

    def __repr__(self) -> str:
        return f"OffsetAndTimestamp(offset={self.offset}, timestamp={self.timestamp})"

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return tuple(self)


class BrokerMetadata(NamedTuple):
    """A broker; a store has one, and it is only a name."""

    nodeId: int
    host: str
    port: int
    rack: Optional[str]


class PartitionMetadata(NamedTuple):
    topic: str
    partition: int
    leader: int
    replicas: List[int]
    isr: List[int]
    error: Any


class MemberInformation(NamedTuple):
    member_id: str
    client_id: str
    client_host: str
    member_metadata: Any
    member_assignment: Any


class GroupInformation(NamedTuple):
    error_code: int
    group: str
    state: str
    protocol_type: str
    protocol: str
    members: Sequence[MemberInformation]
    authorized_operations: Any


class ConsumerGroupMetadata(NamedTuple):
    """Who a consumer is in its group."""

    group_id: Optional[str]
    generation_id: int = -1
    member_id: str = ""
    group_instance_id: Optional[str] = None


class TopicPartitionReplica(NamedTuple):
    topic: str
    partition: int
    broker_id: int


class RetryOptions(NamedTuple):
    """How often to try again, in old programs."""

    limit: Optional[int]
    backoff_ms: int
    retry_on_timeouts: bool
