# SPDX-License-Identifier: MIT
"""
Both artefacts define kfl_ names and nothing else for the linker; the shared one exports exactly what
the header declares. Hidden visibility hides nothing in a static archive, so names there have the
prefix too.
"""
import os
import unittest

import tree


class Symbols(unittest.TestCase):
    def test_the_shared_library_exports_what_the_header_declares(self):
        exported = {name.split("@")[0] for name, kind in
                    tree.defined_symbols(os.environ["KFL_SHARED"], "--dynamic") if kind != "A"}
        declared = tree.exported_functions()
        self.assertEqual(len(declared), len(set(declared)))
        self.assertGreater(len(declared), 100)
        self.assertEqual(sorted(exported), sorted(declared))

    def test_every_exported_symbol_has_a_version(self):
        for name, kind in tree.defined_symbols(os.environ["KFL_SHARED"], "--dynamic"):
            if kind != "A":
                self.assertRegex(name, "@@KFL_")

    def test_the_archive_defines_names_of_ours_only(self):
        names = {name for name, _ in tree.defined_symbols(os.environ["KFL_STATIC"])}
        self.assertTrue(set(tree.exported_functions()) <= names)
        self.assertEqual(sorted(name for name in names if not name.startswith("kfl_")
                                and not name.startswith(("__asan", "__odr_asan", "__tsan", "asan."))), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
