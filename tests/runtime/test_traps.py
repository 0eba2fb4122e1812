"""Each way a sandbox can stop against its will is its own exception, with place, access and lines."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import tmebox

TRAPS_C = r"""
int read_at(unsigned long where) { return *(volatile int *)where; }
void write_at(unsigned long where) { *(volatile int *)where = 1; }
int divide(int a, int b) { return a / b; }
int deep(int n) { volatile char frame[64]; frame[0] = n; return deep(n + 1) + frame[0]; }
void trap(void) { __builtin_trap(); }
void forever(void) { for (volatile int i = 0;; i++) {} }
int jump(unsigned long where) { return ((int (*)(void))where)(); }
static __attribute__((noinline)) int inner(int *p) { return *p + 1; }
__attribute__((noinline)) int outer(int *p)
{
    return inner(p) + 1;
}
int add(int a, int b) { return a + b; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=TRAPS_C)


@pytest.fixture
def sandbox(module: tmebox.Module) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(module, timeout=5.0) as sandbox:
        yield sandbox


def trap_of(sandbox: tmebox.Sandbox, name: Any, *arguments: Any) -> Any:
    with pytest.raises(tmebox.Trap) as caught:
        getattr(sandbox, name)(*arguments)
    return caught.value


def test_memory_faults_say_offset_and_access(sandbox: tmebox.Sandbox, module: tmebox.Module) -> None:
    trap = trap_of(sandbox, "read_at", 0x10)
    assert type(trap) is tmebox.MemoryFault
    assert (trap.kind, trap.offset, trap.access, trap.function) == ("memory-fault", 0x10, "read", "read_at")
    with tmebox.Sandbox(module) as other:
        trap = trap_of(other, "write_at", 0x7FFF0000)
        assert (trap.offset, trap.access) == (0x7FFF0000, "write")


def test_only_the_low_32_bits_of_a_pointer_count(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        assert trap_of(sandbox, "read_at", 0x7F00_0000_0000_0010).offset == 0x10


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("divide", (1, 0), tmebox.ArithmeticTrap),
        ("divide", (-(1 << 31), -1), tmebox.ArithmeticTrap),
        ("deep", (0,), tmebox.StackOverflow),
        ("trap", (), tmebox.IllegalInstruction),
        ("jump", (0,), tmebox.ControlFlowViolation),
        ("jump", (0x4100_0000,), tmebox.ControlFlowViolation),
        ("jump", (0xFFFF_FFFF_FFFF_FFFF,), tmebox.ControlFlowViolation),
    ],
)
def test_every_kind_has_its_class(sandbox: tmebox.Sandbox, name: Any, arguments: Any, kind: Any) -> None:
    assert type(trap_of(sandbox, name, *arguments)) is kind


def test_after_a_trap_the_sandbox_refuses_and_others_do_not_notice(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as bystander, tmebox.Sandbox(module) as sandbox:
        trap_of(sandbox, "trap")
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.add(1, 2)
        assert bystander.add(1, 2) == 3


def test_traps_know_lines_and_frames(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        trap = trap_of(sandbox, "outer", 0)
    assert [frame.function for frame in trap.backtrace[:2]] == ["inner", "outer"]
    lines = TRAPS_C.splitlines()
    assert "inner(int *p)" in lines[trap.backtrace[0].line - 1]
    assert "return inner(p)" in lines[trap.backtrace[1].line - 1]
    assert "inner" in str(trap)


def test_a_time_limit_stops_an_endless_loop(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, timeout=0.05) as sandbox:
        start = time.monotonic()
        trap = trap_of(sandbox, "forever")
        assert type(trap) is tmebox.Timeout
        assert trap.function == "forever"
        assert time.monotonic() - start < 5


def test_a_time_limit_for_one_call(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox, pytest.raises(tmebox.Timeout, match=r"0\.02 s"):
        sandbox.call("forever", timeout=0.02)


@pytest.mark.parametrize("bad", [0, -1, "soon", float("nan"), float("inf")])
def test_impossible_time_limits_are_refused(module: tmebox.Module, bad: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        tmebox.Sandbox(module, timeout=bad)


def test_one_sandbox_runs_one_call_at_a_time(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, timeout=0.3) as sandbox:
        thread = threading.Thread(target=lambda: trap_of(sandbox, "forever"))
        thread.start()
        busy = 0
        while thread.is_alive():
            try:
                sandbox.add(1, 2)
            except tmebox.SandboxBusy:
                busy += 1
                with pytest.raises(tmebox.SandboxBusy):
                    sandbox.close()
                break
            except tmebox.SandboxClosed:
                break
        thread.join()
        assert busy


def test_different_sandboxes_run_in_parallel_threads(module: tmebox.Module) -> None:
    results: list[Any] = []

    def work() -> None:
        with tmebox.Sandbox(module) as sandbox:
            results.extend(sandbox.add(i, 1) for i in range(2000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8000
