# SPDX-License-Identifier: MIT
"""produce and consume: what goes in comes out, in every form."""
import base64
import json
import os

import tool


class Records(tool.ToolTest):
    def setUp(self):
        super().setUp()
        self.create()

    def consume(self, *words, topic="orders", **keywords):
        return self.run_tool("consume", topic, "-e", *words, **keywords)

    def test_lines_go_in_and_come_out(self):
        self.produce(stdin=b"one\ntwo\n\nlast without an end")
        self.assertEqual(self.consume(), b"one\ntwo\n\nlast without an end\n")

    def test_keys_headers_and_formats(self):
        # kafka:M3
        self.produce("-K", ":", "-H", "trace=ab12", "-H", "trace=", "-H", "bare", stdin=b"o-1:a:b\nno key\n")
        self.assertEqual(self.consume("-f", r"%t/%p %o [%k] %K [%s] %S %h %%\n"),
                         b"orders/0 0 [o-1] 3 [a:b] 3 trace=ab12,trace=,bare=NULL %\n"
                         b"orders/0 1 [] -1 [no key] 6 trace=ab12,trace=,bare=NULL %\n")
        self.assertEqual(self.consume("-n", "1", "-f", r"%k{hex}\t%s{base64}\x21%s{json}\n"),
                         b"6f2d31\tYTpi!\"a:b\"\n")

    def test_times_are_shown_as_asked(self):
        self.produce("--json", stdin=b'{"payload": "x", "ts": 1700000000123}')
        self.assertEqual(self.consume("-f", "%T %d %d{strftime[%F %R]}"),
                         b"1700000000123 2023-11-14T22:13:20.123Z 2023-11-14 22:13")

    def test_missing_differs_from_empty(self):
        # kafka:B7
        self.produce("-K", ":", stdin=b":\n")
        self.produce("-K", ":", "-Z", stdin=b":\nk:\n")
        self.produce("-k", "", stdin=b"v\n")
        self.assertEqual([(row["key"], row["payload"]) for row in map(json.loads, self.consume("-J").splitlines())],
                         [("", ""), (None, None), ("k", None), ("", "v")])

    def test_any_byte_survives_the_round_trip(self):
        everything = bytes(range(256))
        self.produce("-D", "", stdin=everything)
        self.assertEqual(self.consume("-f", "%s"), everything)
        row = json.loads(self.consume("-J"))
        self.assertEqual(base64.b64decode(row["payload"]["base64"]), everything)

    def test_json_goes_to_another_store_and_back(self):
        # kafka:B8
        rows = [{"key": "ä\x00", "payload": {"base64": "gP8="}, "ts": 12345, "partition": 1,
                 "headers": ["a", "1", "a", None, "b", {"base64": "/w=="}]},
                {"key": None, "payload": None, "ts": 0, "partition": 2, "headers": []},
                {"key": {"base64": "/w=="}, "payload": "", "ts": 7, "partition": 0, "headers": []}]
        self.create("wide", 3)
        self.produce("--json", topic="wide", stdin="\n".join(map(json.dumps, rows)).encode() + b"\n\n")
        lines = self.consume("-J", topic="wide")
        got = sorted((json.loads(line) for line in lines.splitlines()), key=lambda row: row["partition"])
        want = sorted(rows, key=lambda row: row["partition"])
        for one, other in zip(got, want):
            self.assertEqual({name: one[name] for name in other}, other)
            self.assertEqual((one["topic"], one["offset"], one["tstype"]), ("wide", 0, "create"))
        copy = os.path.join(self.folder, "copy")
        self.run_tool("topics", "create", "wide", "-p", "3", store=copy)
        self.run_tool("produce", "wide", "-J", stdin=lines, store=copy)
        self.assertEqual(sorted(self.run_tool("consume", "wide", "-e", "-J", store=copy).splitlines()),
                         sorted(lines.splitlines()))

    def test_json_takes_values_and_header_objects(self):
        self.produce("--json", stdin=b'{"key": 7, "value": {"n": [1]}, "headers": {"a": "b"}}')
        row = json.loads(self.consume("-J"))
        self.assertEqual((row["key"], row["payload"], row["headers"]), ("7", '{"n":[1]}', ["a", "b"]))

    def test_a_bad_json_line_is_named_and_those_before_it_are_kept(self):
        for bad in (b"{", b"[]", b'{"payload": {"base64": "?"}}', b'{"partition": -1}', b'{"ts": "x"}',
                    b'{"headers": ["odd"]}'):
            with self.subTest(bad=bad):
                self.produce("--json", stdin=b'{"payload": "good"}\n' + bad + b"\n", status=tool.FAILED)
                self.assertIn("record 2 ", self.errors)
        self.assertEqual(self.consume(), b"good\n" * 6)

    def test_a_record_that_is_too_large_is_named_and_those_before_it_are_kept(self):
        # kafka:B9
        self.run_tool("configs", "set", "orders", "max.message.bytes=1000")
        reported = self.produce("--report", stdin=b"a\n" + b"x" * 5000 + b"\nb\n", status=tool.FAILED)
        self.assertEqual(reported, b"0 0\n")
        self.assertIn("record 2 was not appended", self.errors)
        self.assertEqual(self.consume(), b"a\n")

    def test_report_tells_where_each_record_lies(self):
        self.create("wide", 3)
        keys = [f"key-{n}" for n in range(200)]
        reported = self.produce("-K", "=", "--report", topic="wide", stdin="".join(f"{k}={k}\n" for k in keys).encode())
        places = [tuple(map(int, line.split())) for line in reported.splitlines()]
        self.assertEqual(len(places), 200)
        there = {(row["partition"], row["offset"]): row["payload"]
                 for row in map(json.loads, self.consume("-J", topic="wide").splitlines())}
        self.assertEqual([there[place] for place in places], keys)

    def test_acks_and_codecs_are_the_producers(self):
        build = self.run_tool("version").decode()
        built = [name for name in ("none", "lz4", "zstd") if name in build]
        ways = [("--acks", "all"), ("--acks", "0"), ("-c", "linger.ms=0")] + [("-z", name) for name in built]
        for words in ways:
            self.assertEqual(self.produce(*words, "--report", stdin=b"abc\n" * 50).count(b"\n"), 50)
        self.assertEqual(self.consume(), b"abc\n" * 50 * len(ways))
        codecs = {row["codec"] for row in self.json_lines("dump", "orders/0", "--batches") if row["type"] == "batch"}
        self.assertEqual(codecs, set(built))

    def test_files_and_delimiters(self):
        path = os.path.join(self.folder, "input")
        with open(path, "wb") as file:
            file.write(b"a--b--c")
        self.produce("-D", "--", path, "-", stdin=b"d--e-")
        self.assertEqual(self.consume("-f", r"%s\n"), b"a\nb\nc\nd\ne-\n")
        self.produce(os.path.join(self.folder, "no such file"), status=tool.FAILED)

    def test_a_delimiter_across_reads_is_found(self):
        size = 65536 * 2 - 1
        self.run_tool("configs", "set", "orders", "max.message.bytes=1000000")
        self.produce("-D", "=|=", stdin=b"x" * (size - 1) + b"=|=" + b"y" * 70000)
        self.assertEqual(self.consume("-f", r"%S\n"), b"%d\n70000\n" % (size - 1))

    def test_reading_begins_and_stops_where_asked(self):
        self.create("wide", 2)
        rows = [json.dumps({"payload": f"{p}.{n}", "partition": p, "ts": 1000 * n}) for p in (0, 1) for n in range(6)]
        self.produce("--json", topic="wide", stdin="\n".join(rows).encode())

        def read(*words):
            return sorted(self.consume(*words, topic="wide").decode().split())

        self.assertEqual(read("--from", "4"), ["0.4", "0.5", "1.4", "1.5"])
        self.assertEqual(read("--from", "-1"), ["0.5", "1.5"])
        self.assertEqual(read("--from", "-100", "-p", "1", "--to", "2"), ["1.0", "1.1"])
        self.assertEqual(read("--from", "@3", "--to", "@000000004500"), ["0.3", "0.4", "1.3", "1.4"])
        self.assertEqual(read("--from", "end"), [])
        self.assertEqual(read("--from", "2", "--to", "-3"), ["0.2", "1.2"])
        self.assertEqual(len(read("-n", "5")), 5)
        self.assertEqual(read("--from", "5", "-p", "0,1"), ["0.5", "1.5"])
        self.assertEqual(self.run_tool("consume", "wide", "orders", "-e").count(b"\n"), 12)

    def test_a_group_reads_on_where_it_was(self):
        # kafka:D4
        self.produce(stdin=b"".join(b"%d\n" % n for n in range(10)))
        self.assertEqual(self.consume("-g", "billing", "-n", "3"), b"0\n1\n2\n")
        self.assertEqual(self.consume("-g", "billing", "--to", "5"), b"3\n4\n")
        self.assertEqual(self.consume("-g", "billing"), b"5\n6\n7\n8\n9\n")
        self.assertEqual(self.consume("-g", "billing"), b"")
        self.assertEqual(self.consume("-g", "other", "--from", "end"), b"")
        self.assertEqual(self.consume("-g", "billing", "--from", "8"), b"8\n9\n")

    def test_time_out_with_nothing_is_six(self):
        self.run_tool("consume", "orders", "--timeout", "50ms", status=tool.TIMEOUT)
        self.produce(stdin=b"a\n")
        self.assertEqual(self.run_tool("consume", "orders", "--timeout", "50ms"), b"a\n")
        self.assertEqual(self.consume("--from", "end"), b"")

    def test_records_come_while_they_are_waited_for(self):
        reader = self.start("consume", "orders", "-n", "2")
        self.produce(stdin=b"first\n")
        self.assertEqual(reader.stdout.readline(), b"first\n")
        self.produce(stdin=b"second\nthird\n")
        self.assertEqual(reader.stdout.read(), b"second\n")
        self.assertEqual(reader.wait(60), 0)


if __name__ == "__main__":
    tool.main()
