# SPDX-License-Identifier: MIT
"""A group and its members as they are at one moment."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from .. import _ffi
from ..structs import TopicPartition

_STATES = {1: "Empty", 2: "PreparingRebalance", 3: "CompletingRebalance", 4: "Stable"}

Committed = Dict[TopicPartition, Optional[int]]


class Member(NamedTuple):
    """owned: what it may read and commit, with the committed offsets; target: what it is to own
    once others have given it up."""

    member_id: str
    instance_id: str
    client_id: str
    program: str
    process_id: int
    topics: List[str]
    pattern: str
    owned: Committed
    target: Committed
    is_away: bool
    generation: int


class GroupDescription(NamedTuple):
    state: str
    assignor: str
    generation: int
    members: List[Member]


def _committed(handle: Any) -> Committed:
    return {
        TopicPartition(topic, partition): None if offset < 0 else offset
        for topic, partition, offset, _ in (_ffi.offsets_of(handle) if handle else ())
    }


def describe(group: Any) -> GroupDescription:
    """A kfl_group, copied."""
    lib = _ffi.lib
    members = []
    for index in range(lib.group_member_count(group)):
        row = _ffi.fields(_ffi.STRUCTURES["kfl_member"], lib.group_member(group, index))
        members.append(
            Member(
                member_id=row[0],
                instance_id=row[1],
                client_id=row[2],
                program=row[3],
                process_id=row[8],
                topics=_ffi.names_of(row[5]) if row[5] else [],
                pattern=row[4],
                owned=_committed(row[6]),
                target=_committed(row[7]),
                is_away=bool(row[9]),
                generation=row[10],
            )
        )
    state = lib.group_state(group)
    return GroupDescription(
        _STATES.get(state, str(state)),
        (lib.group_assignor(group) or b"").decode(),
        lib.group_generation(group),
        members,
    )
