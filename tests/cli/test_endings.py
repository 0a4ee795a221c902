# SPDX-License-Identifier: MIT
"""How a run ends: by a signal, by a reader that goes away, by kill -9 in the middle of an append."""
import os
import random
import signal
import subprocess
import time

import tool

SEED = int(os.environ.get("KFL_TEST_SEED") or random.randrange(1 << 32))


class Endings(tool.ToolTest):
    def setUp(self):
        super().setUp()
        self.create("orders", 3)

    def test_a_signal_ends_a_wait_quietly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.produce("-p", "0", stdin=b"hello\n")
            process = self.start("consume", "orders", "-g", "billing")
            self.assertEqual(process.stdout.readline(), b"hello\n")
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
            self.assertEqual((process.returncode, output, errors), (-number, b"", b""))
        self.assertEqual(self.json("groups", "list"), {"groups": [
            {"group": "billing", "state": "Empty", "members": 0, "partitions": 1, "lag": 0}]})
        self.assertNotIn("killed", [row["event"] for row in self.json("history")["history"]])

    def test_a_signal_ends_a_read_from_a_terminal_or_pipe(self):
        process = self.start("produce", "orders", "-p", "0", "--report", stdin=subprocess.PIPE)
        process.stdin.write(b"a\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"0 0\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), -signal.SIGINT)
        self.assertEqual(self.run_tool("consume", "orders", "-e"), b"a\n")

    def test_a_reader_that_goes_away_ends_us_quietly(self):
        self.produce("-p", "0", stdin=b"0123456789\n" * 50000)
        for verb in ("consume orders -e", "consume orders", "consume orders -J", "dump orders"):
            done = subprocess.run(["bash", "-c", f'"$0" -d "$1" {verb} | head -n 3; echo "${{PIPESTATUS[0]}}"',
                                   tool.KAFKALITE, self.store], check=False, timeout=60, capture_output=True,
                                  env=tool.environment())
            self.assertEqual(done.stderr, b"", verb)
            self.assertEqual(len(done.stdout.splitlines()), 4, verb)
            self.assertEqual(done.stdout.splitlines()[3], b"141", verb)

    def test_a_full_output_is_an_error(self):
        self.produce("-p", "0", stdin=b"hello\n")
        with open("/dev/full", "wb") as full:
            done = subprocess.run(self.arguments("consume", "orders", "-e", "-g", "billing"), stdout=full, check=False,
                                  stderr=subprocess.PIPE, timeout=60, env=tool.environment())
        self.assertEqual(done.returncode, tool.FAILED)
        self.assertIn(b"No space left", done.stderr)
        self.assertEqual(self.json("groups", "list"), {"groups": []}, "nothing was shown, nothing may be committed")

    def test_what_was_reported_survives_kill_9(self):
        # rule:R2 kafka:L1
        chance = random.Random(SEED)
        reported = []
        for run in range(8):
            lines = "".join(f"{run}.{n}\n" for n in range(200000)).encode()
            path = os.path.join(self.folder, "input")
            with open(path, "wb") as file:
                file.write(lines)
            process = self.start("produce", "orders", path, "--report")
            wanted = chance.randrange(1, 60000)
            taken = b""
            while taken.count(b"\n") < wanted:
                chunk = os.read(process.stdout.fileno(), 4096)
                self.assertNotEqual(chunk, b"", "it ended by itself")
                taken += chunk
            process.kill()
            taken += process.stdout.read()
            process.wait(60)
            self.assertEqual(process.returncode, -signal.SIGKILL, f"seed {SEED}")
            # A last line without its end was never said.
            for n, line in enumerate(taken.split(b"\n")[:-1]):
                partition, offset = map(int, line.split())
                reported.append((partition, offset, f"{run}.{n}"))
        output = self.run_tool("consume", "orders", "-e", "-f", r"%p %o %s\n").decode()
        there = {}
        for line in output.splitlines():
            partition, offset, value = line.split()
            self.assertNotIn((partition, offset), there)
            there[(partition, offset)] = value
        for partition, offset, value in reported:
            self.assertEqual(there.get((str(partition), str(offset))), value, f"seed {SEED}")
        self.run_tool("verify")
        self.assertIn("killed", [row["event"] for row in self.json("history")["history"]])

    def test_no_record_twice_and_none_lost_by_a_group_that_is_stopped(self):
        self.produce("-p", "0", stdin=b"".join(b"%d\n" % n for n in range(20000)))
        taken = []
        for _ in range(4):
            process = self.start("consume", "orders", "-p", "0", "-g", "billing", "-n", "3000")
            taken += process.stdout.read().split()
            self.assertEqual(process.wait(60), 0)
        taken += self.run_tool("consume", "orders", "-p", "0", "-g", "billing", "-e").split()
        self.assertEqual(taken, [b"%d" % n for n in range(20000)])


class Demo(tool.ToolTest):
    def test_the_demo_checks_itself(self):
        keep = os.path.join(self.folder, "kept")
        begin = time.monotonic()
        report = self.json("demo", "--records", "20000", "--keep", keep)
        self.assertLess(time.monotonic() - begin, 30)
        self.assertTrue(report["good"])
        self.assertEqual([step["step"] for step in report["steps"]],
                         ["create", "produce", "consume", "commit", "crash", "verify"])
        self.assertTrue(all(step["good"] for step in report["steps"]))
        self.assertGreater(self.json("topics", "list", store=keep)["topics"][0]["records"], 39999)

    def test_the_demo_leaves_nothing_behind(self):
        done = subprocess.run([tool.KAFKALITE, "demo", "-n", "2000"], check=False, timeout=60, capture_output=True,
                              env=tool.environment(TMPDIR=self.folder))
        self.assertEqual(done.returncode, tool.OK, done.stderr)
        self.assertIn(b"all checks passed", done.stdout)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    tool.main()
