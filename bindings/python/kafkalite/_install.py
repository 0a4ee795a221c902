# SPDX-License-Identifier: MIT
"""`import kafka` finds this package: each kafka.x is the very module kafkalite.x."""
from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional

OURS, THEIRS = "kafkalite", "kafka"


class _Alias(Loader):
    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: Optional[ModuleSpec] = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It has been executed under its own name, which it keeps.
        module.__spec__ = self._spec


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if name != THEIRS and not name.startswith(THEIRS + "."):
            return None
        ours = OURS + name[len(THEIRS) :]
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        return ModuleSpec(name, _Alias(ours), is_package=found.submodule_search_locations is not None)


_finder = _Finder()


def install() -> None:
    """Twice is fine. A kafka that was imported before is kafkalite from the next import on."""
    for name in [n for n in sys.modules if n == THEIRS or n.startswith(THEIRS + ".")]:
        if not sys.modules[name].__name__.startswith(OURS):
            del sys.modules[name]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def uninstall() -> None:
    """`import kafka` means what is installed under that name."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [n for n in sys.modules if n == THEIRS or n.startswith(THEIRS + ".")]:
        if sys.modules[name].__name__.startswith(OURS):
            del sys.modules[name]
