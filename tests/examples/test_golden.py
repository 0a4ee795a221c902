# SPDX-License-Identifier: MIT
"""Each example prints what the comment at its end says.

They run in one directory, one after the other: what consume and inspect find is what produce left.
"""
import os
import re
import subprocess
import tempfile
import unittest

EXAMPLES = os.environ["KFL_EXAMPLES"]
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")


def promised_output(name):
    with open(os.path.join(SOURCES, name + ".c"), encoding="utf-8") as file:
        block = re.search(r"/\* prints[^\n]*:\n(.*?)\*/\n*\Z", file.read(), re.DOTALL)
    if block is None:
        raise AssertionError(f"{name}.c has no block of what it prints at its end")
    return block.group(1)


def run(name, *arguments):
    done = subprocess.run([os.path.join(EXAMPLES, name), *arguments], capture_output=True, timeout=60,
                          text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{name} {arguments}: status {done.returncode}\n{done.stderr}")
    return done.stdout


class Golden(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafkalite-examples-")
        self.addCleanup(folder.cleanup)
        self.store = os.path.join(folder.name, "store")

    def test_what_produce_appends_is_what_consume_reads_and_inspect_sees(self):
        self.assertEqual(run("produce", self.store), promised_output("produce"))
        # Between partitions no order is promised.
        first = run("consume", self.store, "orders", "billing")
        self.assertEqual(sorted(first.splitlines()), sorted(promised_output("consume").splitlines()))
        self.assertEqual(run("inspect", self.store), promised_output("inspect"))

    def test_a_group_is_not_given_again_what_it_has_committed(self):  # kafka:D4 kafka:D19
        run("produce", self.store)
        self.assertEqual(len(run("consume", self.store, "orders", "billing").splitlines()), 5)
        self.assertEqual(run("consume", self.store, "orders", "billing"), "")
        self.assertEqual(len(run("consume", self.store, "orders", "audit").splitlines()), 5)
        self.assertEqual(len(run("consume", self.store).splitlines()), 5)
        run("produce", self.store)
        self.assertEqual(len(run("consume", self.store, "orders", "billing").splitlines()), 5)

    def test_two_tellers_never_overdraw_the_account_and_no_order_is_done_twice(self):
        self.assertEqual(run("event_sourcing", self.store), promised_output("event_sourcing"))
        # All that was to do is done: the log says so.
        self.assertEqual(run("event_sourcing", self.store), promised_output("event_sourcing"))
        self.assertEqual(len(run("consume", self.store, "account-42").splitlines()), 500)

    def test_workers_do_every_job(self):  # kafka:E1 kafka:E5
        self.assertEqual(run("worker_threads", self.store), promised_output("worker_threads"))

    def test_a_worker_that_is_killed_is_replaced(self):  # kafka:E5
        self.assertEqual(run("worker_processes", self.store), promised_output("worker_processes"))

    def test_a_job_that_fails_becomes_a_dead_letter(self):
        self.assertEqual(run("dead_letter", self.store), promised_output("dead_letter"))

    def test_a_full_queue_pauses_its_partition(self):  # kafka:C10
        self.assertEqual(run("back_pressure", self.store), promised_output("back_pressure"))

    def test_an_error_is_told_with_its_place(self):
        done = subprocess.run([os.path.join(EXAMPLES, "inspect"), os.path.join(self.store, "nowhere")],
                              capture_output=True, timeout=60, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
