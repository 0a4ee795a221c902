# SPDX-License-Identifier: MIT
"""
An installation holds the files of installed.txt and no other, and what pkg-config tells of it is enough
to compile, link and run a program, with the shared library and with the archive, in C and in C++.
"""
import os
import shlex
import shutil

import staging
import tree


def expected_files():
    present = os.environ["KFL_INSTALLED_WITH"].split()
    directories = dict(entry.split("=", 1) for entry in os.environ["KFL_DIRECTORIES"].split())
    files = []
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "installed.txt"), encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if words and all(condition in present for condition in words[1:]):
                path = words[0].format(version=tree.version(), **directories)
                files.append(os.path.join(directories["prefix"], path).lstrip("/"))
    if "python" in present:
        files += [os.path.join(directories["pythondir"], path).lstrip("/") for path in python_files()]
    return sorted(files)


def python_files():
    """The package, whole."""
    top = os.path.join(tree.SOURCE, "bindings", "python")
    return [os.path.relpath(os.path.join(folder, name), top)
            for folder, _, names in os.walk(os.path.join(top, "kafkalite")) for name in names
            if name.endswith((".py", ".typed"))]


class Install(staging.Staging):
    def setUp(self):
        super().setUp()
        self.root = os.path.join(self.folder, "root")
        self.files = self.install(os.environ["KFL_BUILD"], self.root)
        self.package = os.path.join(self.root, next(path for path in self.files if path.endswith(".pc")))
        self.libraries = os.path.dirname(os.path.dirname(self.package))

    def pkg_config(self, *arguments):
        if shutil.which("pkg-config") is None:
            self.skipTest("no pkg-config")
        env = {"PKG_CONFIG_PATH": os.path.dirname(self.package), "PKG_CONFIG_SYSROOT_DIR": self.root}
        return shlex.split(self.run_well(["pkg-config", *arguments, "kafkalite"], env=env))

    def compile(self, compiler, suffix, *arguments):
        self.skip_when_sanitized()
        source = self.write("program" + suffix, staging.PROGRAM)
        program = os.path.join(self.folder, "program")
        self.run_well([*compiler, "-Wall", "-Wextra", "-Werror", "-o", program, source,
                       *self.pkg_config("--cflags"), *arguments])
        return program

    def test_the_files_are_those_of_the_list(self):
        self.assertEqual(self.files, expected_files())

    def test_the_version_is_the_same_everywhere(self):
        self.assertEqual(self.pkg_config("--modversion"), [tree.version()])

    def test_a_program_links_the_shared_library(self):
        program = self.compile(tree.COMPILERS[0], ".c", *self.pkg_config("--libs"))
        self.assertIn("libkafkalite.so.0", self.needed(program))
        self.assertNotIn("liblmdb.so.0", self.needed(program))
        self.check_program(program, LD_LIBRARY_PATH=self.libraries)

    def test_a_program_links_the_archive(self):
        os.unlink(os.path.join(self.libraries, "libkafkalite.so"))
        program = self.compile(tree.COMPILERS[0], ".c", *self.pkg_config("--static", "--libs"))
        self.assertNotIn("libkafkalite.so.0", self.needed(program))
        self.check_program(program)

    def test_a_program_in_cpp_links(self):
        compiler = shutil.which("c++")
        if compiler is None:
            self.skipTest("no C++ compiler")
        program = self.compile([compiler], ".cpp", *self.pkg_config("--libs"))
        self.check_program(program, LD_LIBRARY_PATH=self.libraries)


if __name__ == "__main__":
    staging.main()
