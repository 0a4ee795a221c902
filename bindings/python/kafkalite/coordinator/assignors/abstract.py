# SPDX-License-Identifier: MIT
"""What an assignor has. A class of a program's own, with another name, works in a group too."""
from __future__ import annotations

from typing import Any, Dict


class AbstractPartitionAssignor:
    """Shares out partitions among the members of a group."""

    name: Any = None

    def assign(self, cluster: Any, members: Dict[str, Any]) -> Dict[str, Any]:
        """{member id: metadata} to {member id: assignment}."""
        raise NotImplementedError

    def metadata(self, topics: Any) -> Any:
        raise NotImplementedError

    def on_assignment(self, assignment: Any) -> None:
        """Runs in a member that has got its partitions."""
        raise NotImplementedError
