# SPDX-License-Identifier: MIT
"""KafkaProducer: kafka-python's producer over a store."""
from __future__ import annotations

import copy
import itertools
import logging
import time
from typing import Any, ClassVar, Dict, Optional, Set, Tuple

from .._facade import metrics, options, serialize
from .._facade.cluster import Cluster
from .._native import handles
from .._native.producer import ANY, Producer
from .._native.topic import Topic
from ..errors import (
    ArgumentTypeError,
    ArgumentValueError,
    BrokerResponseError,
    ClosedError,
    ConfigError,
    KafkaConfigurationError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)
from ..partitioner import DefaultPartitioner
from ..structs import TopicPartition
from .future import FutureRecordMetadata, done, failed, make_metadata
from .sender import Entry, Sender

log = logging.getLogger("kafkalite")

_sequence = itertools.count(1)
_BYTES = (bytes, bytearray, memoryview, type(None))
# What a batch and a record cost besides key, value and headers, in Kafka's format.
_OVERHEAD = 61 + 21
_NO_ARGUMENT: Any = object()


class KafkaProducer:
    """Sends records; any number of threads may share one.

    With acks=1 (the default), no linger and no compression a record is in the log when send()
    returns. Else a thread gathers records, and the future resolves when they are as safe as acks
    says.
    """

    DEFAULT_CONFIG: ClassVar[Dict[str, Any]] = {
        **options.NETWORK,
        **options.SECURITY,
        "client_id": None,
        "key_serializer": None,
        "value_serializer": None,
        "acks": 1,
        "bootstrap_topics_filter": set(),
        "compression_type": None,
        "retries": 0,
        "batch_size": 16384,
        "linger_ms": 0,
        "partitioner": DefaultPartitioner(),
        "buffer_memory": 33554432,
        "max_block_ms": 60000,
        "max_request_size": 1048576,
    }
    _LATER: ClassVar[Dict[str, Any]] = {
        **options.LATER,
        "enable_idempotence": False,
        "allow_auto_create_topics": True,
        "delivery_timeout_ms": 120000,
        "transactional_id": None,
        "transaction_timeout_ms": 60000,
    }
    _IGNORED = ("retries", "delivery_timeout_ms", "enable_idempotence", "bootstrap_topics_filter")

    close_rank = 0

    def __init__(self, **configs: Any) -> None:
        self._closed = True  # until everything is there
        self.config = copy.copy(self.DEFAULT_CONFIG)
        self.config.update({name: configs[name] for name in self._LATER if name in configs})
        unknown = [n for n in configs if n not in self.DEFAULT_CONFIG and n not in self._LATER]
        if unknown:
            raise ArgumentValueError(
                f"Unrecognized configs: { {name: configs[name] for name in unknown} }"
            )
        self.config.update(configs)
        self._check_config()
        options.tell_ignored(self.config, configs, self._IGNORED)
        self._auto_create = self.config.get("allow_auto_create_topics", True)
        self._serialize_key = serialize.serializer(self.config["key_serializer"])
        self._serialize_value = serialize.serializer(self.config["value_serializer"])
        partitioner = self.config["partitioner"]
        self._partitioner = None if type(partitioner) is DefaultPartitioner else partitioner
        self._metrics = metrics.Produced()
        self._store = options.open_store(self.config)
        gathers = self._gathers()
        self._native = self._open_native(self._codec())
        self._sender = self._make_sender() if gathers else None
        self._closed = False
        handles.opened(self)

    def _check_config(self) -> None:
        config = self.config
        if config["client_id"] is None:
            config["client_id"] = f"kafka-python-producer-{next(_sequence)}"
        if config["acks"] == "all":
            config["acks"] = -1
        if config["acks"] not in (0, 1, -1, "0", "1", "-1"):
            raise ArgumentValueError(f"acks is 0, 1, -1 or 'all', not {config['acks']!r}")
        config["acks"] = int(config["acks"])
        if config["compression_type"] not in (None, "gzip", "snappy", "lz4", "zstd"):
            raise ArgumentValueError(f"Not supported codec: {config['compression_type']}")
        if config.get("transactional_id") is not None:
            raise KafkaConfigurationError("transactional_id: this version has no transactions")
        options.check_security(config)
        config["api_version"] = options.api_version(config["api_version"])

    def _gathers(self) -> bool:
        config = self.config
        return bool(config["linger_ms"] or config["compression_type"] or config["acks"] == -1)

    def _codec(self) -> Optional[str]:
        """gzip and snappy are not among the store's codecs: lz4 does the same for less time."""
        asked = self.config["compression_type"]
        if asked not in ("gzip", "snappy"):
            return None if asked is None else str(asked)
        log.info("compression_type=%s: records are stored as lz4", asked)
        return "lz4"

    def _open_native(self, codec: Optional[str]) -> Producer:
        try:
            return self._store.producer(
                acks={-1: "all"}.get(self.config["acks"], str(self.config["acks"])),
                compression_type=codec,
                max_block_ms=min(int(self.config["max_block_ms"]), 0x7FFFFFFF),
            )
        except ConfigError:
            if codec is None:
                raise
            log.warning("this build has no %s: records are stored uncompressed", codec)
            return self._open_native(None)

    def _make_sender(self) -> Sender:
        store, auto_create = self._store, self._auto_create

        def ensure(topic: str) -> None:
            if auto_create:
                _ensure_topic(store, topic)

        return Sender(
            self._native,
            ensure,
            float(self.config["linger_ms"]) / 1000,
            self.config["batch_size"],
            self.config["buffer_memory"],
        )

    def __enter__(self) -> "KafkaProducer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_closed", True):
            return
        self._closed = True
        native, store = self._native, self._store

        def close() -> None:
            native.close()
            store.close()

        if self._sender is not None:
            self._sender.abandon(close)
        else:
            close()

    def bootstrap_connected(self) -> bool:
        """True while it is open."""
        return not self._closed

    def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        headers: Any = None,
        partition: Optional[int] = None,
        timestamp_ms: Optional[int] = None,
    ) -> FutureRecordMetadata:
        """Publish a record; the future tells where it went, or what went wrong.

        Arguments that cannot be raise at once; what the store says comes in the future.
        """
        if self._closed:
            handles.wait_for_the_end()
            raise ClosedError("KafkaProducer is closed")
        if value is None and key is None:
            raise ArgumentTypeError("Need at least one: key or value")
        if self._serialize_key is not None:
            key = self._serialize_key(topic, key)
        if self._serialize_value is not None:
            value = self._serialize_value(topic, value)
        key_size, value_size = _checked(key, "key"), _checked(value, "value")
        headers_size = _headers_size(headers) if headers is not None else -1
        size = _OVERHEAD + key_size + value_size + max(headers_size, 0)
        if timestamp_ms is None:
            timestamp_ms = int(time.time() * 1000)
        try:
            if size > self.config["max_request_size"]:
                raise _too_large(
                    size,
                    "the maximum request size you have configured with the max_request_size"
                    " configuration",
                )
            if size > self.config["buffer_memory"]:
                raise _too_large(
                    size,
                    "the total memory buffer you have configured with the buffer_memory"
                    " configuration.",
                )
            number = self._number(topic, partition, key)
            sizes = (key_size, value_size, headers_size)
            if self._sender is not None:
                future = FutureRecordMetadata()
                entry = Entry(
                    _as_bytes(key), _as_bytes(value), headers, number, timestamp_ms, sizes, future
                )
                self._metrics.count(size)
                self._sender.add(topic, entry, self.config["max_block_ms"] / 1000)
                return future
            place, offset = self._send(topic, value, key, headers, number, timestamp_ms)
        except BrokerResponseError as error:
            self._metrics.errors += 1
            return failed(error)
        except ClosedError:
            handles.wait_for_the_end()
            raise
        self._metrics.count(size)
        return done(
            make_metadata(
                (
                    topic,
                    place,
                    TopicPartition(topic, place),
                    offset,
                    timestamp_ms,
                    -1,
                    None,
                    *sizes,
                )
            )
        )

    def _send(self, topic: str, *arguments: Any) -> Tuple[int, Any]:
        value, key, headers, partition, timestamp = arguments
        try:
            return self._native.send_at(topic, value, key, headers, partition, timestamp)
        except UnknownTopicOrPartitionError:
            if partition != ANY or not self._auto_create:
                raise
        _ensure_topic(self._store, topic)
        return self._native.send_at(topic, value, key, headers, partition, timestamp)

    def _number(self, topic: str, partition: Optional[int], key: Any) -> int:
        """A number; ANY leaves it to the library, which hashes as the default partitioner does."""
        if partition is None and self._partitioner is None:
            return ANY
        if partition is None:
            numbers = sorted(self.partitions_for(topic))
            return self._ask_partitioner(topic, _as_bytes(key), numbers)
        if not isinstance(partition, int) or partition < 0:
            raise ArgumentValueError(f"a partition is 0 or more, not {partition!r}")
        if partition not in self.partitions_for(topic):
            raise ArgumentValueError("Unrecognized partition")
        return partition

    def _ask_partitioner(self, topic: str, key: Optional[bytes], numbers: Any) -> int:
        if callable(self._partitioner):
            return int(self._partitioner(key, numbers, numbers))
        assert self._partitioner is not None
        return int(
            self._partitioner.partition(topic, key, key, None, None, Cluster(self._store))
        )

    # What tracers and other programs that wrap send() ask of kafka-python's producer ------------

    @property
    def _metadata(self) -> Cluster:
        return Cluster(self._store)

    @staticmethod
    def _serialize(f: Any, topic: str, data: Any) -> Any:
        convert = serialize.serializer(f)
        return data if convert is None else convert(topic, data)

    def _partition(
        self,
        topic: str,
        partition: Optional[int],
        key: Any,
        value: Any,
        serialized_key: Optional[bytes],
        serialized_value: Optional[bytes],
    ) -> int:
        """Where send() would put the record, if it has a key; without one it is anybody's guess."""
        number = self._number(topic, partition, serialized_key)
        if number != ANY:
            return number
        numbers = sorted(self.partitions_for(topic))
        return DefaultPartitioner()(serialized_key, numbers, numbers)

    def partitions_for(self, topic: str) -> Set[int]:
        """The numbers of a topic's partitions; the topic is made if need be."""
        if self._closed:
            raise ClosedError("KafkaProducer is closed")
        if self._auto_create:
            _ensure_topic(self._store, topic)
        return set(range(Topic(self._store, topic).partitions))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Until all that was sent is stored, or has failed. KafkaTimeoutError. Seconds.

        After close() there is nothing left to wait for.
        """
        if self._closed:
            return
        if self._sender is not None:
            self._sender.flush(timeout)
        else:
            self._native.flush(timeout)

    def close(self, timeout: Optional[float] = None, null_logger: bool = False) -> None:
        """Flush, at most so many seconds, and close. A second call does nothing."""
        if self._closed:
            return
        if timeout is not None and timeout < 0:
            raise ArgumentValueError(f"timeout must not be negative: {timeout}")
        self._closed = True
        if self._sender is not None:
            self._sender.close(timeout)
        self._native.close()
        self._store.close()
        for name in ("key_serializer", "value_serializer"):
            serialize.close(self.config[name])

    def metrics(self, raw: bool = False) -> Dict[str, Any]:
        """{group: {name: number}}: how many records and bytes, how fast, and how many failed."""
        return self._metrics.told()

    @staticmethod
    def max_usable_produce_magic(api_version: Any = None) -> int:
        """Of Kafka's record formats, the one with headers."""
        return 2

    def _max_usable_produce_magic(self) -> int:
        return 2


def _ensure_topic(store: Any, topic: str) -> None:
    try:
        Topic(store, topic).partitions
    except UnknownTopicOrPartitionError:
        store.create_topic(topic, exist_ok=True)
        log.info("topic %s made by its first use, with one partition", topic)


def _checked(value: Any, what: str) -> int:
    """The size of bytes, -1 of None."""
    if type(value) is bytes:
        return len(value)
    if type(value) not in _BYTES:
        raise ArgumentTypeError(
            f"Unsupported type for {what}: {type(value)}: it is bytes or None, or there is a"
            f" {what}_serializer that makes it so"
        )
    return -1 if value is None else memoryview(value).nbytes


def _as_bytes(value: Any) -> Any:
    return value if value is None or type(value) is bytes else bytes(value)


def _headers_size(headers: Any) -> int:
    if type(headers) is not list or not all(
        type(item) is tuple
        and len(item) == 2
        and type(item[0]) is str
        and type(item[1]) in (bytes, type(None))
        for item in headers
    ):
        raise ArgumentTypeError("headers are a list of tuples of a str and bytes")
    if not headers:
        return -1
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)


def _too_large(size: int, what: str) -> MessageSizeTooLargeError:
    return MessageSizeTooLargeError(
        f"The message is {size} bytes when serialized which is larger than {what}"
    )
