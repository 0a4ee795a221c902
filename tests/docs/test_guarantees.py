# SPDX-License-Identifier: MIT
"""The tests that the guarantees name are there, and each promise names one."""
import os
import re
import unittest

SOURCE = os.environ["KFL_SOURCE"]


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


class Guarantees(unittest.TestCase):
    def test_every_test_that_is_named_exists(self):
        for sentence in re.findall(r"^Tests: (.*)\.$", read("docs", "guarantees.md"), re.MULTILINE):
            for entry in sentence.split("; "):
                path, names = re.fullmatch(r"`([^`]+)` (.*)", entry).groups()
                source = read(path)
                for name in names.split(", "):
                    self.assertRegex(source, rf"\b{name}\b", path)

    def test_every_promise_has_a_test(self):
        for section in re.split(r"^## ", read("docs", "guarantees.md"), flags=re.MULTILINE):
            number = re.match(r"P\d+", section)
            if number is not None:
                self.assertIn("\nTests: ", section, number[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
