"""How the compiler ended is known, also where the host ignores its children or waits for any of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.forked import run_forked
from tmebox.errors import CompileError
from tmebox.toolchain import processes
from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE

SHELL = "/bin/sh"


def nothing() -> None:
    """As usual."""


def ignore() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def reap() -> None:
    """As some servers do: whoever the child is of."""

    def handler(*_: object) -> None:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    signal.signal(signal.SIGCHLD, handler)


def steal_at_once() -> None:
    """The worst of them: nobody else ever gets a status."""
    real = os.waitpid

    def stolen(pid: int, options: int) -> tuple[int, int]:
        real(pid, options)
        raise ChildProcessError

    os.waitpid = stolen


HOSTS = [nothing, ignore, reap, steal_at_once]


def under(host: Callable[[], None], action: Callable[[], Any]) -> Any:
    def child() -> Any:
        host()
        return action()

    return run_forked(child).result()


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", -11)])
def test_a_status_is_the_programs(host: Callable[[], None], script: str, status: int) -> None:
    ended = under(host, lambda: processes.run([SHELL, "-c", script], ANYWHERE))
    assert (ended.status, ended.late) == (status, False)


def is_gone(process: int) -> bool:
    """Soon: who adopted it may take a moment to notice that it has ended."""
    for _ in range(1000):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("host", HOSTS)
def test_a_program_that_takes_too_long_ends_with_all_that_it_began(
    host: Callable[[], None], tmp_path: Path
) -> None:
    script = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    ended = under(host, lambda: processes.run([SHELL, "-c", script], ANYWHERE, timeout_s=0.5))
    assert ended.late
    assert is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("host", HOSTS)
def test_limits_and_output_are_as_usual(host: Callable[[], None]) -> None:
    def said() -> clang.Finished:
        return clang.run_command([SHELL, "-c", "echo said; echo complained >&2; exit 4"], "sh", ANYWHERE)

    assert under(host, said) == clang.Finished(4, "said\n", "complained\n")
    limits = clang.Limits(output_bytes=4096)
    script = 'while [ "$(ulimit -f)" = unlimited ]; do :; done; exec head -c 9999 /dev/zero'
    with pytest.raises(AssertionError, match="CompileError: sh"):
        under(host, lambda: clang.run_command([SHELL, "-c", script], "sh", ANYWHERE, limits))


def compile_errors() -> list[str]:
    import tmebox

    messages = []
    for source in ("int f(int a) { return a + ; }", "int f(void) { return undefined_thing; }"):
        try:
            tmebox.compile(source_text=source)
        except CompileError as error:
            messages.append(str(error))
    return messages


@pytest.mark.parametrize("host", HOSTS)
def test_compile_errors_are_the_compilers(host: Callable[[], None]) -> None:
    messages = under(host, compile_errors)
    assert "expected expression" in messages[0] and "undefined_thing" in messages[1]


@pytest.mark.parametrize("host", [nothing, ignore])
def test_archiving_fails_where_it_fails(host: Callable[[], None], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.o")
    assert under(host, lambda: main_ar(["rcs", str(tmp_path / "a.a"), missing])) != 0
    assert under(host, lambda: main_ar(["rcs", str(tmp_path / "a.a")])) == 0


def test_nobody_else_runs_programs_for_their_status() -> None:
    """`subprocess` says 0 for a status that is lost. Of a virtual machine only what it prints is believed."""
    package = Path(processes.__file__).parent.parent
    for path in package.rglob("*.py"):
        text = path.read_text()
        if path.name != "processes.py":
            assert not re.search(r"confine import .*\bstart\b|confine\.start|ANYWHERE\b(?! =)", text), path
        if path.name not in ("processes.py", "confine.py") and path.parent.name != "driver":
            assert not any(f"subprocess.{name}" in text for name in ("Popen", "call", "check_")), path


def test_time_in_which_it_waits_for_a_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine made builds fail: each file's compiler had to end in 120 s of anybody's time."""
    queued = iter([0.4, 0.8])
    monkeypatch.setattr(processes, "_queued_s", lambda pid: next(queued, 60.0))
    ended = processes.run([SHELL, "-c", "sleep 1"], ANYWHERE, timeout_s=0.3)
    assert ended == processes.Ended(0, late=False)


def test_who_waits_for_something_else_is_stopped_in_time() -> None:
    start = time.monotonic()
    ended = processes.run([SHELL, "-c", "sleep 30"], ANYWHERE, timeout_s=0.3)
    assert ended.late
    assert time.monotonic() - start < 20


def test_the_kernel_says_how_long_a_process_was_ready_and_did_not_run() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel does not count it: /proc/self/schedstat is missing")

    def crowded() -> float:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        loop = [sys.executable, "-S", "-c", "while True: pass"]
        others = [subprocess.Popen(loop) for _ in range(2)]
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        for other in others:
            other.kill()
            other.wait()
        return processes._queued_s(os.getpid())

    assert run_forked(crowded).result() > 0.05
    assert processes._queued_s(1 << 30) == 0.0
