"""Blocks of less than a page: where they lie, what is zero, and who may touch what lies beside them."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest

import tmebox
from tests.heap.conftest import Sandboxes, violation
from tmebox import abi

PAGE, LINE = abi.PAGE_SIZE, abi.SHARED_LINE


def page_of(block: tmebox.Block) -> int:
    return block.offset // PAGE


def test_a_block_is_read_and_written_by_copies(heap: tmebox.SharedHeap) -> None:
    block = heap.allocate(100)
    assert block.size == 100
    assert block.read() == bytes(100)
    block.write(b"hello", 10)
    assert block.read(9, 7) == b"\0hello\0"
    block.write(np.arange(3, dtype="u4"))
    assert block.read(0, 12) == np.arange(3, dtype="u4").tobytes()
    for start, size in ((0, 101), (100, 1), (-1, 1), (1, -1), (101, 0), (1 << 40, 1)):
        with pytest.raises(IndexError):
            block.read(start, size)
    for data, start in ((b"12345", 96), (b"", 101), (b"1", -1)):
        with pytest.raises(IndexError):
            block.write(data, start)
    assert block.read(100) == b""


def test_each_owner_packs_its_own_pages(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    blocks = [heap.allocate(64, owner=owner) for _ in range(30) for owner in (a, b, None)]
    assert len({page_of(block) for block in blocks}) == 3
    assert heap.stats().mixed_pages == 0


def test_dense_blocks_of_all_owners_share_pages(touching: tmebox.Module) -> None:
    with (
        tmebox.SharedHeap("1MiB", placement="dense") as heap,
        tmebox.Sandbox(touching, heap=heap) as a,
        tmebox.Sandbox(touching, heap=heap) as b,
    ):
        blocks = [heap.allocate(64, owner=owner) for _ in range(10) for owner in (a, b, None)]
        assert len({page_of(block) for block in blocks}) == 1
        assert heap.stats().mixed_pages == 1
        rows = heap.map()
        lines = [(block.offset - abi.SHARED_START) // LINE for block in blocks]
        assert [rows[line // 64][line % 64] for line in lines] == [a.key_id, b.key_id, 0] * 10


def test_free_lines_of_its_page_are_its_owners_slack(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    first, second = heap.allocate(64, owner=a), heap.allocate(64, owner=a)
    a.fill(first, 64, 1)
    beyond = page_of(first) * PAGE + PAGE - 64
    assert a.sum(beyond, 64) == 0
    a.fill(beyond, 64, 2)
    offset = second.offset
    a.fill(second, 64, 3)
    heap.free(second)
    assert a.sum(offset, 64) in (0, 3 * 64)  # zeros, or its own
    again = heap.allocate(64, owner=a)
    assert again.read() == bytes(64)


def test_slack_of_a_new_owner_is_zero(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    block = heap.allocate(64, owner=a)
    page = page_of(block) * PAGE
    a.fill(page, PAGE, 7)
    heap.transfer(block, to=b)
    assert block.read() == bytes([7]) * 64
    assert b.sum(page, PAGE) == 7 * 64
    assert violation(a.peek, page + PAGE - 1).owner_key_id == b.key_id


def test_a_page_that_changes_owners_through_the_allocator_is_zero(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    for _ in range(3):
        blocks = [heap.allocate(64, owner=a) for _ in range(64)]
        start = page_of(blocks[0]) * PAGE
        a.fill(start, PAGE, 9)
        for block in blocks:
            heap.free(block)
        mine = heap.allocate(64, owner=b)
        assert b.sum(page_of(mine) * PAGE, PAGE) == 0
        heap.free(mine)


def test_one_block_of_several_that_goes_leaves_the_others_where_they_are(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    blocks = [heap.allocate(64, owner=a) for _ in range(4)]
    for index, block in enumerate(blocks):
        a.fill(block, 64, index + 1)
    heap.transfer(blocks[1], to=b)
    assert [block.owner for block in blocks] == [a, b, a, a]
    assert [block.read()[0] for block in blocks] == [1, 2, 3, 4]
    assert heap.stats().mixed_pages == 1
    assert violation(a.peek, blocks[1]).owner_key_id == b.key_id
    a.reset()
    assert violation(b.poke, blocks[0], 1).owner_key_id == a.key_id
    b.reset()
    heap.transfer(blocks[1], to=a)
    assert heap.stats().mixed_pages == 0
    assert [a.peek(block) for block in blocks] == [1, 2, 3, 4]


def test_a_page_whose_other_owners_are_gone_is_zero_but_for_what_is_left(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    mine = heap.allocate(64, owner=a, placement="dense")
    theirs = heap.allocate(192, owner=b, placement="dense")
    assert page_of(mine) == page_of(theirs)
    theirs.write(bytes([5]) * 192)
    mine.write(bytes([6]) * 64)
    heap.free(theirs)
    assert a.sum(page_of(mine) * PAGE, PAGE) == 6 * 64


def test_blocks_do_not_overlap_and_are_found(heap: tmebox.SharedHeap) -> None:
    rng = np.random.default_rng(3)
    blocks: list[tmebox.Block] = []
    for _ in range(2000):
        if blocks and rng.random() < 0.4:
            heap.free(blocks.pop(int(rng.integers(len(blocks)))))
        else:
            placement: Literal["dense", "pages"] = "dense" if rng.random() < 0.5 else "pages"
            blocks.append(
                heap.allocate(int(rng.choice([1, 64, 65, 500, 2000, 4032, 4096, 9000])), placement=placement)
            )
    places = sorted((block.offset, block.size) for block in blocks)
    for (offset, size), (following, _) in pairwise(places):
        assert offset + -(-size // LINE) * LINE <= following
        assert size > 4032 or offset // PAGE == (offset + size - 1) // PAGE
    for index, block in enumerate(blocks):
        block.write(index.to_bytes(4, "little")[: block.size])
    for index, block in enumerate(blocks):
        assert block.read(0, min(4, block.size)) == index.to_bytes(4, "little")[: block.size]
    units = [LINE if block.size <= 4032 else PAGE for block in blocks]
    used = sum(-(-block.size // unit) * unit for block, unit in zip(blocks, units, strict=True))
    assert heap.stats().block_bytes == used
    blocks.clear()
    del block
    assert heap.stats().block_bytes == 0
    assert heap.stats().free_bytes == heap.size_bytes


def test_a_block_ends_once(heap: tmebox.SharedHeap) -> None:
    block = heap.allocate(64)
    heap.free(block)
    for use in (heap.free, heap.revoke, lambda block: block.read(), lambda block: block.offset):
        with pytest.raises(ValueError, match="freed"):
            use(block)
    assert "freed" in repr(block)


def test_small_blocks_have_no_view_and_are_not_shared(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    block = heap.allocate(64, owner=a)
    with pytest.raises(BufferError, match="copies"):
        memoryview(block)
    with pytest.raises(ValueError, match="shareable=True"):
        heap.share(block, {a: "r"})
    moving = heap.allocate(PAGE, owner=a, movable=True, shareable=True)
    with pytest.raises(BufferError, match="may be moved"):
        memoryview(moving)
    heap.share(moving, {a: "r"})
    large = heap.allocate(PAGE, owner=a)
    assert len(memoryview(large)) == PAGE
    with pytest.raises(ValueError, match="shareable=True"):
        heap.share(large, {a: "r"})


def test_blocks_pass_as_pointers_and_so_do_their_offsets(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    (a,) = sandboxes(1)
    block = heap.allocate(128, owner=a)
    a.fill(block, 128, 1)
    a.fill(block.offset, 64, 2)
    assert a.sum(block, 128) == 3 * 64
    assert a.call("sum", block, 128, timeout=5.0) == 3 * 64
    with tmebox.SharedHeap("1MiB") as other:
        stranger = other.allocate(64)
        with pytest.raises(TypeError, match="does not have"):
            a.peek(stranger)
    heap.free(block)
    with pytest.raises(ValueError, match="freed"):
        a.peek(block)


@pytest.mark.parametrize("size", [-1, "much", 1.5, None, 1 << 70])
def test_sizes_that_are_none_are_refused(heap: tmebox.SharedHeap, size: object) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)):
        heap.allocate(size)  # type: ignore[arg-type]


def test_placements_and_rights_that_are_none_are_refused(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    (a,) = sandboxes(1)
    with pytest.raises(ValueError, match="'pages' or 'dense'"):
        heap.allocate(1, placement="sparse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'pages' or 'dense'"):
        tmebox.SharedHeap("1MiB", placement="sparse")  # type: ignore[arg-type]
    array = heap.array(1)
    with pytest.raises(ValueError, match="write 'r' or 'rw'"):
        heap.share(array, {a: "w"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="nobody"):
        heap.share(array, {})
    with pytest.raises(TypeError, match="Sandbox"):
        heap.transfer(array, to=3)  # type: ignore[arg-type]


def test_messages_name_offsets_and_limits(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes, touching: tmebox.Module
) -> None:
    (a,) = sandboxes(1)
    end = abi.SHARED_START + heap.size_bytes
    with pytest.raises(IndexError, match=f"{end:#x} is no offset"):
        heap.owner_of(end)
    with pytest.raises(ValueError, match="no block begins at 0x10 "):
        heap.adopt(a, 16)
    with pytest.raises(ValueError, match="Pass heap="):
        tmebox.Sandbox(touching, heap_limit="1MiB")


@pytest.mark.parametrize("size", [0, -1, 1 << 32, "2GiB"])
def test_heaps_that_fit_no_window_are_refused(size: int | str) -> None:
    with pytest.raises(ValueError, match="shared heap"):
        tmebox.SharedHeap(size)


def test_heaps_and_blocks_are_neither_made_otherwise_nor_copied(heap: tmebox.SharedHeap) -> None:
    block = heap.allocate(1)
    for thing in (heap, block):
        for copying in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="not copied or pickled"):
                copying(thing)
    kinds: list[Any] = [tmebox.Block, type(block).__base__]
    for kind in kinds:
        with pytest.raises(TypeError):
            kind()
        with pytest.raises(TypeError):
            object.__new__(kind)


def test_a_heap_that_knows_its_own_blocks_goes_with_them() -> None:
    heap = tmebox.SharedHeap("1MiB")
    heap.mine = [heap.allocate(64), heap.allocate(abi.PAGE_SIZE)]  # type: ignore[attr-defined]
    gone = weakref.ref(heap)
    del heap
    gc.collect()
    assert gone() is None
