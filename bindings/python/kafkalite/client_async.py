# SPDX-License-Identifier: MIT
"""A name that programs import; there is no network to be a client of."""
from __future__ import annotations

from typing import Any

from .errors import UnsupportedVersionError


class KafkaClient:
    """Cannot be made: use KafkaProducer, KafkaConsumer or KafkaAdminClient."""

    def __init__(self, **configs: Any) -> None:
        raise UnsupportedVersionError("there is no network to be a client of")
