# SPDX-License-Identifier: MIT
"""A wheel, with the library inside if KAFKALITE_LIBRARY names one; without, the system's is used.

    KAFKALITE_LIBRARY=build/lib/libkafkalite.so.0 pip wheel --no-deps --no-build-isolation bindings/python

Any Python 3 takes it, on platforms like this one: setuptools alone would call it fit for every machine.
"""
import os

from setuptools import setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

LIBRARY = os.environ.get("KAFKALITE_LIBRARY")


class WithLibrary(build_py):
    def run(self):
        super().run()
        if LIBRARY:
            self.copy_file(os.path.realpath(LIBRARY), os.path.join(self.build_lib, "kafkalite", "libkafkalite.so.0"))


class ForThePlatform(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not LIBRARY

    def get_tag(self):
        return "py3", "none", super().get_tag()[2] if LIBRARY else "any"


setup(cmdclass={"build_py": WithLibrary, "bdist_wheel": ForThePlatform})
