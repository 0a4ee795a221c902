# SPDX-License-Identifier: MIT
"""Installations into folders of their own, and small programs that are guests of them."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import tree

# Valid in C and in C++.
PROGRAM = r"""
#include <kafkalite.h>
#include <stdio.h>

int main(void)
{
    kfl_store *store;
    kfl_producer *producer;
    int64_t offset = -1;
    if (kfl_store_open(":memory:", NULL, &store) < 0 || kfl_topic_create(store, "t", 1, NULL) < 0 ||
        kfl_producer_open(store, NULL, &producer) < 0 ||
        kfl_producer_send(producer, "t", 0, NULL, 0, "v", 1, NULL, 0, KFL_TIMESTAMP_NOW, &offset) < 0) {
        puts(kfl_last_error());
        return 1;
    }
    printf("%s %lld\n", kfl_version_string(), (long long)offset);
    return kfl_producer_close(producer) < 0 || kfl_store_close(store) < 0;
}
"""


def meson():
    """The meson that configured this build: another one would refuse its folder."""
    for candidate in ("/usr/bin/meson", shutil.which("meson")):
        if candidate and os.path.exists(candidate):
            told = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
            if told.stdout.strip() == os.environ["KFL_MESON_VERSION"]:
                return candidate
    return None


class Staging(unittest.TestCase):
    """Each test has a folder of its own, and skips what this build or machine cannot do."""
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafkalite-build-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.meson = meson()
        if self.meson is None:
            self.skipTest("no meson of the version that configured this build")

    def skip_when_sanitized(self):
        if os.environ["KFL_SANITIZE"] != "none":
            self.skipTest("a guest of a sanitized library would have to be sanitized too")

    def run_well(self, command, **keywords):
        """What a command prints; the test fails when it fails."""
        env = dict(os.environ, LC_ALL="C.UTF-8", **keywords.pop("env", {}))
        done = subprocess.run(command, cwd=self.folder, env=env, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **keywords)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}")
        return done.stdout

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def install(self, build, root):
        """The sorted paths, from the root, of what an installation of a build folder holds."""
        self.run_well([self.meson, "install", "--no-rebuild", "-C", build, "--destdir", root])
        return sorted(os.path.relpath(os.path.join(folder, name), root)
                      for folder, _, names in os.walk(root) for name in names)

    def check_program(self, program, **env):
        self.assertEqual(self.run_well([program], env=env), tree.version() + " 0\n")

    def needed(self, program):
        return [value for kind, value in tree.dynamic_entries(program) if kind == "NEEDED"]


def main():
    unittest.main(verbosity=2, argv=sys.argv)
