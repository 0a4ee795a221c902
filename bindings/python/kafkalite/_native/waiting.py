# SPDX-License-Identifier: MIT
"""Waiting in the library, in pieces that let Python look at its signals.

A signal ends a wait only when the thread already sleeps; one that comes a moment before is seen at
the end of the piece. Only the main thread runs Python's handlers, so only it waits in pieces.
"""
from __future__ import annotations

import time
from typing import Any, Callable, Optional

from .. import _ffi
from .._calls import in_main_thread
from .._errors.store import ArgumentTypeError

PIECE_MS = 40
LONG_MS = 3_600_000
EVENT, WOKEN, INTERRUPTED, TIMED_OUT = -1013, -1014, _ffi.INTERRUPTED, -1011
BUSY, NO_SPACE = -1003, -1006


def milliseconds(timeout: Optional[float]) -> int:
    """Seconds as the library counts; None is for ever."""
    if timeout is None:
        return -1
    if not isinstance(timeout, (int, float)):
        raise ArgumentTypeError(f"a timeout is a number of seconds or None, not {type(timeout).__name__}")
    return max(0, min(int(timeout * 1000 + 0.999), 0x7FFFFFFF))


def piece() -> int:
    return PIECE_MS if in_main_thread() else LONG_MS


def until(call: Callable[[int], Any], timeout_ms: int, nothing: int = TIMED_OUT) -> int:
    """call(ms) again and again until it answers other than `nothing`, or time is up.

    Answers the last result; the caller raises when that is an error.
    """
    longest = piece()
    if 0 <= timeout_ms <= longest:
        result: int = call(timeout_ms)
        if result != INTERRUPTED:
            return result
    deadline = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
    while True:
        step = longest
        if deadline is not None:
            step = min(step, max(0, int((deadline - time.monotonic()) * 1000 + 0.999)))
        result = call(step)
        if result == INTERRUPTED:
            result = nothing  # others were waited for
        if result != nothing or (deadline is not None and time.monotonic() >= deadline):
            return result


def checked(call: Callable[[int], Any], timeout_ms: int) -> int:
    result = until(call, timeout_ms)
    if result < 0:
        raise _ffi.last_error(result)
    return result
