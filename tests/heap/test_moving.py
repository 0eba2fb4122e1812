"""Blocks that may be moved: relocation, and heaps that are made dense."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tmebox
from tests.heap.conftest import Sandboxes, violation
from tests.heap.test_guest import GUEST_C
from tmebox import abi

PAGE = abi.PAGE_SIZE


def test_a_block_that_is_relocated_keeps_bytes_and_owner(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    block = heap.allocate(200, owner=a, movable=True)
    beside = heap.allocate(64, owner=b, placement="dense")
    block.write(bytes(range(200)))
    before = block.offset
    heap.relocate(block, "pages")
    assert block.offset != before
    assert block.read() == bytes(range(200))
    assert a.sum(block, 200) == sum(range(200))
    assert violation(b.peek, block).owner_key_id == a.key_id
    b.reset()
    assert violation(a.peek, before).owner_key_id == b.key_id
    heap.relocate(block)
    assert block.read() == bytes(range(200))
    assert block.owner is a
    assert beside.owner is b
    heap.free(block)
    assert heap.stats().block_bytes == 64


def test_what_was_not_made_to_be_moved_stays(heap: tmebox.SharedHeap) -> None:
    with pytest.raises(ValueError, match="movable=True"):
        heap.relocate(heap.allocate(64))
    with pytest.raises(ValueError, match="'pages' or 'dense'"):
        heap.relocate(heap.allocate(64, movable=True), "here")  # type: ignore[arg-type]


def test_what_code_has_pinned_stays(heap: tmebox.SharedHeap) -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=GUEST_C), heap=heap) as a:
        handle = a.handle(64)
        block = heap.adopt(a, a.pin(handle))
        before = block.offset
        with pytest.raises(ValueError, match="pinned"):
            heap.relocate(block)
        heap.compact()
        assert block.offset == before
        assert a.unpin(handle) == 0
        heap.relocate(block)
        assert block.offset != before


def test_a_sparse_heap_becomes_dense(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    owners = (*sandboxes(3), None)
    rng = np.random.default_rng(5)
    blocks = [
        heap.allocate(int(rng.integers(64, 513)), owner=owners[i % 4], movable=True) for i in range(6000)
    ]
    kept = [block for block in blocks if rng.random() < 0.3]
    fixed = heap.allocate(64, owner=owners[0], placement="dense")
    blocks.clear()
    gc.collect()
    for index, block in enumerate(kept):
        block.write(index.to_bytes(4, "little"))
    keys = [block.key_id for block in kept]
    before, place = heap.stats(), fixed.offset
    pages, moved = heap.compact()
    after = heap.stats()
    assert after.block_bytes == before.block_bytes
    assert pages > 0.6 * before.resident_bytes / PAGE
    assert after.resident_bytes == before.resident_bytes - pages * PAGE
    assert moved > 0
    assert fixed.offset == place
    assert [block.key_id for block in kept] == keys
    assert all(block.read(0, 4) == index.to_bytes(4, "little") for index, block in enumerate(kept))
    for index, block in list(enumerate(kept))[::50]:
        if (owner := block.owner) is not None:
            assert owner.peek(block) == index % 256
    assert heap.compact()[1] < moved / 10


def test_memory_that_went_back_comes_again_as_zeros(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    array = heap.array(50 * PAGE, owner=a)
    array[:] = 3
    del array
    assert heap.compact() == (50, 0)
    assert heap.stats().resident_bytes == 0
    array = heap.array(50 * PAGE, owner=a)
    assert a.sum(array, array.size) == 0


TWICE_C = """
#include <tmebox.h>
TMEBOX_IMPORT void meanwhile(void);
unsigned long twice(volatile unsigned long *p) { unsigned long first = *p; meanwhile(); return first + *p; }
"""
HOLD_C = """
#include <tmebox.h>
TMEBOX_IMPORT void meanwhile(void);
void hold(void *p) { (void)p; meanwhile(); }
"""


def test_what_a_call_has_stays_until_it_returns(heap: tmebox.SharedHeap) -> None:
    """Whoever else moves blocks meanwhile, and whatever the code that has it does."""
    module = tmebox.compile(source_text=TWICE_C)
    block = None
    seen: list[int] = []

    def meanwhile() -> None:
        assert block is not None
        seen.append(block.offset)
        heap.compact()
        with pytest.raises(ValueError, match="has not returned"):
            heap.relocate(block)
        seen.append(block.offset)

    with tmebox.Sandbox(module, heap=heap, imports={"meanwhile": meanwhile}) as a:
        filler = [heap.allocate(64, owner=a, movable=True) for _ in range(40)]
        block = heap.allocate(64, owner=a, movable=True)
        block.write((21).to_bytes(8, "little"))
        del filler
        assert a.twice(block) == 42
        assert len(set(seen)) == 1
        heap.relocate(block)
        assert a.twice(block) == 42
        heap.compact()  # nobody has it now


def test_a_block_that_is_freed_during_a_call_leaves_no_pin(heap: tmebox.SharedHeap) -> None:
    module = tmebox.compile(source_text=HOLD_C)
    blocks: list[tmebox.Block] = []
    with tmebox.Sandbox(module, heap=heap, imports={"meanwhile": lambda: heap.free(blocks[-1])}) as a:
        for _ in range(600):
            blocks.append(heap.allocate(64, owner=a, movable=True))
            a.hold(blocks[-1])
        last = heap.allocate(64, owner=a, movable=True)
        heap.relocate(last)
    assert heap.stats().block_bytes == 64
