# SPDX-License-Identifier: MIT
"""Waiting in the library, in pieces that let Python look at its signals.

A signal ends a wait only when the thread already sleeps; one that comes a moment before is seen at
the end of the piece. Only the main thread runs Python's handlers, so only it waits in pieces.
"""
from __future__ import annotations

import threading
import time
from typing import Any, Callable, List, Optional, Tuple, TypeVar

from .. import _ffi
from .._errors.store import ArgumentTypeError

T = TypeVar("T")

PIECE_MS = 40
LONG_MS = 3_600_000
EVENT, WOKEN, INTERRUPTED, TIMED_OUT = -1013, -1014, -1015, -1011
BUSY, NO_SPACE = -1003, -1006


def milliseconds(timeout: Optional[float]) -> int:
    """Seconds as the library counts; None is for ever."""
    if timeout is None:
        return -1
    if not isinstance(timeout, (int, float)):
        raise ArgumentTypeError(f"a timeout is a number of seconds or None, not {type(timeout).__name__}")
    return max(0, min(int(timeout * 1000 + 0.999), 0x7FFFFFFF))


def piece() -> int:
    return PIECE_MS if threading.current_thread() is threading.main_thread() else LONG_MS


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
            continue
        if result != nothing or (deadline is not None and time.monotonic() >= deadline):
            return result


def checked(call: Callable[[int], Any], timeout_ms: int) -> int:
    result = until(call, timeout_ms)
    if result < 0:
        raise _ffi.last_error(result)
    return result


def aside(call: Callable[[], T]) -> T:
    """call(), which reads for a long time and looks at no signal: in another thread, which Ctrl-C leaves to itself."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    answers: List[Tuple[Optional[T], Optional[BaseException]]] = []

    def run() -> None:
        try:
            answers.append((call(), None))
        except BaseException as error:
            answers.append((None, error))

    thread = threading.Thread(target=run, name="kafkalite-aside", daemon=True)
    thread.start()
    thread.join()
    answer, error = answers.pop()
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
