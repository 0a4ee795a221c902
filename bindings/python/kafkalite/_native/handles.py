# SPDX-License-Identifier: MIT
"""What is still open when the interpreter ends is closed then: the clients of the drop-in, then
producers and consumers, then stores."""
from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import Any

_open: "weakref.WeakSet[Any]" = weakref.WeakSet()
_ending = False


def opened(thing: Any) -> None:
    _open.add(thing)


def wait_for_the_end() -> None:
    """Of a daemon thread whose client was closed because the interpreter ends: it has done nothing wrong, and the
    end would come without it being told. Call it without a lock; it returns when nothing ends."""
    while _ending and threading.current_thread().daemon:
        time.sleep(3600)


def _close_all() -> None:
    global _ending
    _ending = True
    for rank in (0, 1, 2):
        for thing in list(_open):
            if thing.close_rank == rank:
                try:
                    getattr(thing, "close_at_exit", thing.close)()
                except Exception:  # nobody is left to tell
                    pass


def _forget() -> None:
    """A child has nothing open: what it inherited belongs to its parent."""
    _open.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forget)
