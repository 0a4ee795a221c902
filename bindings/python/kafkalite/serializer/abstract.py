# SPDX-License-Identifier: MIT
"""What a serializer or deserializer object looks like; a plain callable does as well."""
from __future__ import annotations

from typing import Any, Optional


class Serializer:
    """Turns keys or values into bytes."""

    def __init__(self, **config: Any) -> None:
        pass

    def serialize(self, topic: str, value: Any) -> Optional[bytes]:
        raise NotImplementedError

    def close(self) -> None:
        """Runs when the producer closes."""


class Deserializer:
    """Turns bytes into keys or values."""

    def __init__(self, **config: Any) -> None:
        pass

    def deserialize(self, topic: str, bytes_: Optional[bytes]) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """Runs when the consumer closes."""
