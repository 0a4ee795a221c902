# SPDX-License-Identifier: MIT
"""Where to begin and where to stop: offsets, words, times, and times ago."""
from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Union

from .._errors.store import ArgumentValueError

BEGINNING, END, STORED = -2, -1, -1000

Start = Union[int, str, datetime, timedelta]

_WORDS = {
    "earliest": BEGINNING,
    "beginning": BEGINNING,
    "latest": END,
    "end": END,
    "now": END,
    "committed": STORED,
}
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


class Moment(int):
    """Milliseconds since 1970 UTC, as opposed to an offset."""


def parse(start: Start) -> int:
    """An offset, BEGINNING, END or STORED; or a Moment, when the start is a time.

    "-90s", "-1h" and a timedelta are that long ago; a datetime without a zone is local time.
    """
    if isinstance(start, bool):
        raise ArgumentValueError("a place in a partition is not a bool")
    if isinstance(start, int):
        if start < 0:
            raise ArgumentValueError(f"an offset is 0 or more, not {start}")
        return start
    if isinstance(start, datetime):
        return Moment(max(0, int(start.timestamp() * 1000)))
    if isinstance(start, timedelta):
        return _ago(int(abs(start.total_seconds()) * 1000))
    if isinstance(start, str):
        if start in _WORDS:
            return _WORDS[start]
        digits = start[1:].rstrip("msdhw")
        unit = start[1 + len(digits) :]
        if start.startswith("-") and digits.isdigit() and unit in _UNITS:
            return _ago(int(digits) * _UNITS[unit])
    raise ArgumentValueError(
        f"no place in a partition: {start!r}. Give an offset, 'earliest', 'latest', a datetime,"
        " or how long ago, like '-1h'"
    )


def _ago(milliseconds: int) -> Moment:
    return Moment(max(0, int(time.time() * 1000) - milliseconds))
