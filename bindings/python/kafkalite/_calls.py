# SPDX-License-Identifier: MIT
"""The library's functions, called.

A function whose C result is a code raises the error of that code. A call of the main thread waits for others for
some milliseconds only, answers KFL_E_INTR, and is made again: in between Python runs the handlers of signals that
have come. Other threads run no handlers, and wait as long as it takes.
"""
from __future__ import annotations

import _thread
import ctypes
import os
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar

from ._abi import CODE, FUNCTIONS, I32, I64, SIZE
from ._errors.base import KafkaError
from ._errors.store import ArgumentTypeError, ArgumentValueError, make
from ._load import VERSION, library

T = TypeVar("T")

INTERRUPTED = -1015
# A call may come to two waits, one behind the other.
PATIENCE_MS = 20
PIECE_S = 0.04


def in_main_thread() -> bool:
    return threading.get_ident() == threading.main_thread().ident


# Has the main thread been told to be impatient? Not yet where another one imports the package.
_told = False


def _tell_main_thread() -> None:
    global _told
    if in_main_thread():
        library["kfl_thread_patience"](PATIENCE_MS)
        _told = True


def last_code() -> int:
    """Of this thread's last call that failed."""
    return int(lib.last_error_code())


def last_error(code: int) -> KafkaError:
    """The error of a code that this thread's last call has answered."""
    text = lib.last_error() if lib.last_error_code() == code else b""
    path, topic = lib.last_error_path(), lib.last_error_topic()
    partition, offset = lib.last_error_partition(), lib.last_error_offset()
    return make(
        code,
        lib.error_name(code).decode(),
        (text or lib.error_text(code)).decode(errors="replace"),
        os.fsdecode(path) if path else None,
        topic.decode() if topic else None,
        partition if topic and partition >= 0 else None,
        offset if offset >= 0 and (topic or code == -1008) else None,
        lib.last_error_errno(),
    )


def error_of(code: int, text: str) -> KafkaError:
    """An error that was told by other means than a result."""
    return make(code, lib.error_name(code).decode(), text or lib.error_text(code).decode())


class _Plain:
    """The functions by name, without their kfl_, for who deals with the code: nothing is raised."""

    def __getattr__(self, name: str) -> Any:
        guarded = _guarded(name, declare(name))
        setattr(self, name, guarded)
        return guarded


class _Library:
    """The same for everybody else: a code that is an error is raised, and KFL_E_INTR asks again."""

    def __getattr__(self, name: str) -> Any:
        guarded = _guarded(name, declare(name))
        if FUNCTIONS[name][0] == CODE:
            guarded = _raising(guarded)
        setattr(self, name, guarded)
        return guarded


def declare(name: str) -> Any:
    """A function that answers its code as it is: for who deals with it, and passes integers that fit."""
    try:
        function = library["kfl_" + name]
    except AttributeError:
        raise ImportError(
            f"kafkalite: {library._name} has no kfl_{name}: it is not of version {VERSION}"
        ) from None
    result, *parameters = FUNCTIONS[name]
    function.restype = ctypes.c_int if result == CODE else result
    function.argtypes = parameters
    return function


# What an integer parameter can be. ctypes alone would cut a larger one to size and say nothing.
_RANGES: Dict[Any, Tuple[int, int]] = {
    I32: (-(1 << 31), (1 << 31) - 1),
    I64: (-(1 << 63), (1 << 63) - 1),
    SIZE: (0, (1 << 64) - 1),
}


def whole(kind: Any, number: Any, what: str = "") -> Any:
    """An int as a value of ctypes, or an error when it does not fit."""
    if isinstance(number, kind):
        return number
    if not isinstance(number, int):
        raise ArgumentTypeError(f"{what}an int is needed, not {type(number).__name__}")
    low, high = _RANGES[kind]
    if not low <= number <= high:
        raise ArgumentValueError(f"{what}{number} is not between {low} and {high}")
    return kind(number)


def _guarded(name: str, function: Any) -> Callable[..., Any]:
    """What an argument cannot be is told as any other error is.

    Integers are looked at here, and not by a from_param() that ctypes calls: when a signal's handler raises an error
    in there (KeyboardInterrupt, say), ctypes takes it for one of the argument.
    """
    numbers = [
        (index, kind, *_RANGES[kind])
        for index, kind in enumerate(FUNCTIONS[name][1:])
        if kind in _RANGES
    ]

    def call(*arguments: Any) -> Any:
        for index, kind, low, high in numbers:
            value = arguments[index]
            if type(value) is not int or not low <= value <= high:
                whole(kind, value, f"kfl_{name}: argument {index + 1}: ")
        if not _told:
            _tell_main_thread()
        try:
            return function(*arguments)
        except ctypes.ArgumentError as error:
            text = f"kfl_{name}: {error}"
        raise ArgumentTypeError(text)

    return call


def _raising(guarded: Callable[..., int]) -> Callable[..., int]:
    def call(*arguments: Any) -> int:
        result = guarded(*arguments)
        while result == INTERRUPTED:
            result = guarded(*arguments)
        if result < 0:
            raise last_error(result)
        return result

    return call


def declare_quick(name: str) -> Any:
    """The same without declared parameters: half the time, for who passes only what is right.

    bytes then go as a pointer to them, and an int as 32 bits: all that is wider must be of its
    ctypes type, see sizes.
    """
    function = library["kfl_" + name]
    function.restype = ctypes.c_int
    return function


lib: Any = _Library()
plain: Any = _Plain()
_tell_main_thread()
# Whichever thread forks is the child's main thread.
os.register_at_fork(after_in_child=_tell_main_thread)


def aside(call: Callable[[], T]) -> T:
    """call(), which takes long by itself or cannot be made twice: in another thread, which Ctrl-C leaves to itself.

    Without threading's books: this may come out of a collection, in the middle of anything.
    """
    if not in_main_thread():
        return call()
    answers: List[Tuple[Optional[T], Optional[BaseException]]] = []
    done = _thread.allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            answers.append((call(), None))
        except BaseException as error:
            answers.append((None, error))
        finally:
            done.release()

    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # the interpreter ends, or there can be no more threads
        return call()
    # In pieces: a signal that comes just before the thread sleeps wakes nobody.
    while not done.acquire(timeout=PIECE_S):
        pass
    answer, error = answers.pop()
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
