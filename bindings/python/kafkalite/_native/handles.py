# SPDX-License-Identifier: MIT
"""What is still open when the interpreter ends is closed then: the clients of the drop-in, then
producers and consumers, then stores."""
from __future__ import annotations

import atexit
import os
import weakref
from typing import Any

_open: "weakref.WeakSet[Any]" = weakref.WeakSet()


def opened(thing: Any) -> None:
    _open.add(thing)


def _close_all() -> None:
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
