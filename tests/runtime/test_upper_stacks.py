"""Stacks for which the private part has no room lie above the arena, where rsp then stays."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox import _native, abi
from tmebox.memory.windows import WINDOWS
from tmebox.runtime.layout import LARGEST_LOW_STACK, LARGEST_PRIVATE_STACK, LARGEST_STACK

MIB, GIB = 1 << 20, 1 << 30
FRAME = 1100
"""More than a call of `depth` takes."""
SOURCE = Path(__file__).with_name("upper.c")


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(SOURCE)


def host(given: Any, again: int) -> Any:
    return given


def upper(module: tmebox.Module, stack: int | str = "1GiB", **options: Any) -> Any:
    return tmebox.Sandbox(module, imports={"host": host}, stack=stack, timeout=60, **options)


def in_a_child(act: Callable[[], Any]) -> Any:
    return run_forked(act, timeout_s=120).result()


def test_recursion_uses_a_gigabyte_and_is_stopped_right_behind_it(module: tmebox.Module) -> None:
    def attack() -> Any:
        with upper(module) as box:
            times = (GIB - MIB) // FRAME
            assert box.depth(times) == times
            assert abi.SHARED_END - MIB < box.local() < abi.SHARED_END
            low = box._tenancy.layout.stack_low
            try:
                box.depth(1 << 40)
            except tmebox.StackOverflow as trap:
                ended = low - abi.GUARD <= trap.offset < low, f"stack ends at {low:#x}" in str(trap)
                names = [frame.function for frame in trap.backtrace][1:3]
            box.reset()
            assert not np.frombuffer(box.memory.read(low, 64 * MIB), np.uint64).any()
            return (*ended, names, box.depth(1000))

    assert in_a_child(attack) == (True, True, ["depth", "depth"], 1000)


@pytest.mark.parametrize("stack", [LARGEST_PRIVATE_STACK + 4096, LARGEST_STACK])
def test_stacks_go_as_far_as_the_window(module: tmebox.Module, stack: int) -> None:
    def attack() -> Any:
        with upper(module, stack, memory="900MiB") as box:
            block = box.take(700 * MIB)
            box.memory.write(block + 700 * MIB - 8, b"still th")
            times = (stack - MIB) // FRAME
            ends = box.depth(times) == times, box.memory.read(block + 700 * MIB - 8, 8)
            try:
                box.depth(1 << 40)
            except tmebox.StackOverflow:
                return ends

    assert in_a_child(attack) == (True, b"still th")


def test_memory_and_stack_share_what_is_above_the_arena(module: tmebox.Module) -> None:
    for stack, memory in (("1GiB", "1900MiB"), ("2046MiB", "950MiB"), ("1500MiB", "1MiB")):
        with upper(module, stack, memory=memory) as box:
            parts = box._tenancy.layout.parts
            layout = box._tenancy.layout
            assert parts[-1] == (layout.arrays_low, abi.SHARED_END)
            assert layout.stack_low == abi.SHARED_END - layout.stack_bytes
            assert all(after[0] - before[1] >= abi.GUARD for before, after in pairwise(parts))
            array = box.array(box._tenancy.layout.memory_bytes // 16, np.uint8)
            array[-1] = 1
            assert box.depth(50) == 50
    for stack, memory in (("1GiB", "2000MiB"), ("2046MiB", "1GiB")):
        with pytest.raises(tmebox.LimitError, match="with a stack of"):
            upper(module, stack, memory=memory)
    for impossible in (LARGEST_STACK + 4096, "2GiB", 1 << 32, 1 << 62):
        with pytest.raises(tmebox.LimitError, match="stack="):
            upper(module, impossible)


def test_threads_have_their_stacks_where_rsp_stays(module: tmebox.Module) -> None:
    with upper(module) as box:
        assert box.threads(8, 1000, 2 * MIB) == 8 * 1000
        low = box.take(1 << 14)  # in the heap's first part
        assert low < abi.ARENA_START
        assert box.thread_at(low, 1 << 14) == errno.EAGAIN
    with upper(module, LARGEST_STACK) as box:  # no room for another one
        assert box.threads(1, 10, MIB) == 0
    with pytest.raises(tmebox.StackOverflow), upper(module) as box:
        box.threads(2, 1 << 40, 2 * MIB)


def test_code_with_its_base_in_r15_has_them_too() -> None:
    try:
        module = tmebox.compile(SOURCE, base="r15")
    except tmebox.CompileError as error:
        pytest.skip(f"needs gcc: {error}")

    def attack() -> Any:
        with upper(module) as box:
            answers = box.depth(900_000), box.threads(3, 1000, 2 * MIB), box.jumps(500), box.reads()
            try:
                box.depth(1 << 40)
            except tmebox.StackOverflow:
                return answers

    assert in_a_child(attack) == (900_000, 3000, 7, 0)


def test_jumps_files_and_calls_within_calls_work_there(module: tmebox.Module) -> None:
    def again(given: Any, times: int) -> Any:
        return box.call("calls", given, times - 1) and given if times else given

    with tmebox.Sandbox(module, imports={"host": again}, stack="1GiB", timeout=60) as box:
        assert box.jumps(500) == 7
        assert box.reads() == 0
        given = {"v": list(range(20))}
        assert box.calls(given, 3) == sum(range(20))


def test_snapshots_and_pools_keep_the_place(module: tmebox.Module) -> None:
    with upper(module, "1200MiB") as box:
        box.keep(41)
        box.depth(10_000)
        snapshot = box.snapshot()
        data = snapshot.to_bytes(key=b"k" * 16)
    assert len(data) < MIB  # the stack is not in it
    for made in (snapshot, tmebox.Snapshot.from_bytes(data, module, key=b"k" * 16)):
        with made.spawn(imports={"host": host}, timeout=60) as again:
            assert (again.get(), again.depth(200_000)) == (41, 200_000)
            assert again._tenancy.layout.stack_bytes == 1200 * MIB


def test_a_window_serves_a_small_sandbox_next(module: tmebox.Module) -> None:
    """And nothing is left of the stack, nor of where it was."""
    with upper(module) as box:
        base, low = box._tenancy.base, box._tenancy.layout.stack_low
        box.depth(3000)
    for _ in range(3):
        with tmebox.Sandbox(module, imports={"host": host}) as small:
            if small._tenancy.base == base:
                assert small.memory.read(abi.CONTROL_RSP_MASK, 8) == abi.RSP_MASK.to_bytes(8, "little")
                with pytest.raises(tmebox.BadPointer):
                    small.memory.read(abi.SHARED_END - 64, 64)
        with upper(module) as box:
            assert not any(box.memory.read(low + GIB - 4 * MIB, 4 * MIB - 4096))


def test_a_forked_child_has_such_stacks_of_its_own(module: tmebox.Module) -> None:
    with upper(module) as box:
        box.depth(2000)

        def act() -> Any:
            with upper(module) as own:
                return own.depth(300_000)

        assert in_a_child(act) == 300_000
        assert box.depth(2000) == 2000


def test_no_shared_heap_is_where_rsp_can_point(module: tmebox.Module) -> None:
    with tmebox.SharedHeap("1MiB") as heap:
        with pytest.raises(tmebox.LimitError, match="beside a shared heap"):
            upper(module, heap=heap)
        with upper(module) as box, pytest.raises(ValueError, match="own heap or stack"):
            heap.attach(box._tenancy.instance, 4096)


BEYOND = r"""
__attribute__((used)) static const int lanes[8] = {0, 0, 0, -1, -1, -1, -1, -1};
__attribute__((naked)) void beyond(void) {
  __asm__("vmovups lanes(%rip), %ymm1\n vpcmpeqd %ymm2, %ymm2, %ymm2\n movq $-1, %rbp\n movq %rbp, %rsp\n"
          "addq $524280, %rsp\n vmaskmovps %ymm2, %ymm1, 524288(%rsp)\n subq $524280, %rsp\n"
          "pushq %rax\n ret");
}
"""


def test_a_masked_store_from_the_windows_last_byte_ends_below_the_next_one() -> None:
    """What is masked out does not fault on Intel's: the first byte written may be behind a guard of 1 MiB."""
    module = tmebox.compile(source_text=BEYOND, flags=["-mavx2"], isolation="data", trust_compiler=True)

    def attack() -> Any:
        WINDOWS._free.clear()  # so that the next ones come from a new piece, where windows lie side by side
        box = tmebox.Sandbox(module, stack="1GiB")
        other = tmebox.Sandbox(module, stack=LARGEST_LOW_STACK)
        assert other.base == box.base + abi.WINDOW_SIZE
        low = other._tenancy.layout.stack_low
        assert not any(other.memory.read(low, 4096))
        try:
            box.beyond()
        except tmebox.Trap as trap:
            where = (trap.offset or 0) - abi.WINDOW_SIZE
        return 0 < where < low, any(other.memory.read(low, 4096))

    assert in_a_child(attack) == (True, False)


HEAP = (abi.IMAGE_START, abi.IMAGE_START + MIB)


@pytest.mark.parametrize(
    ("stack_low", "stack_top", "upper_start", "upper_end"),
    [
        (abi.UPPER_RSP_START - MIB, abi.SHARED_END, 0, 0),
        (abi.SHARED_START - 4096, abi.SHARED_END, 0, 0),
        (abi.SHARED_START, abi.SHARED_END + 4096, 0, 0),
        (abi.SHARED_END, abi.SHARED_END, 0, 0),
        (abi.SHARED_END - MIB, abi.SHARED_START, 0, 0),
        (abi.SHARED_END - MIB, abi.SHARED_END, abi.UPPER_LOWEST, abi.SHARED_START + MIB),
        (abi.SHARED_END - MIB, abi.SHARED_END, abi.SHARED_START, abi.SHARED_END - MIB),
        (abi.SHARED_END - MIB, abi.SHARED_END, abi.SHARED_END - 4096, abi.SHARED_END),
        (abi.ARENA_START, abi.ARENA_END, 0, 0),
        (abi.PRIVATE_END, abi.SHARED_END, 0, 0),
    ],
)
def test_the_core_refuses_stacks_that_others_could_write(
    stack_low: int, stack_top: int, upper_start: int, upper_end: int
) -> None:
    with pytest.raises(ValueError, match="impossible layout"):
        _native.Template(stack_low, *HEAP, (), b"", b"", False, stack_top, upper_start, upper_end)
