# SPDX-License-Identifier: MIT
"""Each header of lib/ compiles alone, and all of lib/ as one file: static names are unique; each file has its licence."""
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

    def test_every_file_tells_its_licence_and_ends_its_lines(self):
        paths = [os.path.join(folder, name) for top in ("include", "lib", "tools", "examples", "bench", "tests", "bindings")
                 for folder, _, names in os.walk(os.path.join(tree.SOURCE, top)) for name in names
                 if name.endswith((".c", ".h", ".py", ".sh", ".map", ".in", "meson.build"))]
        self.assertGreater(len(paths), 200)
        for path in paths:
            with self.subTest(path=path), open(path, encoding="utf-8") as file:
                text = file.read()
                self.assertIn("SPDX-License-Identifier: MIT", text[:100])
                self.assertTrue(text.endswith("\n"))
                self.assertNotRegex(text, r"[ \t]\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
