# SPDX-License-Identifier: MIT
"""The header and what ctypes was told of it are the same; the loader says what it tried."""
import ctypes
import os
import re
import shlex
import subprocess

import pytest

import kafkalite
from kafkalite import _abi, _ffi, errors

SOURCE = os.environ["KFL_SOURCE"]
INCLUDE = os.path.join(SOURCE, "include")

with open(os.path.join(INCLUDE, "kafkalite.h"), encoding="utf-8") as file:
    HEADER = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)

SCALARS = {
    "int": ctypes.c_int32,
    "int32_t": ctypes.c_int32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "size_t": ctypes.c_size_t,
}
# Functions whose int is no result that may fail.
PLAIN = {"version", "format_version", "config_is_set", "last_error_code", "last_error_errno"}
PLAIN |= {"event_code"}


def parameter(text):
    """The ctypes of one C parameter."""
    text = " ".join(text.replace("const", "").split())
    if "*" not in text:
        return SCALARS[text.split()[0]]
    if text.count("*") == 1 and text.startswith("char "):
        return ctypes.c_char_p
    return ctypes.c_void_p


def prototypes():
    for result, name, listed in re.findall(r"^KFL_API\s+([\w\s*]+?)\bkfl_(\w+)\(([^;]*)\);", HEADER, re.MULTILINE):
        result = " ".join(result.replace("const", "").split()).replace(" ", "")
        every = [] if listed.strip() == "void" else [parameter(part) for part in listed.split(",")]
        if result == "int":
            kind = ctypes.c_int32 if name in PLAIN or name.endswith("_state") else "code"
        elif result == "void":
            kind = None
        elif result in SCALARS:
            kind = SCALARS[result]
        else:
            kind = ctypes.c_char_p if result == "char*" else ctypes.c_void_p
        yield name, (kind, *every)


def test_every_function_is_declared_as_the_header_has_it():
    declared = dict(prototypes())
    assert len(declared) > 100
    assert _abi.FUNCTIONS == declared


def test_every_function_is_in_the_library():
    for name in _abi.FUNCTIONS:
        _ffi.declare(name)


def test_structs_have_the_sizes_and_places_that_the_compiler_gives_them(tmp_path):
    lines = ["#include <stdio.h>", "#include <kafkalite.h>", "int main(void) {"]
    expected = []
    for name, kind in _abi.STRUCTURES.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(kind)}")
        for field, *_ in kind._fields_:
            lines.append(f'printf("{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));')
            place = getattr(kind, field)
            expected.append(f"{field} {place.offset} {place.size}")
    lines.append("return 0; }")
    source, program = tmp_path / "sizes.c", tmp_path / "sizes"
    source.write_text("\n".join(lines))
    compiler = [word for word in shlex.split(os.environ.get("KFL_CC", "cc")) if word != "ccache"]
    subprocess.run([*compiler, "-I", INCLUDE, "-o", program, source], check=True)
    told = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    assert told.split("\n")[:-1] == expected


def test_every_struct_of_the_header_is_declared():
    named = set(re.findall(r"^typedef struct (kfl_\w+) \{", HEADER, re.MULTILINE))
    # Of walks and of plans, which Python does not have.
    assert named - set(_abi.STRUCTURES) == {"kfl_batch", "kfl_plan_row"}


def test_every_code_has_an_error_class():
    codes = re.findall(r"X\((-\d+),\s*(\w+),", HEADER)
    assert len(codes) > 30
    internal = {"EVENT"}  # dealt with where it comes
    for code, name in codes:
        assert _ffi.lib.error_name(int(code)).decode() == "KFL_E_" + name
        if name not in internal:
            assert type(errors_of(int(code))) is not errors.KafkaError, name


def errors_of(code):
    return _ffi.error_of(code, "")


def test_versions_agree():
    told = re.search(r'KFL_VERSION_STRING "(.*)"', HEADER)[1]
    assert kafkalite.__version__ == told == _ffi.lib.version_string().decode()


def test_a_missing_library_lists_what_was_tried(run_python):
    done = run_python("import kafkalite", check=False, KAFKALITE_LIBRARY="/nowhere/libkafkalite.so.0")
    assert done.returncode == 1
    assert "ImportError: kafkalite: libkafkalite.so.0 was not found" in done.stderr
    assert "/nowhere/libkafkalite.so.0: no such file" in done.stderr
    assert "KAFKALITE_LIBRARY" in done.stderr


def test_without_a_hint_every_place_is_tried(run_python):
    program = "import os; del os.environ['KAFKALITE_LIBRARY']; import kafkalite"
    done = run_python(program, check=False, LD_LIBRARY_PATH="")
    if done.returncode == 0:
        pytest.skip("a library is installed")
    assert "kafkalite/libkafkalite.so.0: no such file" in done.stderr
    assert "libkafkalite.so.0: libkafkalite.so.0: cannot open" in done.stderr


def test_another_library_is_refused(run_python, tmp_path):
    other = tmp_path / "libother.so"
    source = tmp_path / "other.c"
    for text, words in (
        ("int kfl_version(void) { return 9 << 16; }", "the package is 0.1.0, the library"),
        ("int other;", "has no kfl_version"),
    ):
        source.write_text(text)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", other, source], check=True)
        done = run_python("import kafkalite", check=False, KAFKALITE_LIBRARY=str(other))
        assert done.returncode == 1
        assert words in done.stderr


def test_the_import_is_quick(run_python, tmp_path):
    program = (
        "import time; began = time.process_time(); import kafkalite;"
        "print((time.process_time() - began) * 1000)"
    )
    cache = {"PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    best = min(float(run_python(program, **cache).stdout) for _ in range(6))
    assert best <= 60, f"{best} ms of processor time"


def test_a_star_import_hides_nothing_of_python():
    import builtins

    assert not set(kafkalite.__all__) & set(vars(builtins))
    for name in kafkalite.__all__:
        assert getattr(kafkalite, name) is not None


def test_the_import_takes_only_what_it_needs(run_python):
    program = "import sys, kafkalite; print(*sorted(sys.modules))"
    loaded = run_python(program).stdout.split()
    for name in ("asyncio", "logging", "subprocess", "kafkalite.consumer", "kafkalite.admin"):
        assert name not in loaded
