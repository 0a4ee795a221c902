# SPDX-License-Identifier: MIT
"""Each header of lib/ compiles alone, and all of lib/ as one file: static names are unique."""
import glob
import os
import unittest

import tree

LIB = os.path.join(tree.SOURCE, "lib")
STRICT = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
STRICT += ["-I" + LIB, "-I" + tree.SOURCE + "/include"] + tree.FLAGS


class Sources(unittest.TestCase):
    def test_each_header_compiles_alone_and_twice(self):
        headers = [os.path.relpath(path, LIB) for path in sorted(glob.glob(LIB + "/*/*.h"))]
        self.assertGreater(len(headers), 30)
        for header in headers:
            with self.subTest(header=header):
                text = f'#include "{header}"\n' * 2
                self.assertEqual(tree.compile_text(tree.COMPILERS[0], STRICT, text), "")

    def test_the_library_compiles_as_one_file(self):
        self.assertGreater(len(tree.LIBRARY_FILES), 50)
        text = "".join(f'#include "{os.path.abspath(path)}"\n' for path in tree.LIBRARY_FILES)
        self.assertEqual(tree.compile_text(tree.COMPILERS[0], STRICT, text), "")

    def test_every_source_is_built(self):
        there = {os.path.realpath(path) for path in glob.glob(LIB + "/*/*.c")}
        self.assertEqual(there - {os.path.realpath(path) for path in tree.LIBRARY_FILES}, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
