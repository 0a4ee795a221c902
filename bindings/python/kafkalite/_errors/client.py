# SPDX-License-Identifier: MIT
"""kafka-python's errors that have no number."""
from __future__ import annotations

from typing import Any

from .base import KafkaError


class IllegalStateError(KafkaError):
    """The call does not fit what was called before."""


class IllegalArgumentError(KafkaError):
    """An argument that cannot be."""


class NoBrokersAvailable(KafkaError):
    """Never raised: a store has no brokers."""

    retriable = True
    invalid_metadata = True


class NodeNotReadyError(KafkaError):
    """Never raised: a store has no nodes."""

    retriable = True


class KafkaProtocolError(KafkaError):
    """Never raised: there is no protocol."""

    retriable = True


class CorrelationIdError(KafkaProtocolError):
    """Never raised: there is no protocol."""

    retriable = True


class Cancelled(KafkaError):
    """The call was given up."""

    retriable = True


class TooManyInFlightRequests(KafkaError):
    """Never raised: there are no requests."""

    retriable = True


class StaleMetadata(KafkaError):
    """Never raised: metadata is always fresh."""

    retriable = True
    invalid_metadata = True


class MetadataEmptyBrokerList(KafkaError):
    """Never raised: a store has no brokers."""

    retriable = True


class UnrecognizedBrokerVersion(KafkaError):
    """Never raised: a store has no brokers."""


class IncompatibleBrokerVersion(KafkaError):
    """Never raised: a store has no brokers."""


class AuthenticationMethodNotSupported(KafkaError):
    """Never raised: there are no users."""


class AuthenticationFailedError(KafkaError):
    """Never raised: there are no users."""


class KafkaUnavailableError(KafkaError):
    """Never raised: a store is always there."""


class KafkaConnectionError(KafkaError):
    """Never raised: there are no connections."""

    retriable = True
    invalid_metadata = True


class ProtocolError(KafkaError):
    """Never raised: there is no protocol."""


class UnsupportedCodecError(KafkaError):
    """A codec that was not built in."""


class KafkaConfigurationError(KafkaError):
    """A bad option, or options that contradict each other."""


class QuotaViolationError(KafkaError):
    """Never raised: there are no quotas."""


class NoOffsetForPartitionError(KafkaError):
    """Nothing is committed, and auto_offset_reset is 'none'."""


class TransactionAbortedError(KafkaError):
    """The transaction was given up."""



class CommitFailedError(KafkaError):
    """The member is out of its group: its partitions are somebody else's now."""

    def __init__(self, *args: Any) -> None:
        if not args:
            args = (
                "the group has given this member's partitions to others, so nothing was committed."
                " Poll more often than max_poll_interval_ms, or ask for fewer records by"
                " max_poll_records",
            )
        super().__init__(*args)


class KafkaTimeoutError(KafkaError):
    """Time ran out."""


class FailedPayloadsError(KafkaError):
    """Never raised: there are no payloads."""

    def __init__(self, payload: Any, *args: Any) -> None:
        super().__init__(*args)
        self.payload = payload


class AsyncProducerQueueFull(KafkaError):
    """Never raised: a producer waits for room."""

    def __init__(self, failed_msgs: Any, *args: Any) -> None:
        super().__init__(*args)
        self.failed_msgs = failed_msgs
