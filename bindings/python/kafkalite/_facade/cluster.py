# SPDX-License-Identifier: MIT
"""What assignors, partitioners and curious programs ask of a cluster: one broker, which is this process."""
from __future__ import annotations

from typing import Any, Dict, Optional, Set

from .._native.topic import Topic
from ..errors import UnknownTopicOrPartitionError
from ..structs import BrokerMetadata, TopicPartition

BROKER = BrokerMetadata(0, "localhost", 0, None)


class Cluster:
    def __init__(self, store: Any) -> None:
        self._store = store
        self._brokers: Dict[int, BrokerMetadata] = {BROKER.nodeId: BROKER}

    def brokers(self) -> Set[BrokerMetadata]:
        return set(self._brokers.values())

    def broker_metadata(self, broker_id: int) -> Optional[BrokerMetadata]:
        return self._brokers.get(broker_id)

    @property
    def controller(self) -> BrokerMetadata:
        return BROKER

    @property
    def _topics(self) -> Set[str]:
        return set(self._store.topic_names())

    def topics(self, exclude_internal_topics: bool = True) -> Set[str]:
        hidden = exclude_internal_topics
        return {name for name in self._topics if not (hidden and name.startswith("__"))}

    def partitions_for_topic(self, topic: str) -> Optional[Set[int]]:
        """None for a topic that is not there."""
        try:
            return set(range(Topic(self._store, topic).partitions))
        except UnknownTopicOrPartitionError:
            return None

    available_partitions_for_topic = partitions_for_topic

    def leader_for_partition(self, partition: TopicPartition) -> Optional[int]:
        numbers = self.partitions_for_topic(partition.topic)
        return BROKER.nodeId if numbers and partition.partition in numbers else None


class Client:
    """Where kafka-python keeps its connections: programs look through it at the cluster."""

    def __init__(self, store: Any) -> None:
        self.cluster = Cluster(store)

    def least_loaded_node(self) -> int:
        return BROKER.nodeId
