"""Going back to the beginning, and taking over what a window holds."""

import sys
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import abi
from tmebox.memory.windows import WINDOWS, Window

SOURCE = r"""
#include <stdlib.h>
#include <string.h>
static const char greeting[] = "read-only";
char zeros[3 * 4096];
int started = 5;
char *kept;
int bump(void) { return ++started; }
int dirty(void) { int n = 0; for (int i = 0; i < sizeof zeros; i++) n += zeros[i] != 0; return n; }
void soil(void) { memset(zeros, 7, sizeof zeros); kept = malloc(100000); memset(kept, 9, 100000); }
int kept_sum(void) { int n = 0; if (kept) for (int i = 0; i < 100000; i++) n += kept[i]; return n; }
const char *where(void) { return greeting; }
int read_null(void) { return *(volatile int *)16; }
"""

WITH_THREAD = r"""
#include <pthread.h>
#include <semaphore.h>
static sem_t wanted, done;
static int answers;
static void *serve(void *x) { for (;;) { sem_wait(&wanted); answers++; sem_post(&done); } return x; }
int begin(void)
{
    pthread_t thread;
    sem_init(&wanted, 0, 0);
    sem_init(&done, 0, 0);
    return pthread_create(&thread, NULL, serve, NULL);
}
int ask(void) { sem_post(&wanted); sem_wait(&done); return answers; }
void trap(void) { __builtin_trap(); }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def test_a_reset_sandbox_is_as_new(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        bump = sandbox.bump
        assert [bump(), bump()] == [6, 7]
        sandbox.soil()
        assert (sandbox.dirty(), sandbox.kept_sum()) == (3 * 4096, 900_000)
        random = sandbox.memory.read(abi.STACK_RANDOM, 16)
        for _ in range(3):
            sandbox.reset()
            assert (sandbox.dirty(), sandbox.kept_sum(), bump()) == (0, 0, 6)
            sandbox.soil()
        assert sandbox.memory.read(abi.STACK_RANDOM, 16) != random


def test_a_trapped_sandbox_can_be_reset(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        with pytest.raises(tmebox.MemoryFault):
            sandbox.read_null()
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.bump()
        sandbox.reset()
        assert sandbox.bump() == 6


def test_host_arrays_survive_a_reset(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        array = sandbox.array(1000, np.int64)
        array[:] = 5
        sandbox.reset()
        assert array.sum() == 5000


def test_calls_during_a_reset_on_another_thread_find_it_busy(
    module: tmebox.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tmebox.Sandbox(module) as sandbox:
        seen = []

        def reset_slowly(window: Any, instance: Any) -> None:
            with pytest.raises(tmebox.SandboxBusy, match="being reset or captured"):
                sandbox.bump()
            seen.append(window)
            reset(window, instance)

        reset = Window.reset
        monkeypatch.setattr(Window, "reset", reset_slowly)
        sandbox.reset()
        assert len(seen) == 1
        assert sandbox.bump() == 6


@pytest.mark.parametrize("has_trapped", [False, True])
def test_nobody_comes_in_before_a_sandbox_with_threads_is_whole_again(has_trapped: bool) -> None:
    """After any of the steps a signal handler or another thread may run: a profile function stands for it."""
    module = tmebox.compile(source_text=WITH_THREAD)
    with tmebox.Sandbox(module) as first:
        assert first.begin() == 0
        snapshot = first.snapshot()
    found: list[object] = []

    def between(_frame: object, event: str, _argument: object) -> None:
        if event == "c_return":
            sys.setprofile(None)
            try:
                found.append(sandbox.ask())
            except tmebox.TmeboxError as error:
                found.append(type(error))
            sys.setprofile(between)

    with tmebox.Sandbox(snapshot, timeout=1.0) as sandbox:
        assert [sandbox.ask(), sandbox.ask()] == [1, 2]
        if has_trapped:
            with pytest.raises(tmebox.IllegalInstruction):
                sandbox.trap()
        sys.setprofile(between)
        try:
            sandbox.reset()
        finally:
            sys.setprofile(None)
        refused = tmebox.SandboxClosed if has_trapped else tmebox.SandboxBusy
        first_time, last_time = found.index(refused), len(found) - found[::-1].index(refused)
        assert set(found[first_time:last_time]) == {refused}, found
        before, after = found[:first_time], found[last_time:]
        assert before == list(range(3, 3 + len(before))), found
        assert after == list(range(1, 1 + len(after))), found
        assert sandbox.ask() == len(after) + 1


def test_a_reset_that_fails_leaves_a_dead_sandbox(
    module: tmebox.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(window: Any, instance: Any) -> None:
        raise MemoryError

    with tmebox.Sandbox(module) as sandbox:
        with monkeypatch.context() as patched, pytest.raises(MemoryError):
            patched.setattr(Window, "reset", fail)
            sandbox.reset()
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.bump()
        sandbox.reset()
        assert sandbox.bump() == 6


def test_closed_sandboxes_cannot_be_reset(module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(module)
    sandbox.close()
    with pytest.raises(tmebox.SandboxClosed):
        sandbox.reset()


def test_a_running_sandbox_can_be_neither_reset_nor_captured() -> None:
    module = tmebox.compile(
        source_text="void host(void); void start(void) { host(); } int one(void) { return 1; }"
    )
    refused: list[Any] = []

    def host() -> None:
        for attempt in (sandbox.reset, sandbox._tenancy.capture):
            with pytest.raises(tmebox.SandboxBusy):
                attempt()
            refused.append(1)

    with tmebox.Sandbox(module, imports=[host]) as sandbox:
        sandbox.start()
        assert len(refused) == 2
        assert sandbox.one() == 1


def test_captured_contents_start_other_sandboxes(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        sandbox.bump()
        sandbox.soil()
        contents = sandbox._tenancy.capture()
        sandbox.bump()
    with tmebox.Sandbox(tmebox.Snapshot(module, WINDOWS.template(contents), {})) as copy:
        assert (copy.dirty(), copy.kept_sum(), copy.bump()) == (3 * 4096, 900_000, 7)
        assert copy.where() == "read-only"
        copy.reset()
        assert (copy.dirty(), copy.kept_sum(), copy.bump()) == (3 * 4096, 900_000, 7)


def test_captured_contents_hold_neither_zeros_nor_the_control_page(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        sandbox.soil()
        contents = sandbox._tenancy.capture()
    end = abi.IMAGE_START
    for offset, data in contents.data:
        assert end <= offset
        assert any(data)
        end = offset + len(data)
    assert end <= contents.layout.heap_end
    assert sum(len(data) for _, data in contents.data) < 1 << 20


def test_a_trapped_sandbox_cannot_be_captured(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        with pytest.raises(tmebox.MemoryFault):
            sandbox.read_null()
        with pytest.raises(tmebox.SandboxClosed):
            sandbox._tenancy.capture()
