# SPDX-License-Identifier: MIT
"""What has properties."""
from __future__ import annotations

from enum import IntEnum
from typing import Any, Optional


class ConfigResourceType(IntEnum):
    BROKER = 4
    TOPIC = 2


class ConfigResource:
    """configs: {name: value} to be set, or names to be told; None: all."""

    def __init__(self, resource_type: Any, name: str, configs: Optional[Any] = None) -> None:
        if not isinstance(resource_type, ConfigResourceType):
            resource_type = ConfigResourceType[str(resource_type).upper()]
        self.resource_type = resource_type
        self.name = name
        self.configs = configs
