# SPDX-License-Identifier: MIT
"""retain, compact, vacuum, forget: what goes, and why not more."""
import json
import os
import subprocess

import tool


class Keep(tool.ToolTest):
    def fill(self, topic, count, key="k{}", size=6000, keys=3, time=None):
        lines = []
        for number in range(count):
            line = {"key": key.format(number % keys), "payload": "v" * size}
            if time is not None:
                line["ts"] = time + number
            lines.append(line)
        self.run_tool("produce", topic, "-p", "0", "--json", stdin="\n".join(map(json.dumps, lines)).encode())

    def starts(self, topic):
        return [row["start_offset"] for row in self.json("topics", "describe", topic)["topics"][0]["partitions"]]

    def keys(self, topic):
        return [row["key"] for row in self.json_lines("consume", topic, "-e")]

    def test_retain_tells_why_and_does_it(self):
        self.create("orders", 1, "-c", "segment.bytes=65536", "-c", "retention.ms=1000")
        self.fill("orders", 35, time=1000)
        rows = self.json("retain", "orders", "--explain")["segments"]
        self.assertEqual([row["goes"] for row in rows], [True] * 4)
        self.assertIn("retention.ms=1000", rows[0]["why"])
        self.assertEqual(len(self.json("retain", "--dry-run")["segments"]), 4)
        self.assertEqual(self.starts("orders"), [0])
        done = self.json("retain", "orders")["topics"][0]
        self.assertEqual((done["topic"], done["segments"]), ("orders", 4))
        self.assertEqual(self.starts("orders"), [35])

    def test_retain_names_the_group_that_holds(self):
        self.create("orders", 1, "-c", "segment.bytes=65536", "-c", "retention.consumers.groups=billing")
        self.fill("orders", 35)
        self.assertIn('group "billing" has committed 0 only', self.json("retain", "--explain")["segments"][0]["why"])

    def test_compact(self):
        self.create("prices", 1, "-c", "segment.bytes=65536", "-c", "cleanup.policy=compact")
        self.create("orders")
        self.fill("prices", 35)
        rows = self.json("compact", "prices", "--explain")["segments"]
        self.assertEqual(rows[-1]["why"], "stays: it takes appends")
        dry = self.json("compact", "prices", "--roll", "--dry-run")["topics"][0]
        self.assertEqual(len(self.keys("prices")), 35)
        self.assertGreater(dry["removed"], 20)
        self.assertGreater(dry["freed"], 100000)
        done = self.json("compact", "--roll")["topics"]
        self.assertEqual([(row["topic"], row["kept"], row["removed"]) for row in done], [("prices", 3, 32)])
        self.assertEqual(len(self.keys("prices")), 3)
        self.run_tool("verify")
        self.run_tool("compact", "orders", status=tool.FAILED)
        self.assertIn("cleanup.policy", self.errors)

    def test_vacuum_by_size_and_time(self):
        self.create("a", 1, "-c", "segment.bytes=65536")
        self.create("b", 1, "-c", "segment.bytes=65536")
        self.fill("a", 35, time=1000)
        self.fill("b", 35, time=2000000000000)
        rows = self.json("vacuum", "--size", "300K")["segments"]
        self.assertIn("add --execute", self.errors)
        self.assertEqual([row["topic"] for row in rows], ["a"] * len(rows))
        self.assertGreater(len(rows), 0)
        self.assertEqual([row["new_start_offset"] for row in rows], sorted(row["new_start_offset"] for row in rows))
        self.assertEqual(self.starts("a"), [0])
        rows = self.json("vacuum", "--time", "2020-01-01", "--execute")["segments"]
        self.assertEqual([row["topic"] for row in rows], ["a"] * 3)
        self.assertEqual((self.starts("a"), self.starts("b")), ([rows[-1]["new_start_offset"]], [0]))
        self.assertEqual(self.json("vacuum", "--time", "7d")["segments"], [])
        self.assertEqual(self.json("vacuum", "--time", "-7d")["segments"], [])
        self.run_tool("vacuum", status=tool.USAGE)
        self.run_tool("vacuum", "--time", "soon", status=tool.USAGE)
        self.assertIn("7d", self.errors)
        self.run_tool("vacuum", "--size", "much", status=tool.USAGE)

    def test_forget(self):
        self.create("users", 2, "-c", "segment.bytes=65536", "-c", "cleanup.policy=compact")
        self.fill("users", 20, key="subject-{}")
        self.run_tool("forget", "users", "subject-1")
        self.assertIn("add --execute", self.errors)
        self.assertEqual(self.keys("users").count("subject-1"), 7)
        done = self.json("forget", "users", "subject-1", "--execute")["keys"][0]
        self.assertEqual(done["records"], 7)
        self.assertNotIn("subject-1", self.keys("users"))
        self.assertIn("subject-2", self.keys("users"))
        found = subprocess.run(["grep", "-rlaq", "subject-1", os.path.join(self.store, "topics")], check=False)
        self.assertEqual(found.returncode, 1)


if __name__ == "__main__":
    tool.main()
