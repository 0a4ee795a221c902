# SPDX-License-Identifier: MIT
"""Errors that only a store has, and which class each code of the library becomes.

Where kafka-python raises an AssertionError and its successor a TypeError, a ValueError or an
IllegalStateError, one class here is both, so that programs written for either catch it.
"""
from __future__ import annotations

from typing import Dict, Optional, Type

from . import broker, client
from .base import KafkaError


class ArgumentTypeError(KafkaError, AssertionError, TypeError):
    """An argument of the wrong type."""


class ArgumentValueError(client.IllegalArgumentError, AssertionError, ValueError):
    """An argument that cannot be."""


class StateError(client.IllegalStateError, AssertionError, ValueError):
    """The call does not fit what was called before."""


class ClosedError(StateError):
    """The handle, or its store, is closed."""


class ForkedError(KafkaError):
    """The handle is from before fork(): the child opens its own."""


class RetriableError(KafkaError):
    """The same call may succeed later."""

    retriable = True


class BusyError(RetriableError):
    """Held by somebody else for too long."""


class Interrupted(RetriableError):
    """A signal arrived."""


class WakeupError(RetriableError):
    """wakeup() ended the poll."""


class NotFoundError(KafkaError, LookupError):
    """Not there."""


class ExistsError(KafkaError):
    """There already."""


class OutOfMemoryError(KafkaError, MemoryError):
    """Out of memory."""


class NoSpaceError(broker.KafkaStorageError, OSError):
    """The disk or a quota is full. The errno is the system's, for who catches OSError."""

    errno = 28


class FormatVersionError(KafkaError):
    """Written by a newer, incompatible version."""


class ConflictError(KafkaError):
    """The partition does not end where the caller expected; offset is where it ends."""


class OptionsDifferError(KafkaError):
    """The directory is open in this process already, with other properties."""


class ReadOnlyError(KafkaError):
    """The store was opened read-only, or its files may not be written."""


class AbortedError(KafkaError):
    """Given up; nothing of it happened."""


class SyncFailedError(broker.KafkaStorageError):
    """A sync failed earlier: the partition cannot promise durability any more."""


class UnsupportedError(KafkaError):
    """Not possible on this system or with this build."""


class ConfigError(broker.InvalidConfigurationError, ValueError):
    """No such property, a value that it does not take, or values that contradict each other."""


class BugError(KafkaError):
    """The library broke a rule of its own: please report it."""


BY_CODE: Dict[int, Type[KafkaError]] = {
    -1: broker.OffsetOutOfRangeError,
    -2: broker.CorruptRecordError,
    -3: broker.UnknownTopicOrPartitionError,
    -10: broker.MessageSizeTooLargeError,
    -12: broker.OffsetMetadataTooLargeError,
    -17: broker.InvalidTopicError,
    -22: broker.IllegalGenerationError,
    -23: broker.InconsistentGroupProtocolError,
    -24: broker.InvalidGroupIdError,
    -25: broker.UnknownMemberIdError,
    -27: broker.RebalanceInProgressError,
    -32: broker.InvalidTimestampError,
    -36: broker.TopicAlreadyExistsError,
    -37: broker.InvalidPartitionsError,
    -40: ConfigError,
    -44: broker.PolicyViolationError,
    -68: broker.NonEmptyGroupError,
    -69: broker.GroupIdNotFoundError,
    -82: broker.FencedInstanceIdError,
    -86: broker.GroupSubscribedToTopicError,
    -87: broker.InvalidRecordError,
    -1000: ArgumentValueError,
    -1001: NotFoundError,
    -1002: ExistsError,
    -1003: BusyError,
    -1004: OutOfMemoryError,
    -1005: broker.KafkaStorageError,
    -1006: NoSpaceError,
    -1007: FormatVersionError,
    -1008: ConflictError,
    -1009: OptionsDifferError,
    -1010: ReadOnlyError,
    -1011: client.KafkaTimeoutError,
    -1012: AbortedError,
    -1014: WakeupError,
    -1015: Interrupted,
    -1016: ClosedError,
    -1017: ForkedError,
    -1018: SyncFailedError,
    -1019: UnsupportedError,
    -1020: ConfigError,
    -1021: ConfigError,
    -1022: BugError,
}


def make(
    code: int,
    name: str,
    text: str,
    path: Optional[str] = None,
    topic: Optional[str] = None,
    partition: Optional[int] = None,
    offset: Optional[int] = None,
    system_errno: int = 0,
) -> KafkaError:
    """The error of a code, with all that is known of it."""
    error = BY_CODE.get(code, KafkaError)(text or name)
    error.code = code
    error.name = name
    error.path = path
    error.topic = topic
    error.partition = partition
    error.offset = offset
    error.system_errno = system_errno
    return error
