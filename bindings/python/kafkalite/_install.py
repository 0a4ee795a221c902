# SPDX-License-Identifier: MIT
"""`import kafka` finds this package: each kafka.x is the very module kafkalite.x. So may `import aiokafka`."""
from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Iterator, Optional, Set, Tuple

OURS, THEIRS, ASYNC = "kafkalite", "kafka", "aiokafka"


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


def _ours(name: str) -> str:
    """aiokafka's clients are in one module here; its errors and structs are everybody's."""
    if name == ASYNC:
        return OURS + ".aio"
    return OURS + name[len(name.split(".", 1)[0]) :]


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self.names: Set[str] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Optional[ModuleSpec]:
        if name.split(".", 1)[0] not in self.names:
            return None
        ours = _ours(name)
        try:
            found = importlib.util.find_spec(ours)
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None or name == ASYNC
        return ModuleSpec(name, _Alias(ours), is_package=is_package)


_finder = _Finder()


def _imported() -> Iterator[Tuple[str, bool]]:
    """What is imported under these names, and whether it is ours."""
    for name, module in list(sys.modules.items()):
        if name.split(".", 1)[0] in _finder.names:
            # What a test has put there may be None, or a mock, which has no name.
            yield name, str(getattr(module, "__name__", "")).startswith(OURS)


def install(*names: str) -> None:
    """Twice is fine. A kafka that was imported before is kafkalite from the next import on."""
    _finder.names.update(names or (THEIRS,))
    for name, is_ours in _imported():
        if not is_ours:
            del sys.modules[name]
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    if THEIRS in _finder.names:
        # What a program says about the logger "kafka" holds for ours.
        logging.getLogger(OURS).parent = logging.getLogger(THEIRS)


def uninstall() -> None:
    """`import kafka` means what is installed under that name."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name, is_ours in _imported():
        if is_ours:
            del sys.modules[name]
    _finder.names.clear()
    logging.getLogger(OURS).parent = logging.getLogger()
