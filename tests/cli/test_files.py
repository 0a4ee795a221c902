# SPDX-License-Identifier: MIT
"""dump, verify, history: what lies in the files, and what is wrong with them."""
import ctypes
import glob
import os
import shutil

import tool


class Files(tool.ToolTest):
    def setUp(self):
        super().setUp()
        self.create("orders", 2, "-c", "segment.bytes=65536")

    def files(self):
        return sorted(glob.glob(os.path.join(self.store, "topics", "*", "*", "*.log")))

    def segment(self, partition=0):
        """The path of the partition's active segment."""
        segments = self.json("topics", "describe", "orders", "--segments")["topics"][0]["segments"]
        return [s["path"] for s in segments if s["partition"] == partition and s["state"] == "active"][0]

    def flip(self, path, place):
        with open(path, "r+b") as file:
            file.seek(place)
            byte = file.read(1)
            file.seek(place)
            file.write(bytes([byte[0] ^ 0x20]))

    def test_dump_shows_batches_and_records(self):
        self.produce("-p", "1", "-K", ":", "-H", "trace=ab12", stdin=b"o-1:hello\no-2:w\xff\n")
        rows = self.json_lines("dump", "orders/1")
        self.assertEqual([row["type"] for row in rows], ["segment", "batch", "record", "record"])
        self.assertEqual((rows[0]["topic"], rows[0]["partition"]), ("orders", 1))
        self.assertEqual((rows[1]["base_offset"], rows[1]["end_offset"], rows[1]["records"], rows[1]["codec"]),
                         (0, 2, 2, "none"))
        self.assertEqual((rows[2]["offset"], rows[2]["key"], rows[2]["payload"], rows[2]["headers"]),
                         (0, "o-1", "hello", ["trace", "ab12"]))
        self.assertEqual(rows[3]["payload"], {"base64": "d/8="})
        text = self.run_tool("dump", "orders/1", "--hex").decode()
        self.assertIn('key "o-1"  value(5) hello  trace=ab12', text)
        self.assertIn("68 65 6c 6c 6f", text)
        self.assertIn("|hello|", text)
        self.assertIn("w\\xff", text)
        self.assertEqual(self.run_tool("dump", "orders/0"), b"")

    def test_dump_is_narrowed(self):
        for n in range(6):
            self.produce("-p", "0", stdin=b"%d\n" % n)
        offsets = [row["offset"] for row in self.json_lines("dump", "orders", "--from", "2", "--to", "5")
                   if row["type"] == "record"]
        self.assertEqual(offsets, [2, 3, 4])
        kinds = [row["type"] for row in self.json_lines("dump", "orders/0", "--from", "1", "-n", "2")]
        self.assertEqual(kinds, ["segment", "batch", "record", "batch", "record"])
        kinds = [row["type"] for row in self.json_lines("dump", "orders/0", "--batches")]
        self.assertEqual(kinds, ["segment"] + ["batch"] * 6)

    def test_a_file_needs_no_store(self):
        # kafka:M5
        self.produce("-p", "0", stdin=b"hello\n")
        alone = os.path.join(self.folder, "00000000000000000001.log")
        shutil.copyfile(self.segment(), alone)
        shutil.rmtree(self.store)
        rows = self.json_lines("dump", alone)
        self.assertEqual([row["type"] for row in rows], ["segment", "batch", "record"])
        self.assertEqual(rows[2]["payload"], "hello")
        self.run_tool("dump", os.path.join(self.folder, "00000000000000000009.log"), status=tool.MISSING)

    def test_a_log_of_several_files_is_whole(self):
        self.produce("-p", "0", stdin=b"".join(b"%05d%s\n" % (n, b"x" * 995) for n in range(300)))
        rows = self.json_lines("dump", "orders/0")
        self.assertGreater(len([row for row in rows if row["type"] == "segment"]), 2)
        self.assertGreater(len([row for row in rows if row["type"] == "end"]), 1)
        self.assertEqual([row["offset"] for row in rows if row["type"] == "record"], list(range(300)))

    def test_verify_passes_what_is_good(self):
        self.produce("-p", "0", stdin=b"a\nb\n")
        report = self.json("verify")
        self.assertEqual((report["checked_records"], report["problems"]), (2, []))
        self.assertEqual([(p["partition"], p["result"]) for p in report["partitions"]], [(0, "PASS"), (1, "PASS")])
        self.assertEqual(len(self.table("verify")), 1)
        self.assertIn("0 problems", self.errors)
        self.run_tool("verify", "orders", "--quick")

    def test_damage_is_found_shown_and_stepped_over(self):
        # kafka:C15
        for value in (b"one\n", b"two\n", b"three\n"):
            self.produce("-p", "0", "--acks", "all", stdin=value)
        batches = [row for row in self.json_lines("dump", "orders/0", "--batches") if row["type"] == "batch"]
        path = self.segment()
        self.flip(path, batches[1]["place"] + batches[1]["size"] - 1)
        report = self.json("verify", status=tool.DAMAGE)
        self.assertEqual([p["result"] for p in report["partitions"]], ["FAIL", "PASS"])
        self.assertEqual((report["problems"][0]["topic"], report["problems"][0]["partition"]), ("orders", 0))
        self.assertIn(os.path.basename(path), report["problems"][0]["path"])
        shown = self.on_terminal("verify", status=tool.DAMAGE)
        self.assertIn("FAIL", shown)
        rows = self.json_lines("dump", path, status=tool.DAMAGE)
        self.assertEqual([row["type"] for row in rows],
                         ["segment", "batch", "record", "damage", "batch", "record"])
        self.assertEqual([row["payload"] for row in rows if row["type"] == "record"], ["one", "three"])
        self.assertEqual(self.run_tool("consume", "orders", "-e", status=tool.DAMAGE), b"one\nthree\n")
        self.assertIn("orders/0: records 1..1 cannot be read", self.errors)

    def test_a_store_without_a_catalog_is_repaired(self):
        for value in (b"one\n", b"two\n", b"three\n"):
            self.produce("-p", "0", "--acks", "all", stdin=value)
        batches = [row for row in self.json_lines("dump", "orders/0", "--batches") if row["type"] == "batch"]
        place = batches[1]["place"] + batches[1]["size"] - 1
        copy = os.path.join(self.folder, "copy")
        path = self.segment()
        os.remove(os.path.join(self.store, "catalog.mdb"))
        self.run_tool("verify", status=tool.DAMAGE)
        self.assertIn("kafkalite repair", self.errors)
        report = self.json("repair", copy)
        self.assertEqual((report["copied_records"], report["problems"]), (3, []))
        self.assertIn("not in the copy", self.errors)
        self.run_tool("repair", copy, status=tool.FAILED)
        self.assertIn("is not empty", self.errors)
        shutil.rmtree(copy)
        self.flip(path, place)
        self.run_tool("repair", copy, status=tool.DAMAGE)
        self.assertIn("1 problem", self.errors)
        self.store = copy
        self.assertEqual(self.run_tool("consume", "orders", "-e"), b"one\nthree\n")

    def test_a_full_disk_is_read(self):
        libc = ctypes.CDLL(None, use_errno=True)
        private, new_namespace = 0x44000, 0x20000  # MS_REC | MS_PRIVATE, CLONE_NEWNS
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        if (os.geteuid() != 0 or libc.unshare(new_namespace) != 0
                or libc.mount(b"none", b"/", None, private, None) != 0
                or libc.mount(b"none", disk.encode(), b"tmpfs", 0, b"size=4m") != 0):
            self.skipTest("no file system can be mounted here")
        self.addCleanup(libc.umount2, disk.encode(), 2)
        self.store = os.path.join(disk, "store")
        self.create("orders")
        self.produce(stdin=b"one\ntwo\n")
        os.unlink(os.path.join(self.store, "state"))  # as after a reboot: who writes makes another one
        with open(os.path.join(disk, "filler"), "wb", buffering=0) as filler, self.assertRaises(OSError):
            while True:
                filler.write(bytes(65536))
        self.produce(stdin=b"three\n", status=tool.FAILED)
        self.assertIn("read.only=true", self.errors)
        self.assertIn("2 records", self.run_tool("verify") and self.errors)
        self.assertEqual(self.run_tool("consume", "orders", "--from", "beginning", "-n", "2"), b"one\ntwo\n")
        self.run_tool("history")
        self.run_tool("topics", "describe")
        self.run_tool("dump", "orders")
        os.unlink(os.path.join(disk, "filler"))
        self.produce(stdin=b"three\n")
        self.assertEqual(self.run_tool("consume", "orders", "--from", "beginning", "-n", "3"), b"one\ntwo\nthree\n")

    def test_history_tells_who_was_here(self):
        rows = self.json("history")["history"]
        self.assertEqual([row["event"] for row in rows[:2]], ["open", "close"])
        self.assertEqual({row["program"] for row in rows}, {"kafkalite"})
        self.assertEqual(self.table("history")[0], ["TIME", "EVENT", "PID", "BY", "TOPIC", "PARTITION", "TEXT"])


if __name__ == "__main__":
    tool.main()
