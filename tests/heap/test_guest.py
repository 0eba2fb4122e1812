"""What sandboxed code can do with the shared heap by itself: <tmebox.h>."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.heap.conftest import violation
from tmebox import abi

GUEST_C = r"""
#include <errno.h>
#include <tmebox.h>

unsigned long alloc(unsigned long size) { errno = 0; return (unsigned long)tmebox_shared_alloc(size); }
int release(unsigned long at) { errno = 0; return tmebox_shared_free((void *)at); }
unsigned long size(unsigned long at) { errno = 0; return tmebox_shared_size((void *)at); }
int give(unsigned long at, int key) { errno = 0; return tmebox_shared_transfer((void *)at, key); }
int key(void) { errno = 0; return tmebox_shared_key(); }
unsigned handle(unsigned long size) { errno = 0; return tmebox_shared_handle(size); }
int handle_free(unsigned h) { errno = 0; return tmebox_shared_handle_free(h); }
unsigned long pin(unsigned h) { errno = 0; return (unsigned long)tmebox_shared_pin(h); }
int unpin(unsigned h) { errno = 0; return tmebox_shared_unpin(h); }
int handle_give(unsigned h, int key) { errno = 0; return tmebox_shared_handle_transfer(h, key); }
int error(void) { return errno; }
long raw(long call, unsigned long a, unsigned long b) { return __tmebox_shared_heap(call, a, b); }
unsigned long peek8(const volatile unsigned long *p) { return *p; }
void poke8(volatile unsigned long *p, unsigned long value) { *p = value; }
void churn(unsigned long times, unsigned long size)
{
    for (unsigned long i = 0; i < times; i++)
        tmebox_shared_free(tmebox_shared_alloc(size));
}
"""
PAGE = abi.PAGE_SIZE


@pytest.fixture(scope="module")
def guest() -> tmebox.Module:
    return tmebox.compile(source_text=GUEST_C)


@pytest.fixture
def pair(guest: tmebox.Module, heap: tmebox.SharedHeap) -> Iterator[tuple[tmebox.Sandbox, tmebox.Sandbox]]:
    with tmebox.Sandbox(guest, heap=heap) as a, tmebox.Sandbox(guest, heap=heap) as b:
        yield a, b


Pair = tuple[tmebox.Sandbox, tmebox.Sandbox]


def test_code_allocates_uses_and_frees(pair: Pair, heap: tmebox.SharedHeap) -> None:
    a, _ = pair
    block = a.alloc(100)
    assert block % 64 == 0
    assert a.size(block) == 128
    assert a.peek8(block) == 0
    a.poke8(block, 5)
    assert heap.owner_of(block) is a
    assert a.release(block) == 0
    assert heap.stats().block_bytes == 0
    assert violation(a.peek8, block).owner_key_id == 0


@pytest.mark.parametrize("size", [0, 1, 64, 65, 1000, 4032, 4033, 4096, 4097, 100_000])
def test_blocks_are_whole_lines_and_from_a_page_on_whole_pages(pair: Pair, size: int) -> None:
    a, _ = pair
    block = a.alloc(size)
    got = a.size(block)
    unit = 64 if size <= 4032 else PAGE
    assert got == max(1, -(-size // unit)) * unit
    assert block % unit == 0
    a.poke8(block + got - 8, 1)
    assert a.release(block) == 0


def test_what_is_no_block_of_its_own_is_an_error(pair: Pair, heap: tmebox.SharedHeap) -> None:
    a, b = pair
    block, theirs = a.alloc(256), b.alloc(256)
    assert a.alloc(64) != 0  # so that the page stays
    strange = [block + 64, block + 1, theirs, 4096, abi.SHARED_END, (1 << 64) - 64, abi.SHARED_START - 64]
    for offset in strange:
        for call in (a.release, lambda offset: a.give(offset, b.key_id)):
            assert call(offset) == -1
            assert a.error() == errno.EINVAL
        assert a.size(offset) == 0
    assert a.release(block) == 0
    assert a.release(block) == -1
    assert a.error() == errno.EINVAL
    assert a.release(0) == 0
    assert heap.owner_of(theirs) is b


def test_who_made_a_block_ends_it(pair: Pair, heap: tmebox.SharedHeap) -> None:
    a, _ = pair
    block = heap.allocate(64, owner=a)
    assert a.release(block.offset) == -1
    assert a.error() == errno.EPERM
    offset = block.offset
    block.release()
    assert a.release(offset) == 0
    made = a.alloc(64)
    adopted = heap.adopt(a, made)
    assert adopted.owner is a
    assert a.release(made) == -1
    assert a.error() == errno.EPERM
    heap.free(adopted)
    assert heap.stats().block_bytes == 0


def test_only_own_blocks_made_by_code_are_adopted(pair: Pair, heap: tmebox.SharedHeap) -> None:
    a, b = pair
    made = a.alloc(64)
    host_made = heap.allocate(64, owner=a)
    for sandbox, offset in ((b, made), (a, made + 64), (a, made + 1), (a, host_made.offset), (a, 0)):
        with pytest.raises(ValueError, match="no block begins at"):
            heap.adopt(sandbox, offset)


def test_transfers_need_a_permit(pair: Pair, heap: tmebox.SharedHeap) -> None:
    a, b = pair
    block = a.alloc(64)
    a.poke8(block, 77)
    for key in (b.key_id, 0, -1, 1 << 14, 1 << 20, 0xFFFF):
        assert a.give(block, key) == -1
        assert a.error() == errno.EPERM
    heap.allow(a, to=b)
    assert a.give(block, b.key_id) == 0
    assert heap.owner_of(block) is b
    assert b.peek8(block) == 77
    assert violation(a.peek8, block).owner_key_id == b.key_id
    assert b.give(block, a.key_id) == -1  # the other way needs its own
    assert b.error() == errno.EPERM
    assert b.release(block) == 0


def test_a_permit_dies_with_either_side(guest: tmebox.Module) -> None:
    with tmebox.SharedHeap("1MiB") as heap, tmebox.Sandbox(guest, heap=heap) as a:
        block = a.alloc(64)
        b = tmebox.Sandbox(guest, heap=heap)
        heap.allow(a, to=b)
        stale = b.key_id
        b.close()
        assert a.give(block, stale) == -1
        assert a.error() == errno.EPERM
        others: list[tmebox.Sandbox] = []
        while not others or others[-1].key_id != stale:  # keys are used again, the oldest first
            for other in others:
                other.close()
            others = [tmebox.Sandbox(guest, heap=heap) for _ in range(500)]
            if stale in [other.key_id for other in others]:
                break
        assert a.give(block, stale) == -1
        assert a.error() == errno.EPERM
        for other in others:
            other.close()


def test_a_limit_counts_what_is_received(guest: tmebox.Module, heap: tmebox.SharedHeap) -> None:
    with (
        tmebox.Sandbox(guest, heap=heap) as a,
        tmebox.Sandbox(guest, heap=heap, heap_limit=8192) as b,
    ):
        heap.allow(a, to=b)
        first, second, third = (a.alloc(4096) for _ in range(3))
        assert a.give(first, b.key_id) == a.give(second, b.key_id) == 0
        assert a.give(third, b.key_id) == -1
        assert a.error() == errno.EDQUOT
        assert b.alloc(1) == 0
        assert b.error() == errno.EDQUOT
        array = heap.array(10)
        with pytest.raises(tmebox.LimitError, match="heap_limit"):
            heap.transfer(array, to=b)
        with pytest.raises(tmebox.LimitError, match="heap_limit"):
            heap.allocate(1, owner=b)
        assert b.release(first) == 0
        assert a.give(third, b.key_id) == 0


def test_a_full_heap_is_enomem(guest: tmebox.Module) -> None:
    with tmebox.SharedHeap("64KiB") as heap, tmebox.Sandbox(guest, heap=heap) as a:
        blocks = [a.alloc(4096) for _ in range(16)]
        assert all(blocks)
        assert a.alloc(64) == 0
        assert a.error() == errno.ENOMEM
        for size in (1 << 17, 1 << 40, (1 << 64) - 1):
            assert a.alloc(size) == 0
            assert a.error() == errno.ENOMEM
        with pytest.raises(tmebox.LimitError, match="no room"):
            heap.allocate(64)
        assert all(a.release(block) == 0 for block in blocks)
        assert a.alloc(64 * 1024) != 0


def test_without_a_heap_nothing_is_there(guest: tmebox.Module) -> None:
    with tmebox.Sandbox(guest) as a:
        assert a.key_id == 0
        for call in (a.alloc, a.size, a.pin, a.handle):
            assert call(64) == 0
            assert a.error() == errno.ENOSYS
        for result in (a.release(64), a.give(64, 1), a.key(), a.unpin(1), a.handle_free(1)):
            assert result == -1
        assert a.error() == errno.ENOSYS


def test_calls_that_are_none_are_enosys(pair: Pair) -> None:
    a, _ = pair
    for call in (10, 11, 1 << 31, (1 << 63) - 1, -1, -(1 << 63)):
        assert a.raw(call, 0, 0) == -errno.ENOSYS


def test_code_knows_its_key(pair: Pair) -> None:
    a, b = pair
    assert (a.key(), b.key()) == (a.key_id, b.key_id)


def test_handles_name_blocks_that_pinning_moves_to_their_owners_page(
    pair: Pair, heap: tmebox.SharedHeap
) -> None:
    a, b = pair
    mine, theirs = a.handle(64), b.handle(64)
    assert heap.stats().mixed_pages == 1
    at = a.pin(mine)
    a.poke8(at, 9)
    assert a.pin(mine) == at
    assert heap.stats().mixed_pages == 0
    for call in (a.pin, a.handle_free):
        assert call(theirs) in (0, -1)
        assert a.error() == errno.EINVAL
    assert a.unpin(mine) == a.unpin(mine) == 0
    assert a.unpin(mine) == -1
    assert a.handle_free(mine) == 0
    assert a.handle_free(mine) == -1
    assert a.error() == errno.EINVAL
    heap.allow(b, to=a)
    assert b.handle_give(theirs, a.key_id) == 0
    assert b.pin(theirs) == 0
    assert a.pin(theirs) != 0
    assert a.handle_free(0) == 0


def test_the_header_and_the_core_mean_the_same_calls() -> None:
    names = ["ALLOC", "FREE", "SIZE", "TRANSFER", "KEY", "HANDLE_ALLOC", "HANDLE_FREE", "PIN", "UNPIN",
             "HANDLE_TRANSFER"]  # fmt: skip
    header = (Path(tmebox.__file__).parent / "toolchain" / "include" / "tmebox.h").read_text()
    used = [int(number) for number in re.findall(r"__tmebox_shared_heap\((\d+),", header)]
    assert used == [getattr(abi, f"SHARED_CALL_{name}") for name in names] == list(range(10))


def test_allocating_again_and_again_takes_nothing(pair: Pair, heap: tmebox.SharedHeap) -> None:
    a, _ = pair
    a.churn(100_000, 64)
    a.churn(10_000, 4096)
    assert heap.stats().block_bytes == 0
    assert heap.stats().resident_bytes <= 4 * PAGE
