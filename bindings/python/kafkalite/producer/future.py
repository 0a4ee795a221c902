# SPDX-License-Identifier: MIT
"""What send() answers."""
from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Optional

from ..errors import KafkaTimeoutError
from ..future import Future
from ..structs import TopicPartition


class RecordMetadata(NamedTuple):
    """Where a record is. log_start_offset is not told (-1), and checksum is None."""

    topic: str
    partition: int
    topic_partition: TopicPartition
    offset: int
    timestamp: Optional[int]
    log_start_offset: int
    checksum: None
    serialized_key_size: int
    serialized_value_size: int
    serialized_header_size: int


make_metadata: Any = partial(tuple.__new__, RecordMetadata)


class FutureProduceResult(Future):
    """Of a batch, in programs that look at such things."""

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition


class FutureRecordMetadata(Future):
    """Resolves to a RecordMetadata."""

    def get(self, timeout: Optional[float] = None) -> RecordMetadata:
        """Wait, at most so many seconds, for what became of the record; raises what went wrong."""
        if not self.is_done and not self.wait(timeout):
            raise KafkaTimeoutError(f"Timeout after waiting for {timeout} secs.")
        if self.exception is not None:
            raise self.exception
        metadata: RecordMetadata = self.value
        return metadata


def done(value: Any) -> FutureRecordMetadata:
    """One that is complete from the start: nobody else has seen it."""
    future = FutureRecordMetadata()
    future.value = value
    future.is_done = True
    return future


def failed(error: BaseException) -> FutureRecordMetadata:
    future = FutureRecordMetadata()
    future.exception = error
    future.is_done = True
    return future
