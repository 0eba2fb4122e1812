"""Heaps in machines of other kinds, what a machine says of keys that a heap drew, DRAM changed under arrays,
and strings that come to a damaged line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tests.heap.conftest import violation
from tests.heap.test_races import started
from tmebox import abi, tme
from tmebox._native import time_detections
from tmebox.tme.explain import explain

LINE = abi.SHARED_LINE
Heaps = Callable[..., tmebox.SharedHeap]

STRINGS_C = r"""
/* What is left in rcx. */
unsigned long store(unsigned char *to, unsigned long count)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(7) : "memory");
    return count;
}
unsigned long move(unsigned long *to, const unsigned long *from, unsigned long count)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return count;
}
"""


@pytest.fixture
def heaps() -> Iterator[Heaps]:
    made: list[tmebox.SharedHeap] = []

    def make(size: str = "256KiB", **machine: Any) -> tmebox.SharedHeap:
        made.append(tmebox.SharedHeap(size, backend="model", machine=machine))
        return made[-1]

    yield make
    for heap in made:
        heap.close()


@pytest.fixture(scope="module")
def strings() -> tmebox.Module:
    return tmebox.compile(source_text=STRINGS_C)


def place(block: tmebox.Block) -> int:
    return block.offset - abi.SHARED_START


# -- options ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("algorithm", ["aes-xts-128-integrity", "aes-xts-256-integrity"])
def test_the_machines_algorithm_is_the_heaps(touching: tmebox.Module, heaps: Heaps, algorithm: str) -> None:
    heap = heaps(algorithm=algorithm, key_id_bits=6)
    with tmebox.Sandbox(touching, heap=heap) as a, tmebox.Sandbox(touching, heap=heap) as b:
        block = heap.allocate(LINE, a)
        block.write(b"x" * LINE)
        heap.flush()
        slot = heap.machine.key_slot(a.key_id, reveal=True)
        assert (slot.mode, slot.algorithm) == ("owner", algorithm)
        assert len(slot.key) == len(slot.tweak_key) == (32 if "256" in algorithm else 16)
        reference = pytest.importorskip("tmebox.tme.reference", reason="needs the package cryptography")
        cipher = bytes(heap.machine.dram[place(block) : place(block) + LINE])
        assert reference.crypt(slot.key, slot.tweak_key, place(block), cipher, decrypt=True) == b"x" * LINE
        assert a.peek(block) == ord("x")
        assert violation(b.peek, block).record.key_id == b.key_id


def test_a_heap_has_no_more_keys_than_its_machine(touching: tmebox.Module, heaps: Heaps) -> None:
    heap = heaps(key_id_bits=2)
    boxes = [tmebox.Sandbox(touching, heap=heap) for _ in range(3)]
    assert sorted(box.key_id for box in boxes) == [1, 2, 3]
    with pytest.raises(tmebox.LimitError, match="all 3 keys"):
        tmebox.Sandbox(touching, heap=heap)
    boxes[0].close()
    with tmebox.Sandbox(touching, heap=heap) as again:
        assert again.key_id == 1
    for box in boxes[1:]:
        box.close()


@pytest.mark.parametrize("placement", ["pages", "dense"])
def test_by_the_papers_rule_memory_says_nothing_of_a_store(
    touching: tmebox.Module, heaps: Heaps, placement: Any
) -> None:
    for detection, says in (("paper", False), ("specification", True)):
        heap = heaps(detection=detection)
        with tmebox.Sandbox(touching, heap=heap) as a, tmebox.Sandbox(touching, heap=heap) as b:
            block = heap.allocate(LINE, a, placement=placement)
            heap.allocate(LINE, b, placement=placement)
            block.write(b"y" * LINE)
            heap.flush()
            assert (violation(b.poke, block, 1).record is not None) == says
            b.reset()
            assert violation(b.peek, block).record.kind == "integrity"
            assert block.read() == b"y" * LINE  # the table has refused both


def test_with_a_short_mac_some_wrong_keys_pass_memory_but_not_the_table(
    touching: tmebox.Module, heaps: Heaps
) -> None:
    heap = heaps(mac_bits=1)
    found = []
    with tmebox.Sandbox(touching, heap=heap) as a, tmebox.Sandbox(touching, heap=heap) as b:
        block = heap.allocate(LINE * 40, a)
        block.write(bytes(range(40)) * LINE)
        heap.flush()
        for line in range(40):
            found.append(violation(b.peek, block.offset + LINE * line).record is not None)
            b.reset()
    assert {True, False} == set(found)  # all alike: once in 2^39 runs


def test_a_machine_is_the_models_only() -> None:
    with pytest.raises(ValueError, match="backend='model'"):
        tmebox.SharedHeap("64KiB", machine={})
    with pytest.raises(tme.ConfigurationError, match="rule option-heap-integrity"):
        tmebox.SharedHeap("64KiB", backend="model", machine={"algorithm": "aes-xts-128"})


# -- keys that the heap drew -----------------------------------------------------------------------
def test_the_machine_knows_keys_that_its_heap_drew(touching: tmebox.Module, heaps: Heaps) -> None:
    heap = heaps(key_id_bits=6)
    machine = heap.machine
    assert machine.key_slot(1).mode == "platform"
    with tmebox.Sandbox(touching, heap=heap) as a:
        slot = machine.key_slot(a.key_id)
        assert (slot.mode, slot.key) == ("owner", b"") and "owner" in repr(slot)
        shown = machine.key_slot(a.key_id, reveal=True)
        assert shown.key.hex() not in repr(shown) and shown.key != bytes(16)
        block = heap.allocate(LINE, a)
        block.write(b"z")
        heap.flush()
        facts = {fact.where: fact.what for fact in explain(machine, place(block), a.key_id)}
        assert "owner" in facts["key table"] and "the MAC fits" in facts["a read now"]
        wrong = {fact.where: fact.what for fact in explain(machine, place(block), a.key_id + 1)}
        assert f"it fits KeyID {a.key_id}" in wrong["a read now"]


def test_pconfig_of_an_owners_key_id_takes_its_memory_away(touching: tmebox.Module, heaps: Heaps) -> None:
    heap = heaps(key_id_bits=6)
    with tmebox.Sandbox(touching, heap=heap) as a:
        block = heap.allocate(LINE, a)
        block.write(b"z")
        heap.flush()
        drawn = heap.machine.key_slot(a.key_id, reveal=True)
        heap.machine.pconfig(a.key_id, "random")
        assert heap.machine.key_slot(a.key_id).mode == "key"
        assert violation(a.peek, block).record.kind == "integrity"
        heap.machine.pconfig(a.key_id, "direct", key=drawn.key, tweak_key=drawn.tweak_key)
        a.reset()
        assert a.peek(block) == ord("z")
        key_id = a.key_id
    while True:
        with tmebox.Sandbox(touching, heap=heap) as later:
            if later.key_id == key_id:
                assert heap.machine.key_slot(key_id).mode == "owner"
                break


# -- DRAM changed under arrays ---------------------------------------------------------------------
def test_a_replay_under_an_array_is_seen_once_a_sandbox_reads_it(
    touching: tmebox.Module, heaps: Heaps
) -> None:
    heap = heaps()
    with tmebox.Sandbox(touching, heap=heap) as a:
        image = heap.array(abi.PAGE_SIZE, owner=a)
        at = heap.offset_of(image)
        image[:] = 1
        heap.flush()
        old = heap.machine.dram.record(at - abi.SHARED_START)
        image[:] = 2
        heap.flush()
        heap.machine.dram.replay(old)
        assert np.all(image == 2)  # as from a cache
        assert a.peek(at) == 1 and a.peek(at + LINE) == 2
        assert np.all(image[:LINE] == 1) and np.all(image[LINE:] == 2)


def test_what_the_host_wrote_since_overwrites_a_replay(touching: tmebox.Module, heaps: Heaps) -> None:
    heap = heaps()
    with tmebox.Sandbox(touching, heap=heap) as a:
        image = heap.array(abi.PAGE_SIZE, owner=a)
        at = heap.offset_of(image)
        image[:] = 1
        heap.flush()
        old = heap.machine.dram.record(at - abi.SHARED_START)
        image[:] = 2
        heap.flush()
        heap.machine.dram.replay(old)
        image[0] = 3
        assert a.peek(at) == 3 and a.peek(at + 1) == 2
        heap.flush()
        assert heap.machine.read(at - abi.SHARED_START, 2, key_id=a.key_id) == b"\3\2"


def test_a_flip_under_an_array_stops_sandboxes_and_the_array_stays(
    touching: tmebox.Module, heaps: Heaps
) -> None:
    heap = heaps()
    with tmebox.Sandbox(touching, heap=heap) as a:
        image = heap.array(abi.PAGE_SIZE, owner=a)
        image[:] = 4
        heap.flush()
        at = heap.offset_of(image)
        heap.machine.dram[at - abi.SHARED_START] ^= 1
        assert violation(a.peek, at).record.kind == "integrity"
        assert np.all(image == 4)
        a.reset()
        assert a.peek(at + LINE) == 4


# -- strings ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("views", [True, False])
def test_a_string_stops_where_a_damaged_line_begins(strings: tmebox.Module, views: bool) -> None:
    """As a processor would: the elements before it are stored, and rdi says where it stopped."""
    with (
        tmebox.SharedHeap("256KiB", backend="model", views=views) as heap,
        tmebox.Sandbox(strings, heap=heap) as a,
    ):
        block = heap.allocate(4 * LINE, a)
        other = heap.allocate(4 * LINE, a)
        other.write(bytes(range(256)))
        heap.flush()
        heap.machine.dram[place(block) + 2 * LINE] ^= 1
        found = violation(a.store, block.offset + 8, 4 * LINE - 8)
        assert (found.offset, found.record.physical_address) == (
            block.offset + 2 * LINE,
            place(block) + 2 * LINE,
        )
        assert block.read(0, 2 * LINE) == bytes(8) + bytes([7]) * (2 * LINE - 8)
        assert block.read(3 * LINE, LINE) == bytes(LINE)
        a.reset()
        found = violation(a.move, block.offset, other, 4 * LINE // 8)
        assert found.offset == block.offset + 2 * LINE
        assert block.read(0, 2 * LINE) == bytes(range(2 * LINE))
        a.reset()
        found = violation(a.move, other.offset, block, 4 * LINE // 8)  # the line is read
        assert found.offset == block.offset + 2 * LINE and found.access == "read"
        assert other.read() == bytes(range(2 * LINE)) + bytes(range(2 * LINE, 4 * LINE))


def test_an_element_across_the_damage_is_not_done_in_part(strings: tmebox.Module) -> None:
    with (
        tmebox.SharedHeap("256KiB", backend="model", views=False) as heap,
        tmebox.Sandbox(strings, heap=heap) as a,
    ):
        block, other = heap.allocate(4 * LINE, a), heap.allocate(4 * LINE, a)
        other.write(b"\xff" * 4 * LINE)
        heap.flush()
        heap.machine.dram[place(block) + LINE] ^= 1
        violation(a.move, block.offset + 4, other, 12)
        assert block.read(0, LINE) == bytes(4) + b"\xff" * 56 + bytes(4)


# -- pointers that the host is given ---------------------------------------------------------------
def test_a_bad_pointer_has_the_machines_record(touching: tmebox.Module, heaps: Heaps) -> None:
    heap = heaps()
    with tmebox.Sandbox(touching, heap=heap) as a, tmebox.Sandbox(touching, heap=heap) as b:
        block = heap.allocate(2 * LINE, a)
        block.write(b"x" * LINE)
        heap.flush()
        for access in (lambda: b.memory.read(block.offset, 4), lambda: b.memory.write(block.offset, b"1234")):
            with pytest.raises(tmebox.BadPointer, match="not all the sandbox's") as caught:
                access()
            record = caught.value.record
            assert (record.physical_address, record.key_id) == (place(block), b.key_id)
        heap.machine.dram[place(block) + LINE] ^= 1
        with pytest.raises(tmebox.BadPointer) as caught:
            a.memory.read(block.offset, 2 * LINE)
        record = caught.value.record
        assert (record.physical_address, record.key_id) == (place(block) + LINE, a.key_id)
        assert heap.machine.machine_checks[-1] == record and len(heap.machine.machine_checks) == 3
        with pytest.raises(tmebox.BadPointer) as caught:
            a.memory.read(block.offset + (1 << 20), 1)  # where no heap is
        assert caught.value.record is None
        assert a.memory.read(block.offset, LINE) == b"x" * LINE


def test_a_bad_pointer_into_page_tables_heap_has_no_record(touching: tmebox.Module) -> None:
    with tmebox.SharedHeap("64KiB") as heap, tmebox.Sandbox(touching, heap=heap) as a:
        with pytest.raises(tmebox.BadPointer) as caught:
            a.memory.read(heap.allocate(LINE).offset, 1)
        assert caught.value.record is None


# -- counting detections ---------------------------------------------------------------------------
SHOOTING_C = """
static const volatile unsigned char *aimed_at;
void aim(const unsigned char *p) { aimed_at = p; }
void shoot(void) { (void)*aimed_at; }
"""


@pytest.mark.parametrize("placement", ["pages", "dense"])
def test_detections_are_counted_one_by_one(heaps: Heaps, placement: Any) -> None:
    heap = heaps(key_id_bits=4)
    module = tmebox.compile(source_text=SHOOTING_C)
    with tmebox.Sandbox(module, heap=heap) as a, tmebox.Sandbox(module, heap=heap) as b:
        mine, theirs = (
            heap.allocate(LINE, a, placement=placement),
            heap.allocate(LINE, b, placement=placement),
        )
        a.aim(theirs)
        assert time_detections(a.shoot, 7)[1] == 7
        a.aim(mine)  # it was not ended
        assert time_detections(a.shoot, 7)[1] == 0
        a.aim(0)
        with pytest.raises(tmebox.MemoryFault):  # what the heap has nothing to do with
            time_detections(a.shoot, 7)
        with pytest.raises(tmebox.SandboxClosed):
            a.shoot()


def test_a_wider_key_table_while_sandboxes_use_the_old_one(touching: tmebox.Module, heaps: Heaps) -> None:
    """Whatever it had is nobody's, and no key table that it looks at is freed."""
    heap = heaps(key_id_bits=4, most_key_id_bits=15)
    machine = heap.machine
    user = tmebox.Sandbox(touching, heap=heap)
    block = heap.allocate(16 * 4096, owner=user)
    ended = threading.Event()

    def use() -> None:
        while not ended.is_set():
            try:
                heap.flush()
                user.peek(block)
            except tmebox.IntegrityViolation:
                user.reset()

    thread = threading.Thread(target=use)
    thread.start()
    for bits in range(5, 16):
        machine.reset()
        machine.wrmsr(0x982, machine.activation() & ~(15 << 32) | bits << 32)
        machine.wrmsr(0x9FF, 0)
    ended.set()
    thread.join()
    assert machine.registers.core_key_bits == 15
    user.reset()
    heap.flush()
    machine.reset()
    with pytest.raises(tmebox.IntegrityViolation):
        user.peek(block)


CHANGES: dict[str, Callable[[tmebox.SharedHeap, int], object]] = {
    "pconfig": lambda heap, key_id: heap.machine.pconfig(key_id),
    "clear": lambda heap, key_id: heap.machine.pconfig(key_id, "clear"),
    "core-activate": lambda heap, key_id: heap.machine.wrmsr(0x9FF, 0),
    "reset": lambda heap, key_id: (heap.machine.reset(), heap.machine.activate()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_no_key_is_met_half_way(touching: tmebox.Module, heaps: Heaps, name: str) -> None:
    """While KeyIDs get other keys, a line is never what no key of its owner's makes of it."""
    heap = heaps(key_id_bits=12)
    user = tmebox.Sandbox(touching, heap=heap)
    block = heap.allocate(4096, owner=user)
    block.write(b"x" * 4096)
    heap.flush()
    CHANGES[name](heap, user.key_id)
    seen: set[int] = set()
    ended = threading.Event()

    def use() -> None:
        while not ended.is_set():
            try:
                seen.add(user.peek(block))
            except tmebox.IntegrityViolation:
                user.reset()

    thread = threading.Thread(target=use)
    thread.start()
    end = time.monotonic() + 1
    while not seen and time.monotonic() < end:
        for _ in range(10):
            CHANGES[name](heap, user.key_id)
    ended.set()
    thread.join()
    assert seen == set()


def test_the_machine_reads_whole_lines_while_their_owner_writes(running: tmebox.Module) -> None:
    with (
        tmebox.SharedHeap("256KiB", backend="model", views=False) as heap,
        tmebox.Sandbox(running, heap=heap, timeout=20) as user,
    ):
        block = heap.allocate(4096, owner=user)
        block.write(bytes(4096))
        thread, _ = started(user.write_on, block, 1)
        end, seen = time.monotonic() + 1, set()
        try:
            while time.monotonic() < end:
                seen.add(heap.machine.read(place(block), 64, key_id=user.key_id))
        finally:
            heap.revoke(block)
            thread.join()
    assert len(seen) > 1


def test_a_machine_is_nobodys_in_a_forked_child(running: tmebox.Module) -> None:
    """A thread that was in it when the process forked is not there to leave it."""
    with (
        tmebox.SharedHeap("256KiB", backend="model", views=False) as heap,
        tmebox.Sandbox(running, heap=heap, timeout=60) as user,
    ):
        machine, behind = heap.machine, 256 << 10

        def use() -> bytes:
            machine.direct_store(behind, b"child".ljust(64))
            return machine.read(behind, 5)

        block = heap.allocate(4096, owner=user)
        thread, _ = started(user.write_on, block, 1)
        try:
            assert {run_forked(use, timeout_s=10).result() for _ in range(20)} == {b"child"}
        finally:
            heap.revoke(block)
            thread.join()
