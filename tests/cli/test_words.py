# SPDX-License-Identifier: MIT
"""The command line itself: help, prefixes, suggestions, statuses, where the store is."""
import os
import re
import subprocess

import tool


class Words(tool.ToolTest):
    def run_bare(self, *words, env=None, cwd=None):
        return subprocess.run([tool.KAFKALITE, *words], capture_output=True, timeout=60, check=False, text=True,
                              env=tool.environment(**(env or {})), cwd=cwd or self.folder)

    def verbs(self):
        text = self.run_bare("help").stdout
        names = re.search(r"^Verbs\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL).group(1)
        return [re.split(r"  +", line.strip())[0].split(" ") for line in names.splitlines()]

    def test_each_help_leads_with_an_example_in_eighty_columns(self):
        verbs = self.verbs()
        self.assertIn(["topics", "create"], verbs)
        self.assertIn(["dump"], verbs)
        for words in verbs + [[]]:
            for command in (["help", *words], [*words, "--help"]):
                done = self.run_bare(*command)
                self.assertEqual(done.returncode, 0, command)
                self.assertTrue(done.stdout.startswith("  $ "), command)
                for line in done.stdout.splitlines():
                    self.assertLessEqual(len(line), 80, line)

    def test_a_verb_may_be_shortened_while_it_is_unique(self):
        self.create()
        self.assertEqual(self.lines("topi", "li", "--names"), ["orders"])
        self.assertEqual(self.lines("topics", "ls", "--names"), ["orders"])
        self.run_tool("t", "list", status=tool.USAGE)
        self.assertIn("more than one", self.errors)

    def test_a_typing_error_gets_a_suggestion(self):
        self.create()
        for words, status, expected in (
                (("topcs", "list"), tool.USAGE, 'did you mean "topics"'),
                (("topics", "crate", "x"), tool.USAGE, 'did you mean "create"'),
                (("consume", "orders", "--formt", "x"), tool.USAGE, "did you mean --format"),
                (("consume", "order"), tool.MISSING, 'did you mean "orders"'),
                (("produce", "oders"), tool.MISSING, 'did you mean "orders"'),
                (("topics", "create", "x", "-c", "retention.sm=1"), tool.USAGE, "retention.sm")):
            with self.subTest(words=words):
                self.run_tool(*words, status=status)
                self.assertIn(expected, self.errors)
                self.assertTrue(self.errors.startswith("kafkalite: "))

    def test_wrong_usage_is_two(self):
        self.create()
        for words in ((), ("frobnicate",), ("topics",), ("topics", "list", "extra"), ("produce",),
                      ("topics", "create", "x", "-p", "0"), ("topics", "create", "x", "-p", "many"),
                      ("topics", "create", "no/slash"), ("consume", "orders", "--from", "@yesterday"),
                      ("consume", "orders", "-f", "%q"), ("consume", "orders", "-n", "-1"),
                      ("consume", "orders", "--json=yes"), ("consume", "orders", "-g"),
                      ("offsets", "orders", "--at", "noon"), ("offsets", "orders", "--latest", "--earliest"),
                      ("trim", "orders"), ("--color=blue", "topics", "list"),
                      ("produce", "orders", "--acks", "2"), ("configs", "set", "orders", "retention.ms"),
                      ("consume", "orders", "--from", "stored")):
            with self.subTest(words=words):
                self.run_tool(*words, status=tool.USAGE)
                self.assertNotEqual(self.errors, "" if words != ("topics",) else None)

    def test_what_is_not_there_is_four(self):
        self.create()
        for words in (("consume", "nothing"), ("topics", "describe", "nothing"), ("offsets", "nothing"),
                      ("consume", "orders", "-p", "7"), ("dump", "orders/3"), ("groups", "describe", "nobody"),
                      ("topics", "delete", "nothing", "--execute"), ("topics", "alter", "nothing", "-p", "4"),
                      ("verify", "nothing"), ("trim", "orders", "--before", "5")):
            with self.subTest(words=words):
                self.run_tool(*words, status=tool.MISSING)
        self.run_tool("topics", "list", status=tool.MISSING, store=os.path.join(self.folder, "elsewhere"))
        self.assertFalse(os.path.exists(os.path.join(self.folder, "elsewhere")))

    def test_the_store_is_named_by_option_environment_or_place(self):
        self.create("here")
        other = os.path.join(self.folder, "other")
        self.run_tool("topics", "create", "there", store=other)
        done = self.run_bare("topics", "list", "--names")
        self.assertEqual(done.returncode, tool.USAGE)
        self.assertIn("-d DIR", done.stderr)
        self.assertIn("KAFKALITE_DIR", done.stderr)
        self.assertEqual(self.run_bare("topics", "list", "--names", env={"KAFKALITE_DIR": other}).stdout, "there\n")
        self.assertEqual(self.run_bare("topics", "list", "--names", cwd=other).stdout, "there\n")
        self.assertEqual(self.run_bare("topics", "list", "--names", "-d", self.store, cwd=other,
                                       env={"KAFKALITE_DIR": other}).stdout, "here\n")

    def test_version_is_that_of_the_library(self):
        version = self.json("version")
        self.assertEqual(self.lines("version")[0], f"kafkalite {version['version']}, format {version['format']}")


if __name__ == "__main__":
    tool.main()
