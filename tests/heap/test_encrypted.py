"""A shared heap in the memory of a machine with TME-MK: what DRAM holds, and what attacks on it come to."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import tmebox
from tests.heap.conftest import violation
from tmebox import abi, tme

SECRET = b"the owner's bytes, in one piece!" * 2
"""A line."""


@pytest.fixture(params=[True, False], ids=["views", "no-views"])
def heap(request: pytest.FixtureRequest) -> Iterator[tmebox.SharedHeap]:
    with tmebox.SharedHeap("1MiB", backend="model", views=request.param) as heap:
        yield heap


@pytest.fixture
def a(touching: tmebox.Module, heap: tmebox.SharedHeap) -> tmebox.Sandbox:
    return tmebox.Sandbox(touching, heap=heap)


@pytest.fixture
def b(touching: tmebox.Module, heap: tmebox.SharedHeap) -> tmebox.Sandbox:
    return tmebox.Sandbox(touching, heap=heap)


def place(block: tmebox.Block) -> int:
    """Where it is in DRAM."""
    return block.offset - abi.SHARED_START


def written(
    heap: tmebox.SharedHeap, owner: tmebox.Sandbox | None, size: int = 2 * abi.PAGE_SIZE
) -> tmebox.Block:
    block = heap.allocate(size, owner)
    block.write(SECRET)
    heap.flush()
    return block


def dram(heap: tmebox.SharedHeap, block: tmebox.Block) -> bytes:
    return bytes(heap.machine.dram[place(block) : place(block) + 64])


@pytest.mark.parametrize("size", [64, 2 * abi.PAGE_SIZE])
def test_dram_has_cipher_text_while_the_sandbox_sees_its_data(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, size: int
) -> None:
    block = written(heap, a, size)
    assert a.peek(block) == SECRET[0]
    assert dram(heap, block) not in (SECRET, bytes(64))
    assert block.read(0, 64) == SECRET


def test_the_machine_reads_a_block_under_its_owners_key_id_only(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, b: tmebox.Sandbox
) -> None:
    block = written(heap, a)
    assert heap.machine.read(place(block), 64, key_id=a.key_id) == SECRET
    for key_id in (0, b.key_id, 77):
        with pytest.raises(tme.IntegrityError):
            heap.machine.read(place(block), 64, key_id=key_id)


def test_what_changes_hands_is_encrypted_under_the_new_owners_key(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, b: tmebox.Sandbox
) -> None:
    block = written(heap, a)
    before = dram(heap, block)
    heap.transfer(block, to=b)
    heap.flush()
    assert dram(heap, block) != before
    assert heap.machine.read(place(block), 64, key_id=b.key_id) == SECRET
    assert b.peek(block) == SECRET[0]
    heap.revoke(block)
    heap.flush()
    assert heap.machine.read(place(block), 64, key_id=0) == SECRET


@pytest.mark.parametrize("size", [64, 2 * abi.PAGE_SIZE])
def test_a_wrong_key_ends_with_the_machines_record(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, b: tmebox.Sandbox, size: int
) -> None:
    block = written(heap, a, size)
    found = violation(b.peek, block.offset + 5)
    assert (found.key_id, found.owner_key_id) == (b.key_id, a.key_id)
    record = found.record
    assert (record.kind, record.physical_address, record.key_id) == ("integrity", place(block), b.key_id)
    assert heap.machine.machine_checks == [record]
    assert heap.machine.rdmsr(0x401 + 4 * record.bank) == record.status
    assert block.read(0, 64) == SECRET and a.peek(block) == SECRET[0]


def test_a_store_with_a_wrong_key_changes_nothing(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, b: tmebox.Sandbox
) -> None:
    block = written(heap, a)
    before = dram(heap, block)
    assert violation(b.poke, block, 1).record.key_id == b.key_id
    assert dram(heap, block) == before and block.read(0, 64) == SECRET


def test_what_nobody_changed_is_not_written_back_over_a_flip(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox
) -> None:
    block = written(heap, a)
    assert a.peek(block) == SECRET[0]
    heap.machine.dram[place(block)] ^= 1
    heap.flush()
    violation(a.peek, block)


@pytest.mark.parametrize("bit", [0, 255, 511])
@pytest.mark.parametrize("size", [64, 2 * abi.PAGE_SIZE])
def test_a_flipped_bit_stops_who_reads_the_line_and_nobody_else(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, size: int, bit: int
) -> None:
    block = written(heap, a, size)
    other = heap.allocate(64, a)
    heap.machine.dram[place(block) + bit // 8] ^= 1 << bit % 8
    assert a.peek(other) == 0
    if size > 64:
        assert a.peek(block.offset + 64) == 0  # the page's other lines
    found = violation(a.peek, block.offset + 3)
    assert (found.key_id, found.owner_key_id) == (a.key_id, a.key_id)
    assert "no longer holds what key" in str(found)
    assert (found.record.physical_address, found.record.key_id) == (place(block), a.key_id)
    with pytest.raises(tme.IntegrityError):
        block.read()
    assert SECRET not in bytes(heap.machine.dram[:])


def test_a_flip_under_what_a_processor_has_cached_is_not_seen(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, request: pytest.FixtureRequest
) -> None:
    block = written(heap, a)
    a.poke(block.offset + 1, 7)
    heap.machine.dram[place(block)] ^= 1
    if "no-views" in request.node.name:  # nothing is cached
        violation(a.peek, block)
    else:
        assert a.peek(block.offset + 1) == 7
        heap.flush()  # overwrites it
        assert a.peek(block.offset + 1) == 7


def test_a_damaged_line_stays_damaged_whoever_gets_it_until_it_is_made_again(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, b: tmebox.Sandbox
) -> None:
    block = written(heap, a)
    heap.machine.dram[place(block)] ^= 1
    heap.transfer(block, to=b)
    violation(b.peek, block)
    heap.revoke(block)
    with pytest.raises(tme.IntegrityError):
        block.read()
    assert block.read(64, 8) == bytes(8)
    heap.free(block)
    again = heap.allocate(2 * abi.PAGE_SIZE, a)
    assert again.read() == bytes(2 * abi.PAGE_SIZE) and a.peek(again) == 0


def test_a_replayed_line_passes_as_the_specification_says(heap: tmebox.SharedHeap, a: tmebox.Sandbox) -> None:
    block = written(heap, a)
    kept = heap.machine.dram.record(place(block))
    block.write(b"x" * 64)
    heap.flush()
    heap.machine.dram.replay(kept)
    assert a.peek(block) == SECRET[0]


def test_a_line_spliced_to_another_address_is_found(heap: tmebox.SharedHeap, a: tmebox.Sandbox) -> None:
    block = written(heap, a)
    heap.machine.dram.replay(heap.machine.dram.record(place(block)), place(block) + 64)
    assert a.peek(block) == SECRET[0]
    violation(a.peek, block.offset + 64)


def test_arrays_show_their_bytes_and_sandboxes_find_flips_under_them(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox
) -> None:
    image = heap.array((2, abi.PAGE_SIZE), owner=a)
    image[:] = 5
    at = heap.offset_of(image)
    assert a.sum(image, image.size) == 5 * image.size
    a.fill(image, image.size, 6)
    heap.flush()
    assert np.all(image == 6)
    assert bytes(heap.machine.dram[at - abi.SHARED_START : at - abi.SHARED_START + 64]) != b"\6" * 64
    assert a.sum(image, image.size) == 6 * image.size
    heap.flush()
    heap.machine.dram[at - abi.SHARED_START + 100] ^= 1
    assert violation(a.peek, at + 64).record is not None
    assert np.all(image == 6)


def test_members_of_a_share_read_under_its_own_key(
    heap: tmebox.SharedHeap, a: tmebox.Sandbox, b: tmebox.Sandbox
) -> None:
    block = heap.allocate(abi.PAGE_SIZE, shareable=True)
    heap.share(block, {a: "rw", b: "r"})
    a.poke(block, 9)
    assert b.peek(block) == 9
    heap.flush()
    assert heap.machine.read(place(block), 1, key_id=block.key_id) == b"\x09"
    heap.machine.dram[place(block)] ^= 1
    assert violation(b.peek, block).record.key_id == block.key_id


def test_a_moved_block_takes_its_damage_along(heap: tmebox.SharedHeap, a: tmebox.Sandbox) -> None:
    block = heap.allocate(128, a, movable=True)
    block.write(SECRET + SECRET)
    heap.flush()
    heap.machine.dram[place(block)] ^= 1
    heap.relocate(block, "pages")
    assert block.read(64) == SECRET
    found = violation(a.peek, block)
    assert found.record.kind == "poison"


def test_keys_are_lost_with_the_machines_power(heap: tmebox.SharedHeap, a: tmebox.Sandbox) -> None:
    block = written(heap, a)
    heap.machine.reset()
    violation(a.peek, block)
    a.reset()
    heap.machine.activate()
    violation(a.peek, block)
    with pytest.raises(tme.IntegrityError):
        block.read(0, 64)


def test_a_recycled_key_id_has_another_key(touching: tmebox.Module, heap: tmebox.SharedHeap) -> None:
    seen = set()
    for _ in range(3):
        with tmebox.Sandbox(touching, heap=heap) as sandbox:
            block = written(heap, sandbox)
            seen.add(dram(heap, block))
            heap.free(block)
    assert len(seen) == 3


def test_a_heap_without_a_machine_says_so() -> None:
    with tmebox.SharedHeap("64KiB") as heap:
        heap.flush()
        with pytest.raises(ValueError, match=re.escape("not model")):
            _ = heap.machine
    with pytest.raises(ValueError, match="'mmu' or 'model'"):
        tmebox.SharedHeap("64KiB", backend="tdx")  # type: ignore[arg-type]


def test_the_machine_ends_with_its_heap(touching: tmebox.Module) -> None:
    heap = tmebox.SharedHeap("64KiB", backend="model")
    with tmebox.Sandbox(touching, heap=heap) as sandbox:
        sandbox.poke(heap.allocate(64, sandbox), 1)
    machine = weakref.ref(heap.machine)
    heap.close()
    del heap, sandbox
    gc.collect()
    for _ in range(3):  # between two of these Python does what was put off
        gc.collect()
    assert machine() is None
