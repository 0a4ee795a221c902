# SPDX-License-Identifier: MIT
"""The root of all errors, and the root of those that have a number in Kafka."""
from __future__ import annotations

from typing import Any, Optional


class KafkaError(RuntimeError):
    """Whatever goes wrong.

    When the library found it, the error says where: code and name are its own ("KFL_E_NO_SPACE"),
    path, topic, partition and offset are those concerned, or None. system_errno is the errno of a
    system call, or 0.
    """

    retriable = False
    invalid_metadata = False

    code: int = 0
    name: str = ""
    path: Optional[str] = None
    topic: Optional[str] = None
    partition: Optional[int] = None
    offset: Optional[int] = None
    system_errno: int = 0

    def __str__(self) -> str:
        kind = self.__class__.__name__
        if not self.args:
            return kind
        text = str(self.args[0]) if len(self.args) == 1 else str(self.args)
        return f"{kind}: {text}"


class BrokerResponseError(KafkaError):
    """An error with a number in Kafka; errno, message and description are Kafka's."""

    errno: Any = None
    message: Any = None
    description: Any = None

    def __str__(self) -> str:
        return f"[Error {self.errno}] {super().__str__()}"
