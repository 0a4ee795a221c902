# SPDX-License-Identifier: MIT
"""Serializers and deserializers as programs bring them: callables, or objects of either age."""
from __future__ import annotations

import inspect
from typing import Any, Callable, Optional


def _three(method: Callable[..., Any]) -> bool:
    """serialize(topic, headers, value), as the newest kafka-python has it."""
    try:
        return len(inspect.signature(method).parameters) >= 3
    except (TypeError, ValueError):
        return False


Convert = Callable[[str, Any], Any]


def _convert(given: Any, name: str) -> Optional[Convert]:
    if not given:
        return None
    if not hasattr(given, name):
        return lambda topic, value: given(value)
    method: Convert = getattr(given, name)
    if _three(method):
        longer: Callable[..., Any] = method
        return lambda topic, value: longer(topic, None, value)
    return method


def serializer(given: Any) -> Optional[Convert]:
    """f(topic, object) -> bytes, or None when there is nothing to do."""
    return _convert(given, "serialize")


def deserializer(given: Any) -> Optional[Convert]:
    """f(topic, bytes) -> object, or None when there is nothing to do."""
    return _convert(given, "deserialize")


def close(given: Any) -> None:
    method = getattr(given, "close", None)
    if method is not None and (hasattr(given, "serialize") or hasattr(given, "deserialize")):
        method()
