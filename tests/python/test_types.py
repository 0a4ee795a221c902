# SPDX-License-Identifier: MIT
"""The package is typed, wholly, and a program that uses it is checked."""
import os
import shutil
import subprocess

import pytest

PACKAGE = os.path.join(os.environ["KFL_SOURCE"], "bindings", "python", "kafkalite")
MYPY = "/usr/bin/mypy" if os.path.exists("/usr/bin/mypy") else shutil.which("mypy")

PROGRAM = """
import kafkalite
from kafkalite import KafkaConsumer, KafkaProducer, Offset, Record, TopicPartition

with kafkalite.open("d") as log:
    sent: Offset = log.producer().send("t", b"value", key=b"key")
    record: Record
    for record in log.consumer("t"):
        number: int = record.offset
    wrong: str = sent.partition
future = KafkaProducer().send("t", b"x")
place: TopicPartition = future.get(timeout=10).topic_partition
KafkaConsumer().seek(place, "no offset")
"""


@pytest.mark.skipif(MYPY is None, reason="mypy is not installed")
def test_strictly_typed(tmp_path):
    done = subprocess.run([MYPY, "--strict", "--cache-dir", tmp_path, PACKAGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(MYPY is None, reason="mypy is not installed")
def test_a_program_is_checked(tmp_path):
    assert os.path.exists(os.path.join(PACKAGE, "py.typed"))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run([MYPY, "--strict", "--cache-dir", tmp_path / "cache", program], capture_output=True, text=True,
                          env={**os.environ, "MYPYPATH": os.path.dirname(PACKAGE)})
    told = [line.split(": error: ")[1].split("  [")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert told == [
        'Incompatible types in assignment (expression has type "int", variable has type "str")',
        'Argument 2 to "seek" of "Partitions" has incompatible type "str"; expected "int"',
    ]
