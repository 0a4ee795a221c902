# SPDX-License-Identifier: MIT
"""Names that programs import; there are no connections."""
from __future__ import annotations

from typing import Any

from ._facade.cluster import ConnectionStates as ConnectionStates
from .errors import UnsupportedVersionError


class BrokerConnection:
    """Cannot be made."""

    def __init__(self, host: Any, port: Any, afi: Any, **configs: Any) -> None:
        raise UnsupportedVersionError("there are no connections: a store is a directory")
