# SPDX-License-Identifier: MIT
"""A topic to be made."""
from __future__ import annotations

from typing import Any, Dict, List, Optional


class NewTopic:
    """num_partitions -1 is the store's default (one). There is one copy of everything, whatever
    replication_factor and replica_assignments say."""

    def __init__(
        self,
        name: str,
        num_partitions: int = -1,
        replication_factor: int = -1,
        replica_assignments: Optional[Dict[int, List[int]]] = None,
        topic_configs: Optional[Dict[str, Any]] = None,
    ) -> None:
        self.name = name
        self.num_partitions = num_partitions
        self.replication_factor = replication_factor
        self.replica_assignments = replica_assignments or {}
        self.topic_configs = topic_configs or {}
