# SPDX-License-Identifier: MIT
"""
Both artefacts define kfl_ names and nothing else for the linker; the shared one exports exactly what
the header declares and the symbols file lists by release. Hidden visibility hides nothing in a static
archive, so names there have the prefix too.
"""
import os
import platform
import re
import subprocess
import unittest

import tree

# What the loader may have to look for: the C library, and what the README says that the library needs.
NEEDED = r"ld-linux-x86-64\.so\.2|lib(c|lmdb|xxhash|lz4|zstd)\.so\.\d+"
SANITIZED = r"lib([a-z]+san|m|dl|rt|pthread|resolv|gcc_s|stdc\+\+)\.so\.\d+"


class Symbols(unittest.TestCase):
    def test_the_shared_library_exports_what_the_header_declares(self):
        exported = {name.split("@")[0] for name, kind in
                    tree.defined_symbols(os.environ["KFL_SHARED"], "--dynamic") if kind != "A"}
        declared = tree.exported_functions()
        self.assertEqual(len(declared), len(set(declared)))
        self.assertGreater(len(declared), 100)
        self.assertEqual(sorted(exported), sorted(declared))

    def test_every_exported_symbol_has_the_version_that_the_map_gives_it(self):
        versions = tree.symbol_versions()
        for name, kind in tree.defined_symbols(os.environ["KFL_SHARED"], "--dynamic"):
            if kind != "A":
                name, version = name.split("@@")
                self.assertEqual(version, versions.get(name), name)

    def test_the_map_lists_what_the_header_declares_by_name(self):
        listed = sorted(tree.symbol_versions())
        self.assertEqual([name for name in listed if not re.fullmatch(r"kfl_[a-z0-9]\w*", name)], [])
        self.assertEqual(listed, sorted(tree.exported_functions()))

    def test_the_archive_defines_names_of_ours_only(self):
        names = {name for name, _ in tree.defined_symbols(os.environ["KFL_STATIC"])}
        self.assertTrue(set(tree.exported_functions()) <= names)
        self.assertEqual(sorted(name for name in names if not name.startswith("kfl_")
                                and not name.startswith(("__asan", "__odr_asan", "__tsan", "asan."))), [])

    def test_what_a_seek_fetches_ahead_is_fetched(self):
        # To a compiler that sees the body, a function that does nothing but prefetch is pure: its calls go.
        if platform.machine() != "x86_64":
            self.skipTest("knows one processor's instructions only")
        code = tree.instructions(os.environ["KFL_STATIC"], "kfl__cursor_seek")
        self.assertGreater(len(code), 10)
        self.assertTrue(any(re.search(r"\bprefetch|kfl__lookup_fetch", line) for line in code), "\n".join(code))

    def test_the_list_of_robust_locks_is_found_without_a_call(self):
        # A definition that does not name its model of thread-local storage undoes what the declaration says.
        if platform.machine() != "x86_64" or os.environ["KFL_SANITIZE"] != "none":
            self.skipTest("knows one processor's relocations only, and no sanitizer's")
        relocations = subprocess.run(["readelf", "--relocs", "--wide", os.environ["KFL_SHARED"]],
                                     check=True, capture_output=True, text=True).stdout
        self.assertEqual(relocations.count("R_X86_64_TPOFF64"), 1)

    def test_the_shared_library_needs_what_is_documented_and_knows_no_path(self):
        entries = tree.dynamic_entries(os.environ["KFL_SHARED"])
        allowed = NEEDED if os.environ["KFL_SANITIZE"] == "none" else f"{NEEDED}|{SANITIZED}"
        needed = [value for kind, value in entries if kind == "NEEDED"]
        self.assertEqual([name for name in needed if not re.fullmatch(allowed, name)], [])
        for name in ("libc.", "liblmdb.", "libxxhash."):
            self.assertTrue(any(entry.startswith(name) for entry in needed), name)
        self.assertEqual([value for kind, value in entries if kind in ("RPATH", "RUNPATH")], [])
        self.assertIn(("SONAME", "libkafkalite.so.0"), entries)


if __name__ == "__main__":
    unittest.main(verbosity=2)
