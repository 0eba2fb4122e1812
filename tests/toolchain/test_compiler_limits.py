"""A compiler that takes too long, or too much of anything, is stopped, and the message says of what."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.toolchain.compiling import compile_text
from tmebox.errors import CompileError
from tmebox.toolchain import steps
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.link.debug.work import Work
from tmebox.toolchain.objects import compile_object
from tmebox.toolchain.options import SourceText
from tmebox.toolchain.rewrite.rewrite import rewrite


def test_a_compiler_that_takes_too_long_is_stopped() -> None:
    bomb = "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(A(x))))\nint f(void) { B(B(B(B(1;)))) }"
    with pytest.raises(CompileError, match=r"longer than 1 s|CPU time"):
        compile_text(bomb, timeout_s=1.0)


def test_a_program_is_told_of_its_limit_of_processor_time_before_it_is_killed_for_it() -> None:
    tell = "import resource, time; time.sleep(0.5); print(*resource.getrlimit(resource.RLIMIT_CPU))"
    command = [sys.executable, "-I", "-c", tell]
    assert clang.run_command(command, "python", ANYWHERE, clang.Limits(timeout_s=7.0)).output == "7 8\n"


def test_what_a_signal_says_of_a_tool() -> None:
    for signal, said in (
        ("XCPU", "used more than 9 s of CPU time"),
        ("SEGV", "ran out of memory"),
        ("USR1", "signal 10"),
    ):
        with pytest.raises(CompileError, match=said):
            clang.run_command(
                ["/bin/sh", "-c", f"kill -{signal} $$"], "sh", ANYWHERE, clang.Limits(timeout_s=9.0)
            )


def test_a_compiler_that_needs_too_much_memory_is_stopped() -> None:
    bomb = "#define A(x) x x x x x x x x x x\n#define B(x) A(A(A(x)))\n"
    with pytest.raises(CompileError, match="ran out of memory"):
        compile_text(bomb + 'const char *f(void) { return B(B("abcdefgh")); }', memory_bytes=200 << 20)


def test_a_compiler_that_writes_too_much_is_stopped(tmp_path: Path) -> None:
    source = tmp_path / "a.c"
    source.write_text("int a[1 << 20] = { 1, [1 << 19] = 2 };")
    arguments = ["-target", "x86_64-linux-musl", "-c", "-o", str(tmp_path / "a.o"), str(source)]
    with pytest.raises(CompileError, match="wrote more than 1 MiB"):
        finished = clang.run("clang", arguments, ANYWHERE, clang.Limits(output_bytes=1 << 20))
        raise AssertionError(finished)


def bomb(levels: int) -> str:
    """16 to that power of an instruction, by macros."""
    macros = "".join(f"#define M{n + 1} {f'M{n} ' * 16}\n" for n in range(levels))
    return f'#define M0 "nop\\n"\n{macros}int f(void) {{ __asm__ volatile(M{levels}); return 1; }}'


@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_steps_that_are_python_have_the_compilers_limit_of_time(isolation: str) -> None:
    text = "\t.text\nf:\n" + "\tnop\n" * 500_000
    for said in ("", '\t.ident\t"clang version 19"\n'):
        with steps.limited(0.2), pytest.raises(CompileError, match=r"longer than 0\.2 s"):
            rewrite(text + said, file="a.s", isolation=isolation)


def test_reading_debug_information_has_a_limit_of_time() -> None:
    with steps.limited(0.0), pytest.raises(CompileError, match="took longer than 0 s"):
        for _ in range(2):
            Work(0).spend(1 << 20)


def test_a_source_that_nobody_waits_for_is_not_rewritten_to_its_end(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(CompileError, match="interrupted"):
        compile_object(SourceText("int f(void) { return 1; }"), tmp_path / "a.o", stop=stop)
    with pytest.raises(CompileError, match="does not compile"):  # and the first error ends the others
        compile_text("int f(void) { wrong", bomb(5))


def test_the_outermost_limit_holds() -> None:
    with steps.limited(0.0):
        with steps.limited(60.0), pytest.raises(CompileError, match="longer than 0 s"):
            list(steps.watched("text"))
        with pytest.raises(CompileError, match="longer than 0 s"):
            steps.look()
    steps.look()
