# SPDX-License-Identifier: MIT
"""Fixtures for pytest: a store for a test, and programs of kafka-python over it.

    pytest_plugins = ["kafkalite.pytest_plugin"]        in conftest.py, unless the package is installed

    def test_orders(kafkalite_log):
        kafkalite_log.create_topic("orders")
"""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest

from . import _install
from ._native.store import Store, open


def pytest_addoption(parser: Any) -> None:
    parser.getgroup("kafkalite").addoption(
        "--kafkalite-keep-failed",
        action="store_true",
        help="tell where the store of a failed test is, and how to look into it",
    )


def _tell_where(item: Any, call: Any) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    directory: Optional[Path] = getattr(item, "kafkalite_directory", None)
    keep = item.config.getoption("--kafkalite-keep-failed")
    if keep and report.failed and directory is not None and directory.exists():
        text = f"{directory}\nkafkalite -d {directory} dump"
        report.sections.append(("the store of this test", text))


pytest_runtest_makereport: Any = pytest.hookimpl(hookwrapper=True)(_tell_where)


@pytest.fixture
def kafkalite_directory(tmp_path: Path, request: Any) -> Path:
    """Where the test's store is, or will be."""
    request.node.kafkalite_directory = tmp_path / "kafkalite"
    return tmp_path / "kafkalite"


@pytest.fixture
def kafkalite_log(kafkalite_directory: Path) -> Iterator[Store]:
    """A new store; what is in it at the end of the test is verified."""
    with open(kafkalite_directory) as log:
        yield log
        if not log.closed:
            verified = log.verify()
            assert verified, verified.findings


@pytest.fixture
def kafkalite_broker(kafkalite_log: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """`import kafka` and `import aiokafka` are this package, and every host and port the store of the test."""
    monkeypatch.setenv("KAFKALITE_DIR", os.fspath(kafkalite_log.path))
    _install.install(_install.THEIRS, _install.ASYNC)
    yield "localhost:9092"
    _install.uninstall()


@pytest.fixture
def kafkalite_clock(kafkalite_log: Store) -> Iterator[Callable[[Optional[int]], None]]:
    """Stops the store's clock at a time in milliseconds; None lets it run."""
    yield kafkalite_log.set_clock
    if not kafkalite_log.closed:
        kafkalite_log.set_clock(None)
