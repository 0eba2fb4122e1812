"""Memory beyond the private part: a heap of two parts, one above the arena."""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox import abi
from tmebox.memory.substrate import VARIABLE
from tmebox.runtime.layout import LARGEST_MEMORY

SOURCE = Path(__file__).with_name("large.c")
MIB, GIB = 1 << 20, 1 << 30


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(SOURCE)


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(module, memory="3GiB", timeout=60) as box:
        yield box


def test_a_heap_of_two_parts_is_one_heap(box: tmebox.Sandbox) -> None:
    lower, upper = box._tenancy.layout.heap_parts
    assert lower[1] - abi.IMAGE_START + upper[1] - upper[0] == 3 * GIB
    large = box.take(1700 * MIB)
    assert upper[0] <= large and large + 1700 * MIB <= upper[1]
    small = box.take(100 * MIB)
    assert lower[0] <= small < lower[1]
    assert box.peek(large + 1700 * MIB - 1) == 0
    box.poke(large + 1700 * MIB - 1, 9)
    box.give(large)
    assert box.take(2000 * MIB) > abi.ARENA_START
    assert box.take(2000 * MIB) == 0  # there is no more in one piece
    assert 40 < box.fill(16 * MIB) < 70  # but in many
    assert box.grow(small, 50 * MIB) == small


def test_the_host_reads_and_writes_both_parts(box: tmebox.Sandbox) -> None:
    lower, upper = box._tenancy.layout.heap_parts
    large = box.take(1700 * MIB)
    box.memory.write(large + GIB, b"from the host")
    assert bytes(box.peek(large + GIB + i) for i in range(4)) == b"from"
    assert bytes(box.memory.view(large + GIB, 4)) == b"from"
    assert box.memory.string(large + GIB) == b"from the host"
    box.memory.discard((large + GIB) // 4096 * 4096, 8192)
    assert box.peek(large + GIB) == 0
    for wrong in (0, lower[1], abi.GIB, upper[0] - 1, upper[1], abi.SHARED_END, (1 << 32) - 1):
        with pytest.raises(tmebox.BadPointer):
            box.memory.read(wrong, 1)
    for start, size in ((lower[1] - 4, 8), (upper[0] - 4, 8), (upper[1] - 4, 8), (lower[1] - 1, upper[0])):
        with pytest.raises(tmebox.BadPointer):
            box.memory.read(start, size)
        with pytest.raises(tmebox.BadPointer):
            box.memory.write(start, b"x" * 8)
        with pytest.raises(tmebox.BadPointer):
            box.memory.discard(start // 4096 * 4096, 8192)


def test_what_is_between_the_parts_stays_out_of_reach(module: tmebox.Module) -> None:
    def attack() -> list[bool]:
        endings = []
        with tmebox.Sandbox(module, memory="3GiB", timeout=60) as box:
            lower, upper = box._tenancy.layout.heap_parts
            for place in (lower[1], abi.GIB - 1, upper[0] - 1, upper[0] - abi.GUARD, upper[1], (1 << 32) - 1):
                for name, *more in (("peek",), ("poke", 1)):
                    with pytest.raises(tmebox.MemoryFault) as caught:
                        box.call(str(name), place, *more)
                    endings.append(caught.value.offset == place)
                    box.reset()
        return endings

    assert run_forked(attack).result() == [True] * 12


def test_a_window_keeps_nothing_for_its_next_owner(module: tmebox.Module) -> None:
    for _ in range(3):
        with tmebox.Sandbox(module, memory="3GiB", timeout=60) as box:
            place = box.take(1700 * MIB)
            assert box.peek(place + GIB) == 0 and box.peek(place + 1600 * MIB) == 0
            box.set(place + GIB, 0xA5, 3 * MIB)
            box.poke(place + 1600 * MIB, 1)
            box.reset()
            assert box.peek(place + GIB + MIB) == 0 and box.peek(place + 1600 * MIB) == 0
            view = box.memory.view(place + GIB, 4096)
            box.set(place + GIB, 0xA5, 3 * MIB)
            assert view[0] == 0xA5
        assert bytes(view) == bytes(4096)
        del view
        small = tmebox.Sandbox(module)  # of another layout, perhaps in the same window
        with small, pytest.raises(tmebox.MemoryFault):
            small.peek(place + GIB)


def test_a_snapshot_has_both_parts(box: tmebox.Sandbox, module: tmebox.Module) -> None:
    place = box.take(1700 * MIB)
    box.set(place + GIB, 7, 100_000)
    snapshot = box.snapshot()
    assert snapshot.size_bytes < MIB
    with snapshot.spawn() as again:
        assert again.peek(place + GIB + 99_999) == 7
        again.poke(place + GIB, 8)
        again.memory.discard(place // 4096 * 4096, 64 * MIB)
        again.reset()
        assert again.peek(place + GIB) == 7
    data = snapshot.to_bytes(key=b"k" * 32)
    with tmebox.Snapshot.from_bytes(data, module, key=b"k" * 32).spawn() as again:
        assert again.memory.read(place + GIB, 3) == b"\7\7\7"
    with pytest.raises(tmebox.SnapshotError, match="memory= allows"):
        tmebox.Snapshot.from_bytes(snapshot.to_bytes(), module)


def test_arrays_have_what_the_heap_leaves(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, memory=LARGEST_MEMORY, timeout=60) as box:
        assert box.take(2500 * MIB) != 0
        array = box.array(200 * MIB)
        array[-1] = 5
        assert box.peek(array.ctypes.data - box.base + 200 * MIB - 1) == 5
        with pytest.raises(tmebox.LimitError):
            box.array(200 * MIB)
    with tmebox.Sandbox(module, memory="1GiB", timeout=60) as box:
        assert box.array(900 * MIB, np.uint8).nbytes == 900 * MIB


def test_more_than_there_is_gets_refused(module: tmebox.Module) -> None:
    for size in (LARGEST_MEMORY + 1, "4GiB", 1 << 40, 0, -1):
        with pytest.raises(tmebox.LimitError, match="memory="):
            tmebox.Sandbox(module, memory=size)
    with pytest.raises(tmebox.LimitError, match="with a stack of"):
        tmebox.Sandbox(module, memory=LARGEST_MEMORY, stack="256MiB")


def test_a_window_that_had_a_shared_heap_can_have_a_large_one_next() -> None:
    """A view leaves a hole behind, which is memory again for who needs it."""

    def visit() -> set[int]:
        with tmebox.SharedHeap("64MiB") as heap:
            guests = [tmebox.Sandbox(tmebox.compile(SOURCE, defines=["FIRST"]), heap=heap) for _ in range(3)]
            for guest in guests:
                block = heap.allocate(abi.PAGE_SIZE, guest)
                guest.set(block.offset, 1, abi.PAGE_SIZE)
            bases = {guest._tenancy.instance.base for guest in guests}
            for guest in guests:
                guest.close()
        return bases

    def act() -> tuple[int, set[int]]:
        before = visit()
        gc.collect()
        with contextlib.ExitStack() as stack:
            module = tmebox.compile(SOURCE, defines=["SECOND"])
            boxes = [stack.enter_context(tmebox.Sandbox(module, memory="3700MiB")) for _ in range(4)]
            touched = set()
            for box in boxes:
                start = box.take(2000 * MIB)
                assert start < abi.SHARED_START < start + 2000 * MIB
                for offset in range(abi.SHARED_START, abi.SHARED_START + 80 * MIB, 8 * MIB):
                    box.poke(offset, 7)
                    touched.add(box.peek(offset))
            return len(before & {box._tenancy.instance.base for box in boxes}), touched

    assert run_forked(act).result() == (3, {7})


def test_a_shared_heap_and_a_large_one_share_the_window(module: tmebox.Module) -> None:
    with tmebox.SharedHeap("64MiB") as heap:
        with tmebox.Sandbox(module, memory="2GiB", heap=heap, timeout=60) as box:
            block = heap.allocate(64, owner=box)
            place = box.take(1000 * MIB)
            assert place > block.offset
            box.poke(place + 999 * MIB, 3)
            box.poke(block.offset, 4)
            assert box.memory.read(block.offset, 1) == b"\4"
            assert box.memory.read(place + 999 * MIB, 1) == b"\3"
            with pytest.raises(tmebox.IntegrityViolation):
                box.peek(block.offset + 64 * MIB - 64)
        with pytest.raises(tmebox.LimitError, match="beside a shared heap"):
            tmebox.Sandbox(module, memory="3GiB", heap=heap)


def test_small_sandboxes_are_where_they_were(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as box:
        assert box._tenancy.layout.parts == ((abi.STACK_TOP - 8 * MIB, abi.IMAGE_START + 64 * MIB),)
        assert box.memory.read(abi.CONTROL_UPPER_START, 16) == bytes(16)


def test_all_of_this_holds_without_userfaultfd() -> None:
    if os.environ.get(VARIABLE) == "plain":
        pytest.skip("these are the tests without it")
    environment = {**os.environ, VARIABLE: "plain"}
    here = Path(__file__)
    names = ("test_large_stacks.py", "test_upper_stacks.py")
    files = [str(here), *(str(here.with_name(name)) for name in names)]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=here.parents[2], check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
