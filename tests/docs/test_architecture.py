# SPDX-License-Identifier: MIT
"""The architecture names every file of lib/, and no other; a new file changes its table."""
import glob
import os
import re
import unittest

SOURCE = os.environ["KFL_SOURCE"]


class Architecture(unittest.TestCase):
    def test_its_table_is_the_tree(self):
        with open(os.path.join(SOURCE, "docs", "architecture.md"), encoding="utf-8") as file:
            named = re.findall(r"^\| ([a-z]+/[a-z_]+) \|", file.read(), re.MULTILINE)
        library = os.path.join(SOURCE, "lib")
        there = {os.path.splitext(os.path.relpath(path, library))[0]
                 for path in glob.glob(os.path.join(library, "*", "*.[ch]"))}
        self.assertEqual(sorted(there - set(named)), [], "files without a row")
        self.assertEqual(sorted(set(named) - there), [], "rows without a file")
        self.assertEqual(len(set(named)), len(named), "a file stands there twice")


if __name__ == "__main__":
    unittest.main(verbosity=2)
