"""What one thread's call has, its directories and its time limit, another thread's call never sees."""

from __future__ import annotations

import contextlib
import gc
import threading
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox.memory.windows import WINDOWS
from tmebox.runtime import commands

OPENER = r"""
#include <fcntl.h>
#include <stdlib.h>
void arrive(void);
void leave(int opened);
int open_secret(void)
{
    arrive();
    int opened = open("/s/secret", O_RDONLY);
    leave(opened);
    return opened;
}
void quit(void) { arrive(); exit(7); }
int spin(void) { arrive(); for (volatile int i = 0;; i++) ; }
int main(void) { return 5; }
"""
WAIT_S = 20.0


class Meeting:
    """Host functions by which a call on another thread stops until a program is about to be refused."""

    def __init__(self) -> None:
        self.inside, self.go, self.opened, self.end = (threading.Event() for _ in range(4))
        self.results: list[int] = []

    def arrive(self) -> None:
        self.inside.set()
        assert self.go.wait(WAIT_S)

    def leave(self, opened: int) -> None:
        self.results.append(opened)
        self.opened.set()
        assert self.end.wait(WAIT_S)


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=OPENER)


def meet(
    module: tmebox.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, **options: Any
) -> tuple[Meeting, list[Any]]:
    """Run `function` on a thread, and in its midst let run() come as far as having directories."""
    (tmp_path / "secret").write_bytes(b"x")
    meeting, outcomes = Meeting(), []
    imports = {"arrive": meeting.arrive, "leave": meeting.leave}
    sandbox = tmebox.Sandbox(module, imports=imports, **options)  # type: ignore[arg-type]

    def call() -> None:
        try:
            outcomes.append(getattr(sandbox, function)())
        except BaseException as error:
            outcomes.append(error)
        meeting.opened.set()

    original = commands.initial_stack

    def meanwhile(*arguments: Any) -> bytes:
        meeting.go.set()
        assert meeting.opened.wait(WAIT_S)
        return original(*arguments)

    monkeypatch.setattr(commands, "initial_stack", meanwhile)
    thread = threading.Thread(target=call)
    thread.start()
    assert meeting.inside.wait(WAIT_S)
    try:
        with pytest.raises((tmebox.SandboxBusy, tmebox.SandboxClosed)):
            sandbox.run(["p"], dirs=[(tmp_path, "/s", "ro")], timeout=77)
    finally:
        meeting.end.set()
        thread.join()
    return meeting, outcomes


def test_a_refused_program_lends_its_directories_to_nobody(
    module: tmebox.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting, outcomes = meet(module, tmp_path, monkeypatch, "open_secret")
    assert meeting.results == [-1] and outcomes == [-1]


def test_exit_of_a_call_is_no_end_of_a_refused_program(
    module: tmebox.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, outcomes = meet(module, tmp_path, monkeypatch, "quit")
    assert [type(outcome) for outcome in outcomes] == [tmebox.Aborted]


def test_a_late_call_tells_its_own_limit(
    module: tmebox.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, [outcome] = meet(module, tmp_path, monkeypatch, "spin", timeout=0.25)
    assert isinstance(outcome, tmebox.Timeout) and "0.25 s" in str(outcome)


def test_a_call_inside_a_program_has_the_programs_world(module: tmebox.Module, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    source = OPENER.replace(
        "int main(void) { return 5; }", "void inner(void); int main(void) { inner(); return 5; }"
    )
    results: list[int] = []
    program = tmebox.compile(source_text=source)

    def inner() -> None:
        sandbox.open_secret()
        sandbox.call("open_secret", timeout=5)

    imports = {"arrive": lambda: None, "leave": results.append, "inner": inner}
    with tmebox.Sandbox(program, imports=imports) as sandbox:  # type: ignore[arg-type]
        assert sandbox.run(["p"], dirs=[(tmp_path, "/s", "ro")]).exit_code == 5
        assert min(results) >= 0 and len(results) == 2
        sandbox.open_secret()
        assert results[-1] == -1


TEXTS = r"""
#include <stdio.h>
#include <string.h>
void arrive(void);
long size(const char *s) { return strlen(s); }
long trap(const char *s) { printf("%s", s); return *(volatile int *)8; }
int same(const char *s) { char copy[100] = {0}; strncpy(copy, s, 99); arrive(); return strcmp(copy, s) == 0; }
"""


def test_a_trap_leaves_the_texts_of_the_call_that_came_after_it() -> None:
    """While the trap's output is delivered, the sandbox begins again on another thread."""
    inside, over = threading.Event(), threading.Event()
    results: list[Any] = []

    def again() -> None:
        box.reset()
        assert (box.size("warm"), box.size("up")) == (4, 2)
        results.append(box.same("b" * 50))

    def output(data: bytes) -> None:
        thread.start()
        assert inside.wait(WAIT_S)

    def arrive() -> None:
        inside.set()
        assert over.wait(WAIT_S)
        results.append(box.size("Z" * 60))

    module = tmebox.compile(source_text=TEXTS)
    box: Any = tmebox.Sandbox(module, imports={"arrive": arrive}, stdout=output, timeout=WAIT_S)
    thread = threading.Thread(target=again)
    assert (box.size("warm"), box.size("up")) == (4, 2)
    with pytest.raises(tmebox.MemoryFault):
        box.trap("a" * 50)
    over.set()
    thread.join()
    assert results == [60, 1]


@pytest.mark.parametrize("ends", ["returns", "raises"])
def test_a_call_inside_leaves_the_texts_of_the_outer_one(ends: str) -> None:
    def arrive() -> None:
        if ends == "raises" and len(sizes) == 1:
            raise LookupError
        sizes.append(box.size("Z" * 60))
        if ends == "raises":
            with pytest.raises(LookupError):
                box.same("c" * 50)
        sizes.append(box.size("Y" * 70))

    sizes: list[int] = []
    module = tmebox.compile(source_text=TEXTS)
    with tmebox.Sandbox(module, imports={"arrive": arrive}, timeout=WAIT_S) as box:
        assert (box.size("warm"), box.size("up")) == (4, 2)
        assert box.same("b" * 50) == 1
        assert sizes == [60, 70]


def test_two_threads_that_run_what_was_spawned_begin_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmebox.compile(source_text="int main(void) { return 5; }")
    with tmebox.Sandbox(module) as sandbox:
        snapshot = sandbox.snapshot()

    def together(name: str) -> None:
        usual, both = getattr(tmebox.Sandbox, name), threading.Barrier(2)

        def wait_first(*arguments: Any) -> Any:
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.5)
            return usual(*arguments)

        monkeypatch.setattr(tmebox.Sandbox, name, wait_first)

    def run() -> None:
        with contextlib.suppress(tmebox.SandboxBusy):
            codes.append(spawned.run().exit_code)

    codes: list[int] = []
    gc.collect()
    gc.disable()
    try:
        before = WINDOWS.live
        spawned = snapshot.spawn()
        together("_begin_again")
        together("_begin")
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spawned.close()
        assert set(codes) == {5}
        assert WINDOWS.live == before
    finally:
        gc.enable()
