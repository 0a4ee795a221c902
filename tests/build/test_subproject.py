# SPDX-License-Identifier: MIT
"""
As a subproject, found by the wrap file that the README shows, the library is built and linked as an
archive; nothing else of it is built, and nothing of it is installed with the parent.
"""
import os
import re

import staging
import tree

PARENT = """
project('parent', 'c')
executable('app', 'app.c', dependencies: dependency('kafkalite'), install: true)
"""


def wrap_of_the_readme():
    with open(os.path.join(tree.SOURCE, "README.md"), encoding="utf-8") as file:
        return re.search(r"^```ini\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)[1]


class Subproject(staging.Staging):
    def test_a_parent_links_the_archive_and_installs_itself_alone(self):
        self.write("meson.build", PARENT)
        self.write("app.c", staging.PROGRAM)
        self.write("subprojects/kafkalite.wrap", wrap_of_the_readme())
        os.symlink(tree.SOURCE, os.path.join(self.folder, "subprojects", "kafkalite"))
        build = os.path.join(self.folder, "build")
        # Without the codecs, as no other test builds it.
        self.run_well([self.meson, "setup", build, "--wrap-mode=forcefallback", "--prefix=/usr", "--buildtype=plain",
                       "-Dkafkalite:lz4=disabled", "-Dkafkalite:zstd=disabled"], env={"CC": os.environ["KFL_CC"]})
        self.run_well(["ninja", "-C", build])

        app = os.path.join(build, "app")
        self.check_program(app)
        self.assertEqual([name for name in self.needed(app)
                          if name.startswith(("libkafkalite", "liblz4", "libzstd"))], [])
        built = {name for folder, _, names in os.walk(os.path.join(build, "subprojects")) for name in names}
        self.assertIn("libkafkalite.a", built)
        self.assertEqual(built & {"libkafkalite.so." + tree.version(), "kafkalite", "produce", "test_hash"}, set())
        self.assertEqual(self.install(build, os.path.join(self.folder, "root")), ["usr/bin/app"])


if __name__ == "__main__":
    staging.main()
