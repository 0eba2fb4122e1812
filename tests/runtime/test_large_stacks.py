"""Stacks of every size: how deep they go, and that a program which wants more of one is stopped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tmebox import abi
from tmebox.runtime.layout import LARGEST_LOW_STACK, LARGEST_PRIVATE_STACK, LARGEST_STACK, SMALLEST_STACK

SOURCES = [Path(__file__).with_name(name) for name in ("large.c", "arrays.c")]
MIB = 1 << 20
SIZES = [64 << 10, 8 * MIB, LARGEST_LOW_STACK, LARGEST_LOW_STACK + 4096, 128 * MIB, LARGEST_PRIVATE_STACK]
FRAME = 1000
PROBED = 32 << 10
"""A frame's last step down may be so far below what it needs."""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(SOURCES)


def outcome(act: Callable[[], Any]) -> str:
    try:
        act()
    except tmebox.Trap as trap:
        return type(trap).__name__
    return "went well"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("memory", ["64MiB", "1200MiB"])
def test_a_stack_is_as_deep_as_it_says_and_no_deeper(module: tmebox.Module, size: int, memory: str) -> None:
    def attack() -> list[str]:
        with tmebox.Sandbox(module, stack=size, memory=memory, timeout=60) as box:
            assert box._tenancy.layout.stack_bytes == size
            room = size - PROBED - 4096
            arrays = min(room, box._tenancy.layout.arrays_bytes - 4096)
            good = [
                outcome(lambda: box.depth(room // 1100)),
                outcome(lambda: box.on_stack(arrays) if arrays > 0 else None),
            ]
            good.append(outcome(lambda: box.vla(arrays) if arrays > 0 else None))
            heap = box.take(MIB)
            box.set(heap, 0x5A, MIB)
            return [*good, str(box.memory.read(heap, MIB) == b"\x5a" * MIB)]

    assert run_forked(attack).result() == ["went well"] * 3 + ["True"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("memory", ["64MiB", "2500MiB"])
def test_whoever_wants_more_of_a_stack_is_stopped(module: tmebox.Module, size: int, memory: str) -> None:
    """With a heap below that would take what falls onto it."""

    def attack() -> list[str]:
        ends = []
        with tmebox.Sandbox(module, stack=size, memory=memory, timeout=60) as box:
            exports: Any = box
            if size > 100 * MIB:  # a few: each fills the stack before it is stopped
                acts = [partial(exports.vla, n) for n in (size + 1, size + 700 * MIB, 1 << 40)]
                acts += [partial(exports.on_stack, size + 1), partial(exports.frames, 40)]
                return [outcome(act) for act in acts for _ in (box.reset(),)]
            steps = [1, 4096, PROBED, MIB, 2 * MIB, 100 * MIB, 700 * MIB, 1 << 31]
            more = [size + step for step in steps] + [1 << 32, (1 << 32) + 4096, 1 << 40, 1 << 62]
            acts = [partial(function, n) for function in (exports.on_stack, exports.vla) for n in more]
            acts += [partial(exports.depth, size // FRAME + 10), partial(exports.frames, 40)]
            acts += [getattr(exports, f"frame_{mib}") for mib in (1, 2, 70, 300, 900) if mib * MIB > size]
            for act in acts:
                ends.append(outcome(act))
                box.reset()
        return ends

    assert set(run_forked(attack).result()) == {"StackOverflow"}


def test_a_trap_says_where_a_large_stack_ends(module: tmebox.Module) -> None:
    box = tmebox.Sandbox(module, stack="256MiB", timeout=60)
    with box, pytest.raises(tmebox.StackOverflow) as caught:
        box.depth(1 << 30)
    assert "stack ends at 0x2ff00000" in str(caught.value)
    assert [frame.function for frame in caught.value.backtrace][1:3] == ["depth", "depth"]
    assert abi.PRIVATE_END - (256 << 20) - abi.GUARD <= (caught.value.offset or 0) < abi.PRIVATE_END


def test_a_large_stack_is_recycled_clean(module: tmebox.Module) -> None:
    for _ in range(2):
        with tmebox.Sandbox(module, stack="80MiB", timeout=60) as box:
            layout = box._tenancy.layout
            low, size = layout.stack_low, layout.stack_bytes - 4096
            assert not np.frombuffer(box.memory.read(low, size), np.uint64).any()
            box.on_stack(size - PROBED)
            box.depth(20_000)
            assert any(box.memory.read(layout.stack_top - 9 * MIB, MIB))
            assert box.memory.read(abi.STACK_RANDOM, 16) != bytes(16)
            box.reset()
            assert not np.frombuffer(box.memory.read(low, size), np.uint64).any()


def test_a_snapshot_keeps_the_size_of_a_stack(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, stack="256MiB", memory="1GiB", timeout=60) as box:
        data = box.snapshot().to_bytes(key=b"k" * 16)
    with tmebox.Snapshot.from_bytes(data, module, key=b"k" * 16).spawn() as again:
        assert again._tenancy.layout.stack_bytes == 256 << 20
        again.depth(200_000)


def test_impossible_stacks_are_refused(module: tmebox.Module) -> None:
    for size in (SMALLEST_STACK - 1, LARGEST_STACK + 1, "2GiB", 0, -1):
        with pytest.raises(tmebox.LimitError, match="stack="):
            tmebox.Sandbox(module, stack=size)
