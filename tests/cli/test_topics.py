# SPDX-License-Identifier: MIT
"""topics, configs, offsets, trim, groups: what they show and what they change."""

import tool


class Topics(tool.ToolTest):
    def test_a_topic_is_created_listed_grown_and_deleted(self):
        # kafka:M1
        self.create("orders", 3)
        self.create("prices", 1)
        self.produce(topic="prices", stdin=b"a\nb\n")
        rows = self.table("topics", "list")
        self.assertEqual([row[:3] for row in rows], [["TOPIC", "PARTITIONS", "RECORDS"], ["orders", "3", "0"],
                                                     ["prices", "1", "2"]])
        listed = self.json("topics", "list")["topics"]
        self.assertEqual([(t["topic"], t["partitions"], t["records"]) for t in listed],
                         [("orders", 3, 0), ("prices", 1, 2)])
        self.run_tool("topics", "alter", "orders", "-p", "5")
        self.assertEqual(self.json("topics", "list")["topics"][0]["partitions"], 5)
        self.run_tool("topics", "delete", "orders", "--execute")
        self.assertEqual(self.lines("topics", "list", "--names"), ["prices"])

    def test_a_topic_that_is_there_is_an_error_unless_said_otherwise(self):
        # kafka:A3
        self.create()
        self.run_tool("topics", "create", "orders", status=tool.FAILED)
        self.assertIn("orders", self.errors)
        self.run_tool("topics", "create", "orders", "--if-not-exists")

    def test_deleting_is_only_planned_without_execute(self):
        self.create()
        self.produce(stdin=b"a\nb\nc\n")
        self.run_tool("consume", "orders", "-g", "billing", "-n", "1")
        rows = self.table("topics", "delete", "orders")
        self.assertEqual([rows[1][0], rows[1][1], rows[1][3]], ["orders", "3", "no"])
        self.assertIn('group "billing" has 2 of orders unread', self.errors)
        self.assertIn("nothing changed; add --execute", self.errors)
        self.assertEqual(self.lines("topics", "list", "--names"), ["orders"])
        self.run_tool("topics", "delete", "nothing", "--if-exists", "--execute")

    def test_describe_tells_partitions_and_segments(self):
        self.create("orders", 2, "-c", "segment.bytes=65536", "-c", "max.message.bytes=5000")
        self.produce("-p", "1", stdin=b"x" * 1000 + b"\n" + b"y\n" * 9)
        rows = self.table("topics", "describe", "orders")
        self.assertEqual(rows[0][:6], ["TOPIC", "PARTITION", "LOG-START", "LOG-END", "DURABLE", "RECORDS"])
        self.assertEqual([row[:4] + row[5:6] for row in rows[1:]],
                         [["orders", "0", "0", "0", "0"], ["orders", "1", "0", "10", "10"]])
        topic = self.json("topics", "describe", "orders")["topics"][0]
        self.assertEqual(topic["configs"], {"segment.bytes": "65536", "max.message.bytes": "5000"})
        self.assertEqual([p["records"] for p in topic["partitions"]], [0, 10])
        self.assertGreater(topic["partitions"][1]["bytes"], 1000)
        segments = self.json("topics", "describe", "orders", "--segments")["topics"][0]["segments"]
        self.assertEqual([(s["partition"], s["state"], s["base_offset"], s["end_offset"]) for s in segments
                          if s["state"] != "prepared"], [(1, "active", 0, 10)])
        self.assertEqual(len(self.table("topics", "describe")), 3)

    def test_properties_are_set_shown_and_put_back(self):
        # kafka:M2
        self.create("orders", 1, "-c", "segment.ms=1000")
        self.assertEqual(self.table("configs", "get", "orders"),
                         [["NAME", "VALUE", "SOURCE"], ["segment.ms", "1000", "topic"]])
        self.run_tool("configs", "set", "orders", "segment.bytes=65536", "flush.ms=50")
        self.run_tool("configs", "unset", "orders", "segment.ms")
        configs = {row["name"]: (row["value"], row["source"]) for row in self.json("configs", "get", "orders", "--all")["configs"]}
        self.assertEqual(configs["segment.bytes"], ("65536", "topic"))
        self.assertEqual(configs["flush.ms"], ("50", "topic"))
        self.assertEqual(configs["segment.ms"], ("604800000", "default"))
        self.assertEqual(self.table("configs", "get", "orders", "segment.ms")[1:], [["segment.ms", "604800000", "default"]])
        self.run_tool("topics", "alter", "orders", "--delete-config", "flush.ms", "-c", "segment.ms=9000")
        self.assertEqual([row[:2] for row in self.table("configs", "get", "orders")[1:]],
                         [["segment.bytes", "65536"], ["segment.ms", "9000"]])
        self.run_tool("configs", "set", "orders", "segment.bytes=3", status=tool.USAGE)
        self.run_tool("configs", "get", "orders", "acks", status=tool.USAGE)

    def test_the_table_of_properties_is_shown_by_scope(self):
        names = {row["name"]: row for row in self.json("configs", "list", "producer")["properties"]}
        self.assertEqual(names["acks"]["default"], "1")
        self.assertNotIn("segment.bytes", names)
        self.assertIn(["segment.bytes", "topic"], [row[:2] for row in self.table("configs", "list")])

    def test_offsets_tell_ends_and_times(self):
        # kafka:G5 kafka:G6 kafka:M5
        self.create("orders", 2)
        lines = [f'{{"payload": "{n}", "ts": {time}}}' for n, time in enumerate((1000, 3000, 2000))]
        self.produce("--json", "-p", "0", stdin="\n".join(lines).encode())
        self.assertEqual(self.table("offsets", "orders", "--latest")[1:], [["orders", "0", "3"], ["orders", "1", "0"]])
        self.assertEqual(self.table("offsets", "orders", "--earliest")[1:], [["orders", "0", "0"], ["orders", "1", "0"]])
        self.assertEqual(self.table("offsets", "orders", "--at", "1970-01-01T00:00:01.500Z")[1:],
                         [["orders", "0", "1", "3000"], ["orders", "1", "-", "-"]])
        self.assertEqual(self.table("offsets", "orders", "--max-timestamp")[1:],
                         [["orders", "0", "1", "3000"], ["orders", "1", "-", "-"]])
        self.assertEqual(self.json("offsets", "orders", "--at", "000000001500", "-p", "0"),
                         {"offsets": [{"topic": "orders", "partition": 0, "offset": 1, "timestamp": 3000}]})
        self.assertEqual(self.table("offsets", "orders")[0], ["TOPIC", "PARTITION", "LOG-START", "LOG-END", "DURABLE"])

    def test_trimming_is_planned_and_then_done(self):
        # kafka:H11 kafka:M5
        self.create("orders", 2)
        self.produce("-p", "0", stdin=b"0\n1\n2\n3\n4\n")
        self.assertEqual(self.table("trim", "orders", "--before", "3", "-p", "0")[1:], [["orders", "0", "0", "3", "3"]])
        self.assertIn("nothing changed; add --execute", self.errors)
        self.assertEqual(self.table("offsets", "orders", "--earliest", "-p", "0")[1:], [["orders", "0", "0"]])
        self.run_tool("trim", "orders", "--before", "3", "-p", "0", "--execute")
        self.assertEqual(self.lines("consume", "orders", "-e"), ["3", "4"])
        self.run_tool("trim", "orders", "--before", "1", status=tool.USAGE)
        self.run_tool("trim", "orders", "--before", "9", "-p", "0", "--execute", status=tool.MISSING)
        self.run_tool("trim", "orders", "--before", "-1", "--execute")
        self.assertEqual(self.lines("consume", "orders", "-e"), ["4"])
        self.run_tool("trim", "orders", "--before", "end", "--execute")
        self.assertEqual(self.table("offsets", "orders", "--earliest")[1:], [["orders", "0", "5"], ["orders", "1", "0"]])

    def test_groups_show_their_lag(self):
        # kafka:D18 kafka:M4
        self.create("orders", 2)
        self.produce("-p", "0", stdin=b"0\n1\n2\n")
        self.produce("-p", "1", stdin=b"a\n")
        self.run_tool("consume", "orders", "-g", "billing", "-p", "0", "-n", "2")
        self.assertEqual(self.table("groups", "list"), [["GROUP", "STATE", "MEMBERS", "PARTITIONS", "LAG"],
                                                        ["billing", "Empty", "0", "1", "1"]])
        title, row = self.table("groups", "describe", "billing")
        self.assertEqual(title, ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "LAG-TIME",
                                 "CONSUMER-ID"])
        self.assertEqual(row[:6] + row[7:], ["billing", "orders", "0", "2", "3", "1", "-"])
        self.assertLess(0, int(row[6]))
        self.assertEqual(self.json("groups", "list"), {"groups": [
            {"group": "billing", "state": "Empty", "members": 0, "partitions": 1, "lag": 1}]})
        self.run_tool("groups", "describe", "biling", status=tool.MISSING)
        self.assertIn('did you mean "billing"', self.errors)

    def test_stats_can_be_asked_for_by_name(self):
        self.create()
        self.produce(stdin=b"a\nb\n")
        stats = self.json("stats")["stats"]
        self.assertTrue(all(set(row) == {"name", "topic", "partition", "value"} for row in stats))
        self.assertIn(2, [row["value"] for row in stats if row["name"] == "log_end_offset"])
        self.assertEqual({row["name"] for row in self.json("stats", "log_end_offset")["stats"]}, {"log_end_offset"})


class Terminal(tool.ToolTest):
    def test_tables_and_colours_are_for_terminals(self):
        self.create("orders", 2)
        self.produce("-p", "1", stdin=b"a\n" * 1500)
        shown = self.on_terminal("topics", "describe", "orders")
        self.assertIn("\033[", shown)
        self.assertIn("1,500", shown)
        self.assertIn("█", shown)
        self.assertNotIn("\t", shown)
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.assertNotIn("\033", self.on_terminal("topics", "describe", "orders", env=env))
        self.assertNotIn("█", self.on_terminal("topics", "describe", "orders", env={"LANG": "C", "LC_ALL": "C"}))
        self.assertEqual(self.on_terminal("topics", "list", "--plain").splitlines()[1].split("\t")[:3],
                         ["orders", "2", "1500"])
        self.assertNotIn(b"\033", self.run_tool("topics", "describe", "orders"))
        self.assertIn(b"\033", self.run_tool("help", "--color=always"))

    def test_each_verb_has_something_to_show(self):
        self.create("orders", 2)
        self.produce("-p", "0", stdin=b"\nhello\n")
        self.run_tool("consume", "orders", "-g", "billing", "-n", "1")
        for words, expected in (("topics list", "orders"), ("topics describe --segments", "active"),
                                ("configs list", "segment.bytes"), ("configs get orders --all", "default"),
                                ("offsets orders --at now", "TIMESTAMP"), ("trim orders --before -1", "NEW-START"),
                                ("groups list", "billing"), ("groups describe billing", "Total lag: 1 records, oldest "),
                                ("stats", "log_end_offset"), ("verify", "PASS"), ("history", "close"),
                                ("dump orders", "hello"), ("consume orders -e", "hello"),
                                ("topics delete orders", "no"), ("version", "kafkalite")):
            with self.subTest(words=words):
                self.assertIn(expected, self.on_terminal(*words.split()))

    def test_a_record_cannot_command_the_terminal(self):
        self.create()
        self.produce(stdin=b"\x1b[2Jgone\x07\n")
        shown = self.on_terminal("consume", "orders", "-e", env={"NO_COLOR": "1"})
        self.assertIn("\\x1b[2Jgone\\x07", shown)
        self.assertNotIn("\033", shown)


if __name__ == "__main__":
    tool.main()
