# SPDX-License-Identifier: MIT
"""Topic by topic, runs of partitions to members in the order of their ids."""
from __future__ import annotations

from typing import Any, Dict, List

from ..protocol import member_assignment, member_metadata
from .abstract import AbstractPartitionAssignor


class RangePartitionAssignor(AbstractPartitionAssignor):
    """Of 7 partitions and 3 members the first gets 0 to 2, the second 3 and 4, the third 5 and 6."""

    name = "range"
    version = 0

    @classmethod
    def assign(cls, cluster: Any, member_metadata: Dict[str, Any]) -> Dict[str, Any]:
        takers: Dict[str, List[str]] = {}
        for member in sorted(member_metadata):
            for topic in member_metadata[member].subscription:
                takers.setdefault(topic, []).append(member)
        shares: Dict[str, Dict[str, List[int]]] = {member: {} for member in member_metadata}
        for topic, members in takers.items():
            numbers = cluster.partitions_for_topic(topic)
            if numbers is None:
                continue
            partitions = sorted(numbers)
            size, more = divmod(len(partitions), len(members))
            begin = 0
            for place, member in enumerate(members):
                end = begin + size + (1 if place < more else 0)
                shares[member][topic] = partitions[begin:end]
                begin = end
        return {member: member_assignment(share) for member, share in shares.items()}

    @classmethod
    def metadata(cls, topics: Any) -> Any:
        return member_metadata(topics)

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        pass
