# SPDX-License-Identifier: MIT
"""What the README shows is what happens.

A ```c block is a whole program: it is built with the static library and must print the ```text block
that follows it. A ```console block is run line by line in one directory: after each "$ command" stands
what it prints; a line that is only "…" stands for any lines. Blocks of other kinds are not run, but the
files that they and the links name must exist.
"""
import os
import re
import shlex
import subprocess
import tempfile
import unittest

BUILD = os.environ["KFL_BUILD"]
SOURCE = os.environ["KFL_SOURCE"]
LIBRARIES = ["lmdb", "libxxhash", "liblz4", "libzstd"]

with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as readme:
    TEXT = readme.read()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def steps_of(block):
    """[command, expected lines], in order; a command may go on behind a backslash."""
    steps = []
    for line in block.splitlines():
        if line.startswith("$ "):
            steps.append([line[2:], []])
        elif steps[-1][0].endswith("\\") and not steps[-1][1]:
            steps[-1][0] = steps[-1][0][:-1] + line.strip()
        else:
            steps[-1][1].append(line)
    return steps


def pattern_of(lines):
    parts = [r"(.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()) + "[ ]*\n" for line in lines]
    return re.compile("".join(parts))


class Readme(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="kafkalite-readme-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.environment = dict(os.environ, PATH=BUILD + ":" + os.environ["PATH"], LC_ALL="C.UTF-8",
                                KAFKALITE_DIR="", TERM="dumb")
        del self.environment["KAFKALITE_DIR"]

    def run_in_folder(self, command, **keywords):
        return subprocess.run(command, cwd=self.folder, env=self.environment, timeout=60, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **keywords)

    def test_the_program_prints_what_stands_below_it(self):
        kinds = [kind for kind, _ in BLOCKS]
        self.assertIn("c", kinds)
        for index, (kind, block) in enumerate(BLOCKS):
            if kind != "c":
                continue
            self.assertEqual(BLOCKS[index + 1][0], "text", "a program is followed by what it prints")
            with open(os.path.join(self.folder, "hello.c"), "w", encoding="utf-8") as file:
                file.write(block)
            present = [name for name in LIBRARIES
                       if subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0]
            flags = subprocess.run(["pkg-config", "--libs", *present], capture_output=True, text=True, check=True).stdout
            built = self.run_in_folder(
                [*shlex.split(os.environ.get("KFL_CC", "cc")), "-Wall", "-Wextra", "-Werror", "-o", "hello", "hello.c",
                 "-I" + os.path.join(SOURCE, "include"), os.path.join(BUILD, "lib", "libkafkalite.a"),
                 *shlex.split(flags), "-pthread", *shlex.split(os.environ.get("KFL_LINK_ARGS", ""))])
            self.assertEqual(built.returncode, 0, built.stdout)
            done = self.run_in_folder(["./hello"])
            self.assertEqual(done.stdout, BLOCKS[index + 1][1])
            self.assertEqual(done.returncode, 0)

    def test_the_commands_print_what_stands_below_them(self):
        if not os.path.exists(os.path.join(BUILD, "kafkalite")):
            self.skipTest("the command line is not built")
        for kind, block in BLOCKS:
            if kind != "console":
                continue
            for command, lines in steps_of(block):
                with self.subTest(command=command):
                    done = self.run_in_folder(["bash", "-c", command])
                    self.assertRegex(done.stdout, pattern_of(lines).pattern + r"\Z", command)
                    if lines:
                        self.assertIsNotNone(pattern_of(lines).fullmatch(done.stdout),
                                             f"{command}\nprints\n{done.stdout}")

    def test_every_file_that_is_named_exists(self):
        named = re.findall(r"\]\(([^)#:]+)\)", TEXT)
        self.assertTrue(named)
        for path in named:
            self.assertTrue(os.path.exists(os.path.join(SOURCE, path)), path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
