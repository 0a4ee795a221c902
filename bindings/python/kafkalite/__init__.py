# SPDX-License-Identifier: MIT
"""kafkalite: Kafka's log, inside your process.

    import kafkalite

    with kafkalite.open("./data") as log:
        log.create_topic("orders", partitions=3, exist_ok=True)
        with log.producer() as producer:
            producer.send("orders", key=b"o-1", value=b"2 books")
        for record in log.topic("orders").read():
            print(record.offset, record.key, record.value)

Programs written for kafka-python run with `kafka` changed to `kafkalite` in their imports:
KafkaProducer, KafkaConsumer, KafkaAdminClient and their modules are here under the same names.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._load import VERSION as __version__
from ._native.consumer import Consumer
from ._native.events import Event
from ._native.group import Group, Groups
from ._native.offset import Offset
from ._native.producer import Producer
from ._native.records import Batch, Record
from ._native.table import Table
from ._native.store import Store, open as open, repair
from ._native.topic import Topic
from .errors import KafkaliteError
from .structs import OffsetAndMetadata, TopicPartition

if TYPE_CHECKING:
    from .admin import KafkaAdminClient
    from .client_async import KafkaClient
    from .conn import BrokerConnection
    from .consumer import KafkaConsumer
    from .consumer.subscription_state import ConsumerRebalanceListener
    from .producer import KafkaProducer
    from .serializer import Deserializer, Serializer
    from .structs import ConsumerGroupMetadata

# Loaded when they are asked for: a native program does not pay for them.
_LAZY = {
    "BrokerConnection": "conn",
    "KafkaAdminClient": "admin",
    "KafkaClient": "client_async",
    "KafkaConsumer": "consumer",
    "KafkaProducer": "producer",
    "ConsumerRebalanceListener": "consumer.subscription_state",
    "Serializer": "serializer",
    "Deserializer": "serializer",
    "ConsumerGroupMetadata": "structs",
    "TopicPartitionReplica": "structs",
}

# Without open(): a star import would hide the one of Python.
__all__ = [
    "Batch",
    "BrokerConnection",
    "Consumer",
    "ConsumerGroupMetadata",
    "ConsumerRebalanceListener",
    "Deserializer",
    "Event",
    "Group",
    "Groups",
    "KafkaAdminClient",
    "KafkaClient",
    "KafkaConsumer",
    "KafkaProducer",
    "KafkaliteError",
    "Offset",
    "OffsetAndMetadata",
    "Producer",
    "Record",
    "Serializer",
    "Store",
    "Table",
    "Topic",
    "TopicPartition",
    "__version__",
    "install_as_kafka",
    "repair",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'kafkalite' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("." + module, __name__), name)
    globals()[name] = value
    return value


def install_as_kafka() -> None:
    """Make `import kafka`, from now on and in all of this process, mean this package."""
    from ._install import install

    install()
