# SPDX-License-Identifier: MIT
"""What a cluster has and a store has not: each says so when it is called."""
from __future__ import annotations

from typing import Any, Callable

from ..errors import UnsupportedVersionError


def _unsupported(name: str, what: str) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        raise UnsupportedVersionError(f"{name}(): a store has no {what}")

    method.__name__ = name
    method.__doc__ = f"UnsupportedVersionError: a store has no {what}."
    return method


class OfClusters:
    """Mixed into KafkaAdminClient."""

    perform_leader_election = _unsupported("perform_leader_election", "leaders")
    elect_leaders = _unsupported("elect_leaders", "leaders")
    alter_partition_reassignments = _unsupported("alter_partition_reassignments", "replicas")
    list_partition_reassignments = _unsupported("list_partition_reassignments", "replicas")
    describe_log_dirs = _unsupported("describe_log_dirs", "log directories: it is one")
    alter_replica_log_dirs = _unsupported("alter_replica_log_dirs", "log directories: it is one")
    describe_user_scram_credentials = _unsupported("describe_user_scram_credentials", "users")
    alter_user_scram_credentials = _unsupported("alter_user_scram_credentials", "users")
    describe_client_quotas = _unsupported("describe_client_quotas", "quotas")
    alter_client_quotas = _unsupported("alter_client_quotas", "quotas")
    describe_features = _unsupported("describe_features", "features of brokers")
    update_features = _unsupported("update_features", "features of brokers")
    describe_metadata_quorum = _unsupported("describe_metadata_quorum", "controllers")
    get_broker_version_data = _unsupported("get_broker_version_data", "brokers")
    describe_producers = _unsupported("describe_producers", "transactions yet")
    list_transactions = _unsupported("list_transactions", "transactions yet")
    describe_transactions = _unsupported("describe_transactions", "transactions yet")
    abort_transaction = _unsupported("abort_transaction", "transactions yet")
