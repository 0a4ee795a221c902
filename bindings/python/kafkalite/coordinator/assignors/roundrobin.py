# SPDX-License-Identifier: MIT
"""All partitions of all topics, dealt out in turn."""
from __future__ import annotations

from itertools import cycle
from typing import Any, Dict, List

from ..protocol import member_assignment, member_metadata
from .abstract import AbstractPartitionAssignor


class RoundRobinPartitionAssignor(AbstractPartitionAssignor):
    """A member that does not subscribe to the topic is passed over."""

    name = "roundrobin"
    version = 0

    @classmethod
    def assign(cls, cluster: Any, member_metadata: Dict[str, Any]) -> Dict[str, Any]:
        topics = {
            topic for metadata in member_metadata.values() for topic in metadata.subscription
        }
        shares: Dict[str, Dict[str, List[int]]] = {member: {} for member in member_metadata}
        turns = cycle(sorted(member_metadata))
        for topic in sorted(topics):
            for number in sorted(cluster.partitions_for_topic(topic) or ()):
                member = next(turns)
                while topic not in member_metadata[member].subscription:
                    member = next(turns)
                shares[member].setdefault(topic, []).append(number)
        return {member: member_assignment(share) for member, share in shares.items()}

    @classmethod
    def metadata(cls, topics: Any) -> Any:
        return member_metadata(topics)

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        pass
