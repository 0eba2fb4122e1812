"""What configure scripts ask by linking: there is every function of musl, and no other.

musl's list of its own symbols comes with the toolchain. So this is what all such checks of a native musl
build would find, without building one. tests/programs/test_configure.py runs whole configure scripts.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tmebox.toolchain.cc.driver import main_cc
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.libc.libc import libc
from tmebox.toolchain.link.inputs import require_archive

LISTED = "lib/libc/musl/libc.S"
OF_THE_DYNAMIC_LINKER = {"__dls2b", "__dls3", "__tls_get_addr", "_dl_debug_state", "_dlstart"}
OF_START_FILES = {"__libc_start_main", "_init", "_fini", "_start"}
"""Ours has another start, with another name."""
ABSENT = ("arc4random", "kqueue", "__fpending_", "backtrace", "pthread_getaffinity_npx", "mallinfo")


def listed(kind: str) -> set[str]:
    """musl's functions or objects, for this processor."""
    flags = ["-E", "-P", "-x", "assembler-with-cpp", "-DPTR64", "-DARCH_x86_64", "-DFAMILY_x86"]
    finished = clang.run("clang", [*flags, str(clang.toolchain_dir() / LISTED)], ANYWHERE)
    assert finished.status == 0, finished.messages
    return set(re.findall(rf"^\.type (\S+), %{kind}", finished.output, re.MULTILINE))


def test_the_library_has_every_function_and_variable_of_musl() -> None:
    functions, variables = listed("function"), listed("object")
    assert len(functions) > 1500 and len(variables) > 20
    defined = set(require_archive(libc().archive))
    assert functions - defined <= OF_THE_DYNAMIC_LINKER | OF_START_FILES
    assert variables - defined <= {"_dl_debug_addr"}
    # And nothing that a script would take for a function of the system's.
    ours = {name for name in defined - functions - variables if name and not name.startswith("_")}
    assert ours <= {"roundeven", "roundevenf", "roundevenl"}  # of C23, from compiler-rt


def test_a_program_may_refer_to_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As scripts do: by a declaration that has nothing to do with the function's own."""
    names = sorted(
        name
        for name in listed("function") - OF_THE_DYNAMIC_LINKER - OF_START_FILES
        if not name.startswith("_")
    )
    monkeypatch.chdir(tmp_path)
    declared = "".join(f"char {name}(void);\n" for name in names)
    table = "".join(f"\t(void *){name},\n" for name in names)
    text = f"{declared}void *functions[] = {{\n{table}}};\nint main(void) {{ return !functions[0]; }}\n"
    Path("conftest.c").write_text(text)
    assert main_cc(["-w", "-fno-builtin", "conftest.c", "-o", "conftest"]) == 0
    assert Path("conftest").stat().st_size > 500_000, "most of the library was left out"


def test_what_musl_has_not_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert not listed("function") & set(ABSENT)
    monkeypatch.chdir(tmp_path)
    calls = "".join(f"char {name}(void);\n" for name in ABSENT)
    body = " + ".join(f"{name}()" for name in ABSENT)
    Path("conftest.c").write_text(f"{calls}int main(void) {{ return {body}; }}\n")
    assert main_cc(["-w", "-fno-builtin", "conftest.c", "-o", "conftest"]) == 1
    said = capfd.readouterr().err
    assert all(f"undefined symbol: {name}\n" in said for name in ABSENT)
    assert not Path("conftest").exists()
