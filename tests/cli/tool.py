# SPDX-License-Identifier: MIT
"""What the tests of the command line share: a store in a directory of its own, and ways to run the tool."""
import json
import os
import pty
import select
import shutil
import subprocess
import tempfile
import unittest

KAFKALITE = os.environ.get("KFL_TOOL") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "kafkalite")

OK, FAILED, USAGE, DAMAGE, MISSING, BUSY, TIMEOUT = range(7)


def environment(**more):
    env = {name: value for name, value in os.environ.items()
           if name not in ("KAFKALITE_DIR", "NO_COLOR") and not name.startswith("LC_")}
    env.update({"LANG": "C.UTF-8", "TZ": "UTC", "TERM": "xterm", "COLUMNS": "100"})
    env.update(more)
    return env


class ToolTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kafkalite-cli-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store = os.path.join(self.folder, "store")

    def arguments(self, *words, store=None):
        return [KAFKALITE, "-d", store or self.store, *words]

    def run_tool(self, *words, stdin=b"", status=OK, store=None, **keywords):
        """Runs one verb on the store; returns what it printed, as bytes. self.errors has the rest."""
        done = subprocess.run(self.arguments(*words, store=store), input=stdin, capture_output=True,
                              timeout=60, env=environment(), check=False, **keywords)
        self.errors = done.stderr.decode("utf-8", "backslashreplace")
        self.assertEqual(done.returncode, status, f"{words}: {self.errors}{done.stdout[:1000]!r}")
        return done.stdout

    def start(self, *words, **keywords):
        """Starts one verb; whatever happens, it does not outlive the test."""
        process = subprocess.Popen(self.arguments(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=environment(), **keywords)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def lines(self, *words, **keywords):
        return self.run_tool(*words, **keywords).decode().splitlines()

    def json(self, *words, **keywords):
        return json.loads(self.run_tool(*words, "--json", **keywords))

    def json_lines(self, *words, **keywords):
        return [json.loads(line) for line in self.run_tool(*words, "--json", **keywords).splitlines()]

    def table(self, *words, **keywords):
        """What a pipe gets, as rows of columns; the first is the heading."""
        return [line.split("\t") for line in self.lines(*words, **keywords)]

    def create(self, topic="orders", partitions=1, *more):
        self.run_tool("topics", "create", topic, "-p", str(partitions), *more)

    def produce(self, *words, topic="orders", stdin=b"", **keywords):
        return self.run_tool("produce", topic, *words, stdin=stdin, **keywords)

    def on_terminal(self, *words, env=None, status=OK):
        """Runs one verb with a terminal for its output, which is returned as text."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(self.arguments(*words), stdin=subprocess.DEVNULL, stdout=theirs,
                              stderr=subprocess.PIPE, env=environment(**(env or {}))) as process:
            os.close(theirs)
            shown = b""
            while select.select([ours], [], [], 60)[0]:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:
                    break
                if not chunk:
                    break
                shown += chunk
            os.close(ours)
            self.errors = process.stderr.read().decode()
            self.assertEqual(process.wait(60), status, self.errors)
        return shown.decode().replace("\r\n", "\n")


def main():
    unittest.main(verbosity=2)
