# SPDX-License-Identifier: MIT
"""What assignors, partitioners and curious programs ask of a cluster: one broker, which is this process."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from .._native.topic import Topic
from ..errors import UnknownTopicOrPartitionError
from ..future import Future
from ..structs import BrokerMetadata, TopicPartition

BROKER = BrokerMetadata(0, "localhost", 0, None)


class Cluster:
    """Always fresh: each question is answered by the store."""

    controller = BROKER
    need_all_topic_metadata = False

    def __init__(self, store: Any) -> None:
        self._store = store
        self._brokers: Dict[int, BrokerMetadata] = {BROKER.nodeId: BROKER}
        self.unauthorized_topics: Set[str] = set()

    def __str__(self) -> str:
        return f"ClusterMetadata(brokers: {len(self._brokers)}, topics: {len(self._topics)})"

    @property
    def cluster_id(self) -> str:
        return str(self._store.path)

    def brokers(self) -> Set[BrokerMetadata]:
        return set(self._brokers.values())

    def broker_metadata(self, broker_id: int) -> Optional[BrokerMetadata]:
        return self._brokers.get(broker_id)

    @property
    def _topics(self) -> Set[str]:
        return set(self._store.topic_names())

    @property
    def internal_topics(self) -> Set[str]:
        return {name for name in self._topics if name.startswith("__")}

    def topics(self, exclude_internal_topics: bool = True) -> Set[str]:
        return self._topics - (self.internal_topics if exclude_internal_topics else set())

    def partitions_for_topic(self, topic: str) -> Optional[Set[int]]:
        """None for a topic that is not there."""
        try:
            return set(range(Topic(self._store, topic).partitions))
        except UnknownTopicOrPartitionError:
            return None

    def available_partitions_for_topic(self, topic: str) -> Optional[Set[int]]:
        return self.partitions_for_topic(topic)

    def leader_for_partition(self, partition: TopicPartition) -> Optional[int]:
        numbers = self.partitions_for_topic(partition.topic)
        return BROKER.nodeId if numbers and partition.partition in numbers else None

    def partitions_for_broker(self, broker_id: int) -> Optional[Set[TopicPartition]]:
        if broker_id not in self._brokers:
            return None
        return {
            TopicPartition(name, number)
            for name in self._topics
            for number in self.partitions_for_topic(name) or ()
        }

    def coordinator_for_group(self, group: str) -> int:
        return BROKER.nodeId

    def is_bootstrap(self, node_id: Any) -> bool:
        """Not one of those that are asked for the others: there are no others."""
        return False

    def request_update(self) -> Future:
        """There is nothing to wait for."""
        return Future().success(self)

    def ttl(self) -> float:
        """Milliseconds until an update is due."""
        return float("inf")

    def refresh_backoff(self) -> float:
        return 0.0

    def add_listener(self, listener: Callable[[Any], Any]) -> None:
        """Nothing changes behind anybody's back, so nobody is told."""

    def remove_listener(self, listener: Callable[[Any], Any]) -> None:
        pass


class ConnectionStates:
    """kafka-python's words for what a connection does; those here are connected or disconnected."""

    DISCONNECTING = "<disconnecting>"
    DISCONNECTED = "<disconnected>"
    CONNECTING = "<connecting>"
    HANDSHAKE = "<handshake>"
    CONNECTED = "<connected>"
    AUTHENTICATING = "<authenticating>"


class Connection(NamedTuple):
    """What programs look at to see whether they reach the broker."""

    node_id: int
    host: str
    port: int
    state: str

    def connected(self) -> bool:
        return self.state is ConnectionStates.CONNECTED


class Client:
    """Where kafka-python keeps its connections: programs look through it at the cluster."""

    def __init__(self, store: Any) -> None:
        self.cluster = Cluster(store)

    @property
    def _conns(self) -> Dict[int, Connection]:
        """One, for as long as the store is open."""
        is_open = self.bootstrap_connected()
        state = ConnectionStates.CONNECTED if is_open else ConnectionStates.DISCONNECTED
        return {BROKER.nodeId: Connection(BROKER.nodeId, BROKER.host, BROKER.port, state)}

    @property
    def _topics(self) -> Set[str]:
        return self.cluster._topics

    def least_loaded_node(self) -> int:
        return BROKER.nodeId

    def bootstrap_connected(self) -> bool:
        return not self.cluster._store.closed

    def connected(self, node_id: Any) -> bool:
        return self.bootstrap_connected()

    def ready(self, node_id: Any, metadata_priority: bool = True) -> bool:
        return self.bootstrap_connected()

    is_ready = ready

    def check_version(
        self, node_id: Any = None, timeout: float = 2, strict: bool = False
    ) -> "tuple[int, ...]":
        from .options import API_VERSION

        return API_VERSION

    def set_topics(self, topics: Any) -> Future:
        return self.cluster.request_update()

    def add_topic(self, topic: str) -> Future:
        return self.cluster.request_update()

    def poll(self, timeout_ms: Optional[float] = None, future: Any = None) -> List[Any]:
        """Nothing is under way."""
        return []

    def wakeup(self) -> None:
        pass
