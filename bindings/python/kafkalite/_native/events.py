# SPDX-License-Identifier: MIT
"""What a poll meets besides records."""
from __future__ import annotations

from typing import Dict, NamedTuple, Optional

from .. import _ffi
from ..structs import TopicPartition
from .members import GroupDescription, describe

HOLE, LAPPED, ASSIGNED, REVOKED, LOST, ASSIGN_NEEDED, COMMITTED = range(1, 8)
KINDS = {
    HOLE: "hole",
    LAPPED: "lapped",
    ASSIGNED: "assigned",
    REVOKED: "revoked",
    LOST: "lost",
    ASSIGN_NEEDED: "assign needed",
    COMMITTED: "committed",
}


class Event(NamedTuple):
    """hole, lapped: records [offset, end_offset) of a partition cannot be read, or were deleted
    before. assigned, revoked, lost: partitions with positions. committed: what became of
    commit_async(). assign needed: this member is to share out the partitions of `group`."""

    kind: str
    topic: str
    partition: Optional[int]
    offset: Optional[int]
    end_offset: Optional[int]
    text: str
    generation: int
    code: int
    ticket: int
    offsets: Dict[TopicPartition, int]
    group: Optional[GroupDescription]


def next_event(consumer: _ffi.Handle) -> Optional[Event]:
    """The oldest one that nobody has taken."""
    handle = _ffi.EventHandle()
    if _ffi.lib.consumer_next_event(consumer, _ffi.reference(handle)) == 0:
        return None
    lib = _ffi.lib
    kind = lib.event_kind(handle)
    offsets, group = lib.event_offsets(handle), lib.event_group(handle)
    partition, offset, end = (
        lib.event_partition(handle),
        lib.event_offset(handle),
        lib.event_end_offset(handle),
    )
    return Event(
        KINDS.get(kind, str(kind)),
        lib.event_topic(handle).decode(),
        None if partition < 0 else partition,
        None if offset < 0 else offset,
        None if end < 0 else end,
        lib.event_text(handle).decode(errors="replace"),
        lib.event_generation(handle),
        lib.event_code(handle),
        lib.event_ticket(handle),
        {TopicPartition(row[0], row[1]): row[2] for row in _ffi.offsets_of(offsets)}
        if offsets
        else {},
        describe(group) if group else None,
    )
