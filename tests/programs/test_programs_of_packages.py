"""Packages that are built by their own makefiles, or by the compiler alone, and do their work sandboxed."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import pytest

from tests.programs.building import Ran, native_tools, run, run_sandboxed, sandboxed_tools, source_of
from tests.programs.test_packages import run as command
from tests.programs.test_packages import unpacked

pytestmark = pytest.mark.network

CC = (sys.executable, "-m", "tmebox", "cc")
UNIT_TESTS = ("cjson_add", "compare_tests", "misc_tests", "parse_examples", "print_number", "print_value")
SCRIPT = r"""
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
print([3, 1, 2].sort().join("-"), fib(18), Math.pow(2, 0.5), JSON.stringify({ a: [1, null, "x"] }))
print("tree of bees".replace(/e+/g, "[$&]"), new Date(0).toISOString())
try { null.x } catch (error) { print(error) }
"""
PROGRAM = r"""
int puts(const char *);
static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
int main(void) { puts("made by a compiler in a sandbox"); return fib(10) - 55; }
"""


def make(directory: Path, *words: str) -> None:
    tools, jobs = sandboxed_tools(), f"-j{min(2, os.cpu_count() or 1)}"
    command(directory, "make", "-s", jobs, f"CC={tools.cc}", f"AR={tools.ar}", *words)


def output(ran: Ran) -> bytes:
    assert ran.exit_code == 0, ran.stderr[-2000:]
    return ran.stdout


@pytest.mark.slow
def test_zopfli_compresses(tmp_path: Path) -> None:
    source = unpacked("zopfli", tmp_path)
    make(source, "zopfli")
    packed = output(run_sandboxed(source / "zopfli", "-c", "README", directory=source))
    text = (source / "README").read_bytes()
    assert gzip.decompress(packed) == text and len(packed) < len(gzip.compress(text, 9))


@pytest.mark.slow
def test_mujs_runs_javascript(tmp_path: Path) -> None:
    source = unpacked("mujs", tmp_path)
    make(source, "build=release", "HAVE_READLINE=no", "build/release/mujs")
    (source / "script.js").write_text(SCRIPT)
    printed = output(run_sandboxed(source / "build/release/mujs", "script.js", directory=source))
    assert printed.decode().splitlines()[:4] == [
        '1-2-3 2584 1.4142135623730952 {"a":[1,null,"x"]}',
        "tr[ee] of b[ee]s 1970-01-01T00:00:00.000Z",
        "TypeError: cannot convert null to object",
        "\tat script.js:5",
    ]


@pytest.mark.slow
def test_tcc_compiles_a_program_that_runs(tmp_path: Path) -> None:
    source = unpacked("tcc", tmp_path)
    command(source, "./configure", f"--cc={sandboxed_tools().cc}")
    make(source, "tcc")
    (source / "program.c").write_text(PROGRAM)
    output(run_sandboxed(source / "tcc", "-c", "-nostdinc", "program.c", "-o", "program.o", directory=source))
    command(source, *native_tools().cc.split(), "-no-pie", "program.o", "-o", "program")
    assert output(run(source / "program", directory=source)) == b"made by a compiler in a sandbox\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", UNIT_TESTS)
def test_cjson_passes_its_unit_tests(name: str, tmp_path: Path) -> None:
    tests = source_of("cjson") / "tests"
    program = tmp_path / name
    words = ["-w", "-O1", f"-I{tests}/unity/src", f"{tests}/{name}.c", f"{tests}/unity/src/unity.c", "-lm"]
    command(tmp_path, *CC, *words, "-o", str(program))
    assert b" 0 Failures " in output(run_sandboxed(program, directory=tests))


@pytest.mark.packages
def test_mbedtls_passes_its_self_test(tmp_path: Path) -> None:
    source = unpacked("mbedtls", tmp_path)
    make(source, "-C", "library", "static")
    libraries = [f"library/libmbed{name}.a" for name in ("tls", "x509", "crypto")]
    words = ["-O2", "-Iinclude", "programs/test/selftest.c", *libraries, "-o", "selftest"]
    command(source, *CC, *words)
    printed = output(run_sandboxed(source / "selftest", directory=source))
    assert b"Executed 27 test suites" in printed and b"[ All tests PASS ]" in printed
