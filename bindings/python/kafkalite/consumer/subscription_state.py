# SPDX-License-Identifier: MIT
"""Who wants to know when partitions come and go."""
from __future__ import annotations

from typing import Any, Set

from ..structs import TopicPartition


class ConsumerRebalanceListener:
    """Both methods run inside poll() of the consumer, in its thread, revoked before assigned.

    A commit inside on_partitions_revoked still counts.
    """

    def on_partitions_revoked(self, revoked: Set[TopicPartition]) -> Any:
        """These partitions go to other members."""

    def on_partitions_assigned(self, assigned: Set[TopicPartition]) -> Any:
        """These partitions are this consumer's from now on."""
