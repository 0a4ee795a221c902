# SPDX-License-Identifier: MIT
"""Records as kafka-python hands them out."""
from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import Any, Callable, List, NamedTuple, Optional, Tuple

from .._native.records import Batch
from ..errors import NoOffsetForPartitionError

__all__ = ["ConsumerRecord", "NoOffsetForPartitionError"]


class ConsumerRecord(NamedTuple):
    """One record. A missing key or value is None; sizes are -1 for what is missing."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: Any
    value: Any
    headers: List[Tuple[str, Optional[bytes]]]
    checksum: None
    serialized_key_size: int
    serialized_value_size: int
    serialized_header_size: int


_make: Any = partial(tuple.__new__, ConsumerRecord)
Deserialize = Optional[Callable[[str, Any], Any]]


def _headers_size(headers: Any) -> int:
    if not headers:
        return -1
    return sum(len(name.encode()) + len(value or b"") for name, value in headers)


def _deserialized(f: Deserialize, topics: Any, values: Any) -> Tuple[Any, Optional[BaseException]]:
    """As many as go well, and what ended it."""
    if f is None:
        return values, None
    done: List[Any] = []
    try:
        for topic, value in zip(topics, values):
            done.append(f(topic, value))
    except Exception as error:
        return done, error
    return done, None


def records_of(
    batch: Batch, deserialize_key: Deserialize, deserialize_value: Deserialize
) -> Tuple[List[ConsumerRecord], Optional[BaseException]]:
    """The records up to the first that a deserializer cannot take, and what it raised."""
    topics, partitions, offsets, timestamps, keys, values, headers = batch.columns()
    key_sizes, value_sizes = batch.sizes()
    keys, bad_key = _deserialized(deserialize_key, topics, keys)
    values, bad_value = _deserialized(deserialize_value, topics, values)
    plain = isinstance(headers, repeat)
    records = list(
        map(
            _make,
            zip(
                topics,
                partitions,
                offsets,
                timestamps,
                batch.timestamp_types(),
                keys,
                values,
                [[] for _ in topics] if plain else map(list, headers),
                repeat(None),
                key_sizes,
                value_sizes,
                repeat(-1) if plain else map(_headers_size, headers),
            ),
        )
    )
    return records, bad_key if len(keys) <= len(values) and bad_key else bad_value
