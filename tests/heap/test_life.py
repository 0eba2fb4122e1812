"""What becomes of blocks when sandboxes are reset, trapped, captured, closed, dropped or forked; keys that
are used again."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import Sandboxes, violation
from tests.heap.test_guest import GUEST_C
from tmebox import abi

PAGE = abi.PAGE_SIZE
Forked = Callable[..., ChildOutcome]


@pytest.fixture(scope="module")
def guest() -> tmebox.Module:
    return tmebox.compile(source_text=GUEST_C)


def test_after_a_trap_blocks_stay_until_reset_and_can_be_passed_on(
    heap: tmebox.SharedHeap, guest: tmebox.Module
) -> None:
    with tmebox.Sandbox(guest, heap=heap) as a, tmebox.Sandbox(guest, heap=heap) as b:
        made, array = a.alloc(64), heap.array(PAGE, owner=a)
        a.poke8(array.view("u8"), 5)
        violation(a.peek8, heap.allocate(64, owner=b))
        assert heap.owner_of(made) is a
        assert heap.owner_of(array) is a
        heap.transfer(array, to=b)
        assert b.peek8(array.view("u8")) == 5
        adopted = heap.adopt(a, made)
        heap.transfer(adopted, to=b)
        b.poke8(adopted, 3)


def test_reset_frees_what_code_made_and_nothing_else(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    with tmebox.Sandbox(guest, heap=heap) as a:
        made = [a.alloc(size) for size in (64, 100, 5000, 64)]
        handle = a.handle(64)
        array, block = heap.array(PAGE, owner=a), heap.allocate(64, owner=a)
        key = a.key_id
        a.reset()
        assert a.key_id == key
        assert all(heap.owner_of(offset) is None for offset in made)
        assert heap.owner_of(array) is a
        assert block.owner is a
        assert a.pin(handle) == 0
        assert heap.stats().block_bytes == PAGE + 64


def test_close_gives_the_hosts_blocks_to_the_host(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    a, b = tmebox.Sandbox(guest, heap=heap), tmebox.Sandbox(guest, heap=heap)
    made = a.alloc(64)
    blocks = [heap.allocate(size, owner=a, placement=placement)
              for size in (64, 200, PAGE) for placement in ("pages", "dense")]  # fmt: skip
    beside = heap.allocate(64, owner=b, placement="dense")
    array = heap.array(3 * PAGE, owner=a)
    array[:] = 7
    a.poke8(blocks[0], 9)
    a.close()
    assert a.key_id == 0
    assert all(block.owner is None for block in blocks)
    assert heap.owner_of(array) is None
    assert blocks[0].read(0, 1) == b"\x09"
    assert (array == 7).all()
    assert heap.owner_of(made) is None
    heap.transfer(blocks[0], to=b)
    assert b.peek8(blocks[0]) == 9
    assert beside.owner is b
    for use in (lambda: heap.transfer(array, to=a), lambda: heap.allocate(1, owner=a)):
        with pytest.raises(tmebox.SandboxClosed):
            use()
    b.close()
    assert heap.stats().keys == 0


def test_a_sandbox_that_is_dropped_leaves_nothing(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    block = heap.allocate(64)
    for _ in range(50):
        sandbox = tmebox.Sandbox(guest, heap=heap)
        assert sandbox.alloc(64) and sandbox.alloc(10_000)
        heap.transfer(block, to=sandbox)
        sandbox.poke8(block, 1)
        del sandbox
    gc.collect()
    assert heap.stats().keys == 0
    assert heap.stats().block_bytes == 64
    assert block.owner is None


def test_keys_are_used_again_the_oldest_first(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    keys = []
    for _ in range(40):
        with tmebox.Sandbox(guest, heap=heap) as sandbox:
            keys.append(sandbox.key_id)
    assert len(set(keys)) == 40
    assert 0 not in keys


def test_a_window_that_is_used_again_shows_nothing_of_before(
    heap: tmebox.SharedHeap, guest: tmebox.Module
) -> None:
    for _ in range(20):
        with tmebox.Sandbox(guest, heap=heap) as a:
            array = heap.array(PAGE, owner=a)
            offset = heap.offset_of(array)
            a.poke8(array.view("u8"), 1)
        with tmebox.Sandbox(guest, heap=heap) as b:
            assert violation(b.peek8, offset).owner_key_id == 0


def test_windows_of_one_heap_are_not_used_for_another(guest: tmebox.Module) -> None:
    for _ in range(10):
        with tmebox.SharedHeap("1MiB") as heap, tmebox.Sandbox(guest, heap=heap) as a:
            array = heap.array(PAGE, owner=a)
            a.poke8(array.view("u8"), 1)
        with tmebox.Sandbox(guest) as plain, pytest.raises(tmebox.MemoryFault) as caught:
            plain.peek8(abi.SHARED_START)
        assert not isinstance(caught.value, tmebox.IntegrityViolation)


def test_a_snapshot_is_refused_while_code_has_blocks(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    with tmebox.Sandbox(guest, heap=heap) as a:
        array = heap.array(PAGE, owner=a)
        made = a.alloc(64)
        with pytest.raises(tmebox.SnapshotError, match="shared heap"):
            a.snapshot()
        assert a.release(made) == 0
        snapshot = a.snapshot()
        assert heap.owner_of(array) is a
    with snapshot.spawn() as plain:
        assert plain.heap is None
        assert plain.alloc(64) == 0
    with snapshot.spawn(heap=heap, heap_limit=64) as other:
        assert other.alloc(64) != 0
        assert other.alloc(64) == 0


def test_run_in_another_window_keeps_what_the_host_gave(heap: tmebox.SharedHeap) -> None:
    program = tmebox.compile(source_text="int main(void) { return 7; }\n")
    with tmebox.Sandbox(program, heap=heap) as sandbox:
        array = heap.array(PAGE, owner=sandbox)
        assert sandbox.run().exit_code == 7
        assert sandbox.run().exit_code == 7
        assert heap.owner_of(array) is sandbox


STATE_C = "int state; int main(void) { return 7; }\nint set(void) { return ++state; }\n"


def test_run_of_what_was_spawned_begins_with_another_key(heap: tmebox.SharedHeap) -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=STATE_C), heap=heap) as first:
        first.set()
        snapshot = first.snapshot()
    with snapshot.spawn(heap=heap) as sandbox:
        array, key = heap.array(PAGE, owner=sandbox), sandbox.key_id
        array[:] = 3
        assert sandbox.run().exit_code == 7
        assert sandbox.key_id not in (0, key)
        assert heap.owner_of(array) is None
        heap.transfer(array, to=sandbox)
        assert heap.owner_of(array) is sandbox
        assert array.min() == 3


def test_closing_the_heap_takes_it_from_all(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    (a,) = sandboxes(1)
    array, block = heap.array(PAGE, owner=a), heap.allocate(64, owner=a)
    a.poke(array, 4)
    heap.close()
    heap.close()
    assert heap.closed
    assert array[0] == 4
    assert violation(a.peek, array).owner_key_id == 0
    a.reset()
    uses: list[Callable[[], Any]] = [
        lambda: heap.allocate(1), lambda: heap.array(1), lambda: heap.free(block), heap.map,
        lambda: heap.revoke(array), block.read, lambda: block.owner, heap.stats,
        lambda: heap.transfer(array, to=a),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(tmebox.SandboxClosed, match="heap was closed"):
            use()
    with pytest.raises(tmebox.SandboxClosed, match="heap"):
        tmebox.Sandbox(a.module, heap=heap)
    array[:] = 5


def test_arrays_outlive_the_heap(touching: tmebox.Module) -> None:
    heap = tmebox.SharedHeap("1MiB")
    with tmebox.Sandbox(touching, heap=heap) as a:
        array = heap.array(PAGE, owner=a)
        a.fill(array, PAGE, 6)
    heap.close()
    del heap
    gc.collect()
    assert (array == 6).all()


def test_a_forked_child_has_zeros_and_nothing_to_use(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes, forked: Forked
) -> None:
    a, b = sandboxes(2)
    array, block = heap.array(PAGE, owner=a), heap.allocate(64, owner=a)
    a.fill(array, PAGE, 3)

    def child() -> int:
        assert not array.any()
        array[:] = 9
        uses: list[Callable[[], Any]] = [
            lambda: heap.allocate(1), lambda: heap.free(block), lambda: heap.transfer(array, to=b),
            block.read, lambda: a.peek(array), lambda: heap.array(1),
            lambda: tmebox.Sandbox(a.module, heap=heap),
        ]  # fmt: skip
        for use in uses:
            with pytest.raises(tmebox.SandboxClosed, match=r"forked from|another process"):
                use()
        a.close()
        with tmebox.SharedHeap("1MiB") as own, tmebox.Sandbox(a.module, heap=own) as sandbox:
            mine = own.array(PAGE, owner=sandbox)
            sandbox.fill(mine, PAGE, 1)
            return int(mine.sum())

    assert forked(child).result() == PAGE
    assert (array == 3).all()
    assert a.sum(array, PAGE) == 3 * PAGE


def test_the_first_heap_of_a_forked_child_has_the_views_that_its_parents_has(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes, forked: Forked
) -> None:
    """Before the child has any sandbox of its own. Without views everything works, and is slow."""
    sandboxes(1)
    has_views = tmebox.SharedHeap("1MiB").backend

    def child() -> str:
        return str(tmebox.SharedHeap("1MiB").backend)

    assert forked(child).result() == has_views


def test_shared_blocks_have_members_with_rights(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b, c = sandboxes(3)
    array = heap.array((2, PAGE), owner=a)
    a.fill(array, array.size, 1)
    heap.share(array, {a: "rw", b: "r"})
    assert heap.owner_of(array) == {a: "rw", b: "r"}
    a.poke(array, 2)
    assert b.peek(array) == 2
    assert b.sum(array, array.size) == array.size + 1
    stopped = violation(b.poke, array, 3)
    assert stopped.access == "write"
    assert stopped.owner_key_id not in (0, a.key_id, b.key_id)
    b.reset()
    assert b.peek(array) == 2
    violation(c.peek, array)
    c.reset()
    heap.share(array, {c: "r"})
    assert c.peek(array) == 2
    for one in (a, b):
        violation(one.peek, array)
        one.reset()
    heap.transfer(array, to=b)
    b.poke(array, 4)
    violation(c.peek, array)
    assert heap.stats().keys == 3


def test_a_member_that_reads_first_cannot_write_later(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    array = heap.array(PAGE)
    heap.share(array, {a: "r", b: "rw"})
    assert a.peek(array) == 0
    b.poke(array, 5)
    assert a.peek(array) == 5
    violation(a.poke, array, 1)
    assert array[0] == 5


def test_members_that_close_leave(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    a, b = tmebox.Sandbox(guest, heap=heap), tmebox.Sandbox(guest, heap=heap)
    array = heap.array(1, "u8")
    heap.share(array, {a: "rw", b: "rw"})
    a.poke8(array, 1)
    b.poke8(array, 2)
    a.close()
    assert heap.owner_of(array) == {b: "rw"}
    assert b.peek8(array) == 2
    b.close()
    assert heap.owner_of(array) is None
    assert array[0] == 2
    assert heap.stats().keys == 0


def test_memory_reads_and_writes_what_is_the_sandboxs(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    a, b = sandboxes(2)
    mine = heap.allocate(128, owner=a, placement="dense")
    theirs = heap.allocate(64, owner=b, placement="dense")
    start = mine.offset
    assert theirs.offset == start + 128
    a.memory.write(start + 100, b"end\0")
    assert a.memory.read(start + 100, 4) == b"end\0"
    assert a.memory.string(start + 100) == b"end"
    assert mine.read(100, 3) == b"end"
    mine.write(bytes([1]) * 128)
    bad: list[Callable[[], Any]] = [
        lambda: a.memory.read(start + 127, 2), lambda: a.memory.write(start + 120, bytes(16)),
        lambda: a.memory.read(start + 128, 1), lambda: a.memory.string(start),
        lambda: a.memory.read(abi.SHARED_START + heap.size_bytes - 1, 2),
        lambda: a.memory.read(abi.SHARED_END - 1, 1), lambda: a.memory.read(start, -1),
        lambda: a.memory.read(start, 1 << 62), lambda: a.memory.view(start, 1),
    ]  # fmt: skip
    for use in bad:
        with pytest.raises(tmebox.BadPointer):
            use()
    assert mine.read() == bytes([1]) * 128
    array = heap.array(PAGE)
    heap.share(array, {a: "r"})
    assert a.memory.read(heap.offset_of(array), 10) == bytes(10)
    with pytest.raises(tmebox.BadPointer):
        a.memory.write(heap.offset_of(array), b"1")


OUT_C = r"""
#include <errno.h>
#include <unistd.h>
long out(const char *p, unsigned long size) { long n = write(1, p, size); return n < 0 ? -errno : n; }
"""


def test_system_calls_reach_own_lines_only(heap: tmebox.SharedHeap) -> None:
    program = tmebox.compile(source_text=OUT_C)
    written: list[bytes] = []
    with (
        tmebox.Sandbox(program, heap=heap, stdout=written.append) as a,
        tmebox.Sandbox(program, heap=heap) as b,
    ):
        mine = heap.allocate(64, owner=a, placement="dense")
        theirs = heap.allocate(64, owner=b, placement="dense")
        mine.write(b"hello")
        theirs.write(b"secret")
        assert a.out(mine.offset, 5) == 5
        assert a.out(theirs.offset, 6) == -14
        assert a.out(mine.offset, 65) == -14
        assert b"".join(written) == b"hello"


def test_a_heap_is_used_by_threads_at_once(heap: tmebox.SharedHeap, guest: tmebox.Module) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with tmebox.Sandbox(guest, heap=heap) as sandbox:
                for _ in range(50):
                    sandbox.churn(200, 64)
                    block = heap.allocate(100, owner=sandbox)
                    sandbox.poke8(block, 1)
                    assert block.read(0, 1) == b"\x01"
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert heap.stats().block_bytes == 0
