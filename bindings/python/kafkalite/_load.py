# SPDX-License-Identifier: MIT
"""The shared library: found and loaded."""
from __future__ import annotations

import ctypes
import os
from typing import Iterator, List

VERSION = "0.1.0"


def _candidates() -> Iterator[str]:
    """Where the library may be, likeliest first."""
    told = os.environ.get("KAFKALITE_LIBRARY")
    if told:
        yield told
        return
    yield os.path.join(os.path.dirname(os.path.abspath(__file__)), "libkafkalite.so.0")
    yield "libkafkalite.so.0"
    from ctypes.util import find_library  # slow to import, and seldom needed

    found = find_library("kafkalite")
    if found:
        yield found


def _load() -> ctypes.CDLL:
    tried: List[str] = []
    for path in _candidates():
        if os.sep in path and not os.path.exists(path):
            tried.append(f"{path}: no such file")
            continue
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            tried.append(f"{path}: {error}")
            continue
        _check_version(path, library)
        return library
    raise ImportError(
        "kafkalite: libkafkalite.so.0 was not found. Tried:\n  "
        + "\n  ".join(tried)
        + "\nInstall the library, or name the file in KAFKALITE_LIBRARY."
    )


def _check_version(path: str, library: ctypes.CDLL) -> None:
    """Until 1.0 a minor version is a break too."""
    try:
        number = library["kfl_version"]()
    except AttributeError:
        raise ImportError(f"kafkalite: {path} is another library: it has no kfl_version") from None
    theirs = f"{number >> 16}.{number >> 8 & 255}.{number & 255}"
    if theirs.split(".")[:2] != VERSION.split(".")[:2]:
        raise ImportError(
            f"kafkalite: the package is {VERSION}, the library {path} is {theirs}:"
            " install the same version of both"
        )


library = _load()
