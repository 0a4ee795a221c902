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


def serializer(given: Any) -> Optional[Callable[[str, Any], Any]]:
    """f(topic, object) -> bytes, or None when there is nothing to do."""
    if not given:
        return None
    method = getattr(given, "serialize", None)
    if method is None:
        return lambda topic, value: given(value)
    if _three(method):
        return lambda topic, value: method(topic, None, value)
    chosen: Callable[[str, Any], Any] = method
    return chosen


def deserializer(given: Any) -> Optional[Callable[[str, Any], Any]]:
    """f(topic, bytes) -> object, or None when there is nothing to do."""
    if not given:
        return None
    method = getattr(given, "deserialize", None)
    if method is None:
        return lambda topic, value: given(value)
    if _three(method):
        return lambda topic, value: method(topic, None, value)
    chosen: Callable[[str, Any], Any] = method
    return chosen


def close(given: Any) -> None:
    method = getattr(given, "close", None)
    if method is not None and (hasattr(given, "serialize") or hasattr(given, "deserialize")):
        method()
