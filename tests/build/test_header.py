# SPDX-License-Identifier: MIT
"""The public header is accepted by every language that may include it, also twice."""
import shutil
import unittest

import tree

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I" + tree.SOURCE + "/include"]
LANGUAGES = [("c", "c99"), ("c", "c11"), ("c++", "c++11"), ("c++", "c++17")]
TEXT = '#include "kafkalite.h"\n#include "kafkalite.h"\nint main(void)\n{\n    return kfl_version() == 0;\n}\n'


class Header(unittest.TestCase):
    def test_it_compiles_alone_in_every_language(self):
        compilers = tree.COMPILERS + [[name] for name in ("gcc", "clang") if shutil.which(name)]
        for compiler in compilers:
            for language, standard in LANGUAGES:
                with self.subTest(compiler=compiler, standard=standard):
                    said = tree.compile_text(compiler, STRICT + ["-std=" + standard], TEXT, language)
                    self.assertEqual(said, "")

    def test_a_mistake_would_be_seen(self):
        said = tree.compile_text(tree.COMPILERS[0], STRICT + ["-std=c99"], TEXT.replace("(void)", "()\n;;"))
        self.assertNotEqual(said, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
