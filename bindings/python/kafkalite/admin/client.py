# SPDX-License-Identifier: MIT
"""KafkaAdminClient: kafka-python's administration over a store."""
from __future__ import annotations

import copy
from typing import Any, ClassVar, Dict, Iterable

from .._facade import options
from .._facade.cluster import Client
from .._native import handles
from ..errors import (
    ClosedError,
    IllegalArgumentError,
    KafkaConfigurationError,
    SecurityDisabledError,
)
from ..version import __version__
from .acl_resource import ACL, ACLFilter
from .groups import GroupOffsets
from .missing import OfClusters
from .topics import Topics


class KafkaAdminClient(Topics, GroupOffsets, OfClusters):
    """Makes, describes, changes and deletes topics and groups."""

    DEFAULT_CONFIG: ClassVar[Dict[str, Any]] = {
        **options.NETWORK,
        **{name: value for name, value in options.SECURITY.items() if name != "ssl_ciphers"},
        "client_id": "kafka-python-" + __version__,
    }

    close_rank = 0

    def __init__(self, **configs: Any) -> None:
        self._closed = True  # until everything is there
        later = {**options.LATER, "ssl_ciphers": None, "allow_auto_create_topics": True}
        unknown = [n for n in configs if n not in self.DEFAULT_CONFIG and n not in later]
        if unknown:
            raise KafkaConfigurationError(f"Unrecognized configs: {set(unknown)}")
        self.config = copy.copy(self.DEFAULT_CONFIG)
        self.config.update(configs)
        options.check_security(self.config)
        self.config["api_version"] = options.api_version(self.config["api_version"])
        options.tell_ignored(self.config, configs, ())
        self._store = options.open_store(self.config)
        self._closed = False
        handles.opened(self)

    def __enter__(self) -> "KafkaAdminClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def _client(self) -> Client:
        return Client(self._store)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("KafkaAdminClient is closed")

    def close(self) -> None:
        """Twice is fine."""
        if not self._closed:
            self._closed = True
            self._store.close()

    def describe_cluster(self) -> Dict[str, Any]:
        """One broker, which is this process."""
        self._check_open()
        return {
            "throttle_time_ms": 0,
            "brokers": [{"node_id": 0, "host": "localhost", "port": 0, "rack": None}],
            "cluster_id": self._store.path,
            "controller_id": 0,
        }

    def describe_acls(self, acl_filter: Any) -> Any:
        """SecurityDisabledError, as of a broker without an authorizer."""
        raise SecurityDisabledError("a store has no users, and no ACLs: its files have modes")

    def create_acls(self, acls: Iterable[Any]) -> Any:
        """The same."""
        if not all(isinstance(acl, ACL) for acl in acls):
            raise IllegalArgumentError("acls must contain ACL objects")
        return self.describe_acls(None)

    def delete_acls(self, acl_filters: Iterable[Any]) -> Any:
        """The same."""
        if not all(isinstance(acl, ACLFilter) for acl in acl_filters):
            raise IllegalArgumentError("acl_filters must contain ACLFilter type objects")
        return self.describe_acls(None)
