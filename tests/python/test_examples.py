# SPDX-License-Identifier: MIT
"""Each example prints what the comment at its end says, and finds what the C example left."""
import os
import re
import subprocess
import sys

import pytest

SOURCE = os.environ["KFL_SOURCE"]
EXAMPLES = os.path.join(SOURCE, "examples", "python")
BUILT = os.environ.get("KFL_EXAMPLES", "")


def promised(name):
    with open(os.path.join(EXAMPLES, name + ".py"), encoding="utf-8") as file:
        lines = re.search(r"^# prints[^\n]*:\n((?:# .*\n)+)\Z", file.read(), re.MULTILINE)[1]
    return [line[2:] for line in lines.splitlines()]


def run(tmp_path, name, *arguments, **environment):
    done = subprocess.run([sys.executable, os.path.join(EXAMPLES, name + ".py"), *arguments], cwd=tmp_path,
                          env={**os.environ, **environment}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def run_c(tmp_path, name, *arguments):
    if not os.path.exists(os.path.join(BUILT, name)):
        pytest.skip("the C examples are not built")
    return subprocess.run([os.path.join(BUILT, name), *arguments], cwd=tmp_path, capture_output=True, text=True,
                          check=True).stdout.splitlines()


def test_produce_consume_and_look_inside(tmp_path):
    assert run(tmp_path, "produce", "d") == promised("produce")
    assert sorted(run(tmp_path, "consume", "d")) == promised("consume")
    assert sorted(run(tmp_path, "consume", "d", "orders", "billing")) == promised("consume")
    assert run(tmp_path, "consume", "d", "orders", "billing") == []
    assert run(tmp_path, "look_inside", "d") == promised("look_inside")


def test_c_and_python_read_what_the_other_wrote(tmp_path):
    assert run(tmp_path, "produce", "p") == run_c(tmp_path, "produce", "c")
    assert sorted(run(tmp_path, "consume", "c")) == sorted(run_c(tmp_path, "consume", "p")) == promised("consume")
    run(tmp_path, "consume", "c", "orders", "billing")
    assert run_c(tmp_path, "consume", "c", "orders", "billing") == []
    assert run_c(tmp_path, "inspect", "c") == run(tmp_path, "look_inside", "c") == promised("look_inside")


@pytest.mark.parametrize("name", ["worker_threads", "worker_processes", "dead_letter", "back_pressure", "event_sourcing"])
def test_the_same_program_in_both_languages(tmp_path, name):
    assert run(tmp_path, name, "python") == promised(name) == run_c(tmp_path, name, "c")


def test_the_tutorial_needs_only_its_imports_changed(tmp_path):
    assert run(tmp_path, "tutorial") == promised("tutorial")
    assert os.path.exists(tmp_path / "kafkalite-data")
    again = run(tmp_path, "tutorial", KAFKALITE_DIR=str(tmp_path / "kafkalite-data"))
    assert again[0] == "there already" and again[-1] == "total 30"
