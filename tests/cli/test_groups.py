# SPDX-License-Identifier: MIT
"""groups reset, export, delete, describe --members, and consume as a member of a group."""
import json
import os
import signal
import time

import tool


class Groups(tool.ToolTest):
    def setUp(self):
        super().setUp()
        self.create("orders", 2)
        for partition in ("0", "1"):
            self.produce("-p", partition, stdin=b"".join(b"%d\n" % i for i in range(5)))
        self.run_tool("consume", "orders", "-g", "billing", "-e")

    def committed(self, group="billing"):
        return [row["committed_offset"] for row in self.json("groups", "describe", group)["offsets"]]

    def reset(self, *words, **more):
        return self.run_tool("groups", "reset", "billing", *words, **more)

    def test_every_form_of_a_reset(self):
        # kafka:D15 kafka:D16 kafka:M4
        self.assertEqual(self.committed(), [5, 5])
        for words, expected in ((("--to-offset", "3"), [3, 3]), (("--to-earliest",), [0, 0]),
                                (("--shift-by", "2"), [2, 2]), (("--to-current",), [2, 2]),
                                (("--topic", "orders:1", "--to-latest"), [2, 5]), (("--shift-by", "-99"), [0, 0]),
                                (("--topic", "orders:0,1", "--to-offset", "99"), [5, 5]),
                                (("--to-datetime", "2001-01-01"), [0, 0]), (("--by-duration", "0s"), [5, 5]),
                                (("--by-duration", "1h"), [0, 0]), (("--by-duration", "PT0S"), [5, 5]),
                                (("--by-duration", "P1W2DT3H4M5.5S"), [0, 0]), (("--by-duration", "PT0H"), [5, 5]),
                                (("--by-duration", "P1D"), [0, 0])):
            self.reset(*words)
            self.assertIn("nothing changed; add --execute", self.errors)
            self.reset(*words, "--execute")
            self.assertEqual(self.committed(), expected, words)
        self.reset("--to-offset", "99")
        self.assertIn("offsets 0 to 5", self.errors)
        self.run_tool("groups", "reset", "new", "--topic", "orders", "--to-latest", "--execute")
        self.assertEqual(self.committed("new"), [5, 5])

    def test_a_reset_that_makes_no_sense_is_refused(self):
        for words, status in ((("--to-earliest", "--to-latest"), tool.USAGE), ((), tool.USAGE),
                              (("--to-offset", "x"), tool.USAGE), (("--to-datetime", "never"), tool.USAGE),
                              *((("--by-duration", text), tool.USAGE)
                                for text in ("long", "P", "PT", "P1", "P1H", "PT1D", "P1DT", "PT1M1M", "PT1M1H", "P1M", "P-1D")),
                              (("--topic", "orders:7", "--to-latest"), tool.MISSING),
                              (("--topic", "order", "--to-latest"), tool.MISSING)):
            self.reset(*words, "--execute", status=status)
        self.run_tool("groups", "reset", "new", "--to-latest", status=tool.USAGE)
        self.assertEqual(self.committed(), [5, 5])

    def test_what_was_exported_can_be_put_back(self):
        path = os.path.join(self.store, "..", "offsets.csv")
        self.reset("--topic", "orders:1", "--to-offset", "2", "--execute")
        exported = self.run_tool("groups", "export", "billing")
        self.assertEqual(exported, b"orders,0,5\norders,1,2\n")
        with open(path, "wb") as file:
            file.write(exported)
        self.addCleanup(os.unlink, path)
        self.reset("--to-earliest", "--execute")
        self.reset("--from-file", path, "--execute")
        self.assertEqual(self.committed(), [5, 2])
        with open(path, "w", encoding="utf-8") as file:
            file.write("orders,0\n")
        self.reset("--from-file", path, "--execute", status=tool.USAGE)

    def test_a_group_is_deleted_or_forgets_a_topic(self):
        # kafka:D17
        self.run_tool("groups", "delete", "billing")
        self.assertIn("nothing changed; add --execute", self.errors)
        groups = self.json("groups", "delete", "billing", "--topic", "orders:0", "--execute")["groups"]
        self.assertEqual(groups, [{"group": "billing", "deleted": "offsets"}])
        self.assertEqual(self.committed(), [5])
        groups = self.json("groups", "delete", "billing", "--execute")["groups"]
        self.assertEqual(groups, [{"group": "billing", "deleted": "yes"}])
        self.run_tool("groups", "describe", "billing", status=tool.MISSING)
        self.run_tool("groups", "delete", "billing", "--execute", status=tool.MISSING)

    def test_how_long_a_record_has_been_waiting(self):
        # kafka:D18
        before = time.time()
        lines = b"".join(b'{"value": "x", "ts": %d}\n' % (1000 * (int(before) - ago)) for ago in (600, 300, 60))
        self.produce("-p", "0", "--json", stdin=lines)
        for skipped, ago in ((0, 600), (1, 300), (2, 60)):
            self.reset("--topic", "orders:0", "--to-offset", str(5 + skipped), "--execute")
            first, second = self.json("groups", "describe", "billing")["offsets"]
            self.assertEqual((first["lag"], second["lag"], second["lag_ms"]), (3 - skipped, 0, 0))
            self.assertLessEqual(1000 * ago, first["lag_ms"])
            self.assertLessEqual(first["lag_ms"], 1000 * (ago + 2 + time.time() - before))
        self.run_tool("topics", "create", "other")
        self.run_tool("groups", "reset", "billing", "--topic", "other", "--to-latest", "--execute")
        self.reset("--topic", "orders:0", "--to-offset", "5", "--execute")
        rows = {row["topic"]: row for row in self.json("groups", "describe", "billing", "--by-topic")["topics"]}
        self.assertLessEqual(600000, rows["orders"].pop("lag_ms"))
        self.assertEqual(rows["orders"], {"group": "billing", "topic": "orders", "partitions": 2, "members": 0, "lag": 3})
        self.assertEqual(rows["other"]["lag_ms"], 0)
        self.run_tool("groups", "describe", "billing", "--by-topic", "--members", status=tool.USAGE)

    def test_a_group_can_be_watched(self):
        for words in (("--watch", "0"), ("--watch", "never")):
            self.run_tool("groups", "describe", "billing", *words, status=tool.USAGE)
        process = self.start("groups", "describe", "billing", "--by-topic", "--json", "--watch", "10ms")
        self.assertEqual(json.loads(process.stdout.readline())["topics"][0]["lag"], 0)
        self.produce("-p", "0", stdin=b"x\n")
        while json.loads(process.stdout.readline())["topics"][0]["lag"] == 0:
            pass
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), -signal.SIGINT)

    def test_members_share_and_hold_a_group(self):
        # kafka:D15 kafka:D17 kafka:E1
        first = self.start("consume", "orders", "-g", "billing", "-f", "%p\\n")
        second = self.start("consume", "orders", "-g", "billing", "-f", "%p\\n")
        # The two have both partitions once each has shown what comes to its own.
        for _ in range(200):
            members = self.json("groups", "describe", "billing", "--members")["members"]
            if [member["partitions"] for member in members] == [1, 1]:
                break
        self.assertEqual([member["partitions"] for member in members], [1, 1])
        self.assertEqual({member["pid"] for member in members}, {first.pid, second.pid})
        self.produce("-p", "0", stdin=b"x\n")
        self.produce("-p", "1", stdin=b"x\n")
        self.assertEqual({first.stdout.readline(), second.stdout.readline()}, {b"0\n", b"1\n"})
        self.reset("--to-earliest", "--execute", status=tool.BUSY)
        self.assertIn("2 active members", self.errors)
        self.run_tool("groups", "delete", "billing", "--execute", status=tool.BUSY)
        self.run_tool("consume", "orders", "-g", "billing", "-p", "0", "--from", "0", "-n", "1", status=tool.FAILED)
        self.assertIn("has members", self.errors)
        for process in (first, second):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        self.assertEqual(self.json("groups", "list")["groups"][0]["state"], "Empty")
        self.reset("--to-earliest", "--execute")


if __name__ == "__main__":
    tool.main()
