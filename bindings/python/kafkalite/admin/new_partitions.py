# SPDX-License-Identifier: MIT
"""How many partitions a topic is to have."""
from __future__ import annotations

from typing import Any


class NewPartitions:
    """total_count in all; new_assignments would place replicas, of which there are none."""

    def __init__(self, total_count: int, new_assignments: Any = None) -> None:
        self.total_count = total_count
        self.new_assignments = new_assignments
