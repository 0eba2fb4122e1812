"""Shared heaps that live and blocks that change hands leave nothing behind: memory, mappings, keys, stubs."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.test_guest import GUEST_C
from tests.soak.soaking import Footprint, footprint
from tests.soak.test_soak import require_no_growth
from tmebox import _native

Forked = Callable[..., ChildOutcome]
PAGE = tmebox.abi.PAGE_SIZE


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=GUEST_C)


def transfers(module: tmebox.Module, times: int) -> None:
    """Of arrays, also of so many pages that their page tables are carried, of small blocks, and of blocks in
    mixed pages, between sandboxes that come and go."""
    with tmebox.SharedHeap("4MiB") as heap:
        for _ in range(10):
            with tmebox.Sandbox(module, heap=heap) as a, tmebox.Sandbox(module, heap=heap) as b:
                heap.allow(a, to=b)
                array, block = heap.array(PAGE, owner=a), heap.allocate(64, owner=a)
                large = heap.array(64 * PAGE, owner=a)
                mixed = heap.allocate(64, owner=a, placement="dense")
                beside = heap.allocate(64, owner=b, placement="dense")
                words, last = array.view("u8"), large[-PAGE:].view("u8")
                for number in range(times // 80):
                    for owner in (b, a):
                        for one in (array, large, block, mixed):
                            heap.transfer(one, to=owner)
                        owner.poke8(words, number)
                        owner.poke8(last, number)
                        owner.poke8(mixed, number)
                    made = a.alloc(64)
                    assert a.give(made, b.key_id) == 0
                    assert b.release(made) == 0
                assert beside.read() == bytes(64)
        assert heap.stats().keys == 0
        del array, large, block, mixed, beside, words, last, one
        assert heap.stats().block_bytes == 0


def lives(module: tmebox.Module, times: int) -> None:
    for number in range(times):
        heap = tmebox.SharedHeap("1MiB", placement=("pages", "dense")[number % 2])
        with tmebox.Sandbox(module, heap=heap) as sandbox:
            array = heap.array(PAGE, owner=sandbox)
            sandbox.poke8(array.view("u8"), number)
            assert sandbox.peek8(sandbox.alloc(64)) == 0
            heap.share(array, {sandbox: "r"})
            if number % 3 == 0:
                heap.close()
        if number % 3 == 1:
            heap.close()


def soak_twice(
    module: tmebox.Module, transfer_count: int, life_count: int
) -> tuple[Footprint, Footprint, int]:
    transfers(module, transfer_count // 10)
    lives(module, max(60, life_count // 10))
    gc.collect()
    before, stubs = footprint(), _native.side_counts()[0]
    transfers(module, transfer_count)
    lives(module, life_count)
    gc.collect()
    return before, footprint(), _native.side_counts()[0] - stubs


def require_nothing_left(before: Footprint, after: Footprint, new_stubs: int) -> None:
    require_no_growth(before, after)
    assert new_stubs == 0


def test_heaps_leave_nothing_behind(module: tmebox.Module, forked: Forked) -> None:
    require_nothing_left(*forked(lambda: soak_twice(module, 6_000, 300), timeout_s=200.0).result())


@pytest.mark.soak
def test_a_million_transfers_and_100_000_heaps_leave_nothing_behind(
    module: tmebox.Module, forked: Forked
) -> None:
    outcome = forked(lambda: soak_twice(module, 1_000_000, 100_000), timeout_s=3600.0)
    require_nothing_left(*outcome.result())
