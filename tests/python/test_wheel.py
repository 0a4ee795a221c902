# SPDX-License-Identifier: MIT
"""The wheel: its name, and what it takes to use it. Nothing is fetched."""
import os
import platform
import shutil
import subprocess
import sys

import pytest

import kafkalite

for needed in ("setuptools", "wheel", "pip", "ensurepip"):
    pytest.importorskip(needed)

PACKAGE = os.path.join(os.environ["KFL_SOURCE"], "bindings", "python")


def environment(**more):
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKALITE", "PYTHONPATH", "PIP_"))}
    return {**bare, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}


def run(*words, **more):
    done = subprocess.run(words, env=environment(**more), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel(tmp_path, **more):
    source, made = tmp_path / "source", tmp_path / "made"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(made), str(source), **more)
    (name,) = os.listdir(made)
    return made / name


def test_with_the_library_inside_it_is_for_this_platform(tmp_path):
    built = wheel(tmp_path, KAFKALITE_LIBRARY=os.environ["KAFKALITE_LIBRARY"])
    assert built.name == f"kafkalite-{kafkalite.__version__}-py3-none-linux_{platform.machine()}.whl"
    run(sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python3")
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", str(built))
    told = run(python, "-c", "import sys, kafkalite, importlib.metadata as m\n"
               "from kafkalite import _load\n"
               "with kafkalite.open(':memory:') as log: log.create_topic('t'); print(log.producer().send('t', b'x'))\n"
               "print(_load.library._name)\n"
               "print([p.value for p in m.entry_points(group='pytest11') if p.name == 'kafkalite'])\n"
               "print(kafkalite.__file__.startswith(sys.prefix))").splitlines()
    assert told[0] == "Offset(partition=0, offset=0)"
    assert told[1].startswith(str(tmp_path / "venv")) and told[1].endswith("/kafkalite/libkafkalite.so.0")
    assert told[2:] == ["['kafkalite.pytest_plugin']", "True"]


def test_without_it_is_for_any(tmp_path):
    assert wheel(tmp_path).name == f"kafkalite-{kafkalite.__version__}-py3-none-any.whl"
