"""A compiler that takes too long, or too much of anything, is stopped, and the message says of what."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.toolchain.compiling import compile_text
from tmebox.errors import CompileError
from tmebox.toolchain.compile import clang


def test_a_compiler_that_takes_too_long_is_stopped() -> None:
    bomb = "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(A(x))))\nint f(void) { B(B(B(B(1;)))) }"
    with pytest.raises(CompileError, match=r"longer than 1 s|CPU time"):
        compile_text(bomb, timeout_s=1.0)


def test_a_program_is_told_of_its_limit_of_processor_time_before_it_is_killed_for_it() -> None:
    tell = "import resource, time; time.sleep(0.5); print(*resource.getrlimit(resource.RLIMIT_CPU))"
    command = [sys.executable, "-I", "-c", tell]
    assert clang.run_command(command, "python", clang.Limits(timeout_s=7.0)).output == "7 8\n"


def test_what_a_signal_says_of_a_tool() -> None:
    for signal, said in (
        ("XCPU", "used more than 9 s of CPU time"),
        ("SEGV", "ran out of memory"),
        ("USR1", "signal 10"),
    ):
        with pytest.raises(CompileError, match=said):
            clang.run_command(["/bin/sh", "-c", f"kill -{signal} $$"], "sh", clang.Limits(timeout_s=9.0))


def test_a_compiler_that_needs_too_much_memory_is_stopped() -> None:
    bomb = "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(x)))\n"
    with pytest.raises(CompileError, match="ran out of memory"):
        compile_text(bomb + 'const char *f(void) { return B(B("abcdefgh")); }', memory_bytes=200 << 20)


def test_a_compiler_that_writes_too_much_is_stopped(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int a[1 << 20] = { 1, [1 << 19] = 2 };")
    arguments = ["-target", "x86_64-linux-musl", "-c", "-o", str(tmp_path / "a.o"), str(source)]
    with pytest.raises(CompileError, match="wrote more than 1 MiB"):
        finished = clang.run("clang", arguments, clang.Limits(output_bytes=1 << 20))
        raise AssertionError(finished)
