# SPDX-License-Identifier: MIT
"""Writes a line X(name) for each function of the public header: abi_functions.py OUTPUT."""
import sys

import tree

with open(sys.argv[1], "w", encoding="utf-8") as output:
    for name in tree.exported_functions():
        output.write(f"X({name})\n")
