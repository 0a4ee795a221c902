# SPDX-License-Identifier: MIT
"""A result that comes later, as kafka-python has it."""
from __future__ import annotations

import functools
import logging
import threading
from typing import Any, Callable, Generator, List, Optional

log = logging.getLogger("kafkalite")

# Taken for a moment by whoever completes a future or adds to one that is not complete.
_lock = threading.Lock()


class Future:
    """is_done, value and exception say how it stands. Callbacks run at once when it is done, else
    in the thread that completes it, in the order in which they were added."""

    error_on_callbacks = False

    is_done = False
    value: Any = None
    exception: Optional[BaseException] = None
    _callbacks: List[Callable[[Any], Any]] = []
    _errbacks: List[Callable[[Any], Any]] = []
    _event: Optional[threading.Event] = None

    def succeeded(self) -> bool:
        return self.is_done and self.exception is None

    def failed(self) -> bool:
        return self.is_done and self.exception is not None

    def retriable(self) -> bool:
        return bool(getattr(self.exception, "retriable", False))

    def success(self, value: Any) -> "Future":
        self._complete(value, None)
        return self

    def failure(self, e: Any) -> "Future":
        error = e() if isinstance(e, type) else e
        assert isinstance(error, BaseException), "future failed without an exception"
        self._complete(None, error)
        return self

    def _complete(self, value: Any, error: Optional[BaseException]) -> None:
        with _lock:
            assert not self.is_done, "Future is already complete"
            self.value = value
            self.exception = error
            self.is_done = True
            event = self._event
            waiting = self._callbacks if error is None else self._errbacks
            self._callbacks = self._errbacks = []
        if event is not None:
            event.set()
        if waiting:
            self._call(waiting, value if error is None else error)

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Until it is done, or so many seconds; tells whether it is."""
        with _lock:
            if self.is_done:
                return True
            if self._event is None:
                self._event = threading.Event()
            event = self._event
        return event.wait(timeout)

    def add_callback(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """f(*args, value, **kwargs) on success; answers the future itself."""
        self._add(f, args, kwargs, False)
        return self

    def add_errback(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """f(*args, exception, **kwargs) on failure; answers the future itself."""
        self._add(f, args, kwargs, True)
        return self

    def _add(self, f: Callable[..., Any], args: Any, kwargs: Any, on_failure: bool) -> None:
        if args or kwargs:
            f = functools.partial(f, *args, **kwargs)
        with _lock:
            if not self.is_done:
                if on_failure:
                    self._errbacks = self._errbacks + [f]
                else:
                    self._callbacks = self._callbacks + [f]
                return
        if on_failure == (self.exception is not None):
            self._call([f], self.value if self.exception is None else self.exception)

    def add_both(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.add_callback(f, *args, **kwargs)
        return self.add_errback(f, *args, **kwargs)

    def chain(self, future: "Future") -> Any:
        """Pass the outcome on to another one."""
        self.add_callback(future.success)
        return self.add_errback(future.failure)

    def _call(self, functions: List[Callable[[Any], Any]], value: Any) -> None:
        for function in functions:
            try:
                function(value)
            except Exception:
                log.exception("a callback of a future failed")
                if self.error_on_callbacks:
                    raise

    def __await__(self) -> Generator[Any, None, Any]:
        import asyncio

        loop = asyncio.get_running_loop()
        told: "asyncio.Future[Any]" = loop.create_future()

        def tell(_: Any) -> None:
            def finish() -> None:
                if told.done():
                    return
                if self.exception is not None:
                    told.set_exception(self.exception)
                else:
                    told.set_result(self.value)

            loop.call_soon_threadsafe(finish)

        self.add_both(tell)
        return told.__await__()
