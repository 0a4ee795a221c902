# SPDX-License-Identifier: MIT
"""KafkaClient, for programs that wait for a broker or list its topics with it. It sends nothing: there is no network."""
from __future__ import annotations

import copy
from typing import Any, ClassVar, Dict

from ._facade import options
from ._facade.cluster import Client
from .errors import UnsupportedVersionError
from .version import __version__


class KafkaClient(Client):
    """Looks at a store as at a cluster: `cluster` has brokers, topics and partitions."""

    DEFAULT_CONFIG: ClassVar[Dict[str, Any]] = {
        **options.NETWORK,
        **options.SECURITY,
        "client_id": "kafka-python-" + __version__,
    }

    def __init__(self, **configs: Any) -> None:
        self.config = copy.copy(self.DEFAULT_CONFIG)
        self.config.update({name: configs[name] for name in configs if name in self.config})
        options.check_security(self.config)
        self.config["api_version"] = options.api_version(self.config["api_version"])
        super().__init__(options.open_store(self.config))

    def send(self, node_id: Any, request: Any, wakeup: bool = True) -> Any:
        raise UnsupportedVersionError("there is no network to send a request over")

    def close(self, node_id: Any = None) -> None:
        """Twice is fine."""
        self.cluster._store.close()
