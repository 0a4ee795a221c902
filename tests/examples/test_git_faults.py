# SPDX-License-Identifier: MIT
"""git_history, killed at each named fault point of the library: it goes on, and no event is there twice.

Needs a build with -Dfault_points=true; a new point is tested by being named. Each time a first run dies in
mid-append, so that the second has a dead process's tail to deal with when it dies at the point.
"""
import os
import shutil
import subprocess
import tempfile
import unittest

import test_git_history as history


class GitFaults(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kafkalite-faults-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.log, self.tree = history.made_up_history(3000)

    def run_program(self, store, **environment):
        return subprocess.run([history.PROGRAM, store], input=self.log, capture_output=True, timeout=20, check=False,
                              env=dict(os.environ, **environment))

    def die_twice(self, store, fault):
        """The second run, which dies at the point, or never comes there."""
        self.assertEqual(self.run_program(store, KAFKALITE_FAULT="append.laid:700=kill").returncode, -9)
        done = self.run_program(store, KAFKALITE_FAULT=fault)
        self.assertIn(done.returncode, (0, -9), done.stderr.decode())
        return done

    def points(self):
        names = os.path.join(self.folder, "names")
        store = os.path.join(self.folder, "named")
        self.run_program(store, KAFKALITE_FAULT_LIST=names)
        if not os.path.exists(names):
            self.skipTest("built without fault points")
        # The points of a recovery are passed by the run after a death only.
        self.run_program(store + "-again", KAFKALITE_FAULT="append.laid:700=kill")
        self.run_program(store + "-again", KAFKALITE_FAULT_LIST=names)
        with open(names, encoding="ascii") as file:
            return sorted(set(file.read().split()))

    def test_killed_at_any_point_it_goes_on_and_no_event_is_there_twice(self):  # rule:R2 kafka:L1 kafka:L6
        expected = sorted(history.events_of(self.log))
        for point in self.points():
            for passage in (1, 3):
                with self.subTest(fault=f"{point}:{passage}=kill"):
                    store = os.path.join(self.folder, f"{point}-{passage}")
                    self.die_twice(store, f"{point}:{passage}=kill")
                    done = self.run_program(store)
                    self.assertEqual(done.returncode, 0, done.stderr.decode())
                    self.assertEqual(sorted(done.stdout.splitlines()), self.tree)
                    records = [record for part in history.records_of(store).values() for record in part]
                    self.assertEqual(sorted(records), expected)
                    shutil.rmtree(store)


if __name__ == "__main__":
    unittest.main(verbosity=2)
