# SPDX-License-Identifier: MIT
"""What the tests of the build know of the tree: meson tells by the environment."""
import os
import re
import shlex
import subprocess

SOURCE = os.environ["KFL_SOURCE"]
COMPILERS = [shlex.split(os.environ["KFL_CC"])]
FLAGS = shlex.split(os.environ.get("KFL_CFLAGS", ""))
LIBRARY_FILES = shlex.split(os.environ.get("KFL_LIBRARY_FILES", ""))
HEADER = os.path.join(SOURCE, "include", "kafkalite.h")


def exported_functions():
    """Names of all functions that the public header declares, in its order."""
    with open(HEADER, encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return re.findall(r"^KFL_API\b[^;(]*?\b(kfl_\w+)\(", text, re.MULTILINE)


def compile_text(compiler, arguments, text, language="c"):
    """What the compiler says of a text; "" when it accepts it."""
    done = subprocess.run(
        compiler + arguments + ["-fsyntax-only", "-x", language, "-"],
        input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr or f"status {done.returncode}"


def defined_symbols(path, *options):
    """Names and kinds, as nm prints them, of what a file defines for others."""
    lines = subprocess.run(["nm", "--defined-only", "--extern-only", *options, path],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    found = [line.split() for line in lines]
    return [(words[-1], words[-2]) for words in found if len(words) >= 2 and not words[-1].endswith(":")]


def instructions(path, function):
    """The lines of a function's disassembly."""
    text = subprocess.run(["objdump", "--disassemble=" + function, "--reloc", "--no-show-raw-insn", path],
                          capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    return re.findall(r"^\s+[0-9a-f]+:\s(.*)$", text, re.MULTILINE)


def symbol_versions():
    """The node of lib/kafkalite.map in which each symbol is listed; a symbol stands there once."""
    with open(os.path.join(SOURCE, "lib", "kafkalite.map"), encoding="utf-8") as file:
        text = re.sub(r"#.*", "", file.read())
    versions = {}
    for node, body in re.findall(r"(\w+)\s*\{(.*?)\}", text, re.DOTALL):
        listed = re.search(r"global:(.*?)(?:local:|$)", body, re.DOTALL)
        for name in re.findall(r"[^\s;]+", listed[1] if listed else ""):
            assert name not in versions, f"{name} is listed twice"
            versions[name] = node
    return versions


def dynamic_entries(path):
    """(kind, value) of the entries of a dynamic section that carry a name."""
    text = subprocess.run(["readelf", "--dynamic", "--wide", path],
                          capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout
    return re.findall(r"\((\w+)\)\s[^\[\n]*\[([^\]\n]*)\]", text)


def version():
    with open(HEADER, encoding="utf-8") as file:
        return re.search(r'^#define KFL_VERSION_STRING "(.*)"$', file.read(), re.MULTILINE)[1]
