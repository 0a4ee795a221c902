# SPDX-License-Identifier: MIT
"""ClusterMetadata, for programs that list brokers, topics and partitions with it."""
from __future__ import annotations

import copy
from typing import Any, ClassVar, Dict

from ._facade import options
from ._facade.cluster import Cluster


class ClusterMetadata(Cluster):
    """A store as a cluster, fresh at each look; it stays open until it is collected."""

    DEFAULT_CONFIG: ClassVar[Dict[str, Any]] = {
        "retry_backoff_ms": 100,
        "metadata_max_age_ms": 300000,
        "bootstrap_servers": [],
    }

    def __init__(self, **configs: Any) -> None:
        self.config = copy.copy(self.DEFAULT_CONFIG)
        self.config.update({name: configs[name] for name in configs if name in self.config})
        super().__init__(options.open_store(self.config))
