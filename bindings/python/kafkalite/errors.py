# SPDX-License-Identifier: MIT
"""All errors: kafka-python's names and hierarchy, and those that only a store has.

KafkaError is the root of everything that the library raises; KafkaliteError is another name of it.
"""
from __future__ import annotations

from typing import Any, Dict, Type

from ._errors import broker as _broker
from ._errors.base import BrokerResponseError as BrokerResponseError
from ._errors.base import KafkaError as KafkaError
from ._errors.broker import *  # noqa: F401,F403
from ._errors.client import *  # noqa: F401,F403
from ._errors.client import (
    FailedPayloadsError,
    KafkaConnectionError,
    KafkaUnavailableError,
)
from ._errors.store import AbortedError as AbortedError
from ._errors.store import ArgumentTypeError as ArgumentTypeError
from ._errors.store import ArgumentValueError as ArgumentValueError
from ._errors.store import BugError as BugError
from ._errors.store import BusyError as BusyError
from ._errors.store import ClosedError as ClosedError
from ._errors.store import ConfigError as ConfigError
from ._errors.store import ConflictError as ConflictError
from ._errors.store import ExistsError as ExistsError
from ._errors.store import ForkedError as ForkedError
from ._errors.store import FormatVersionError as FormatVersionError
from ._errors.store import Interrupted as Interrupted
from ._errors.store import NoSpaceError as NoSpaceError
from ._errors.store import NotFoundError as NotFoundError
from ._errors.store import OptionsDifferError as OptionsDifferError
from ._errors.store import OutOfMemoryError as OutOfMemoryError
from ._errors.store import ReadOnlyError as ReadOnlyError
from ._errors.store import RetriableError as RetriableError
from ._errors.store import StateError as StateError
from ._errors.store import SyncFailedError as SyncFailedError
from ._errors.store import UnsupportedError as UnsupportedError
from ._errors.store import WakeupError as WakeupError

KafkaliteError = KafkaError

kafka_errors: Dict[Any, Type[BrokerResponseError]] = {
    kind.errno: kind
    for kind in vars(_broker).values()
    if isinstance(kind, type)
    and issubclass(kind, BrokerResponseError)
    and kind is not BrokerResponseError
}


def for_code(error_code: int) -> Type[BrokerResponseError]:
    """The class of one of Kafka's numbers."""
    return kafka_errors.get(error_code, _broker.UnknownError)


def check_error(response: Any) -> None:
    """Raises what an answer says, if it says an error."""
    if isinstance(response, Exception):
        raise response
    if response.error:
        raise for_code(response.error)(response)


RETRY_BACKOFF_ERROR_TYPES = (
    KafkaUnavailableError,
    _broker.LeaderNotAvailableError,
    KafkaConnectionError,
    FailedPayloadsError,
)
RETRY_REFRESH_ERROR_TYPES = (
    _broker.NotLeaderForPartitionError,
    _broker.UnknownTopicOrPartitionError,
    _broker.LeaderNotAvailableError,
    KafkaConnectionError,
)
RETRY_ERROR_TYPES = RETRY_BACKOFF_ERROR_TYPES + RETRY_REFRESH_ERROR_TYPES

# They are defined elsewhere, but this is where programs find them, and what tracebacks name.
for _kind in list(globals().values()):
    if isinstance(_kind, type) and issubclass(_kind, KafkaError):
        _kind.__module__ = __name__
