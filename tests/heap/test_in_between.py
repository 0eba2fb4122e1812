"""What happens in the middle of something else: shares that change under a writer, limits that are met,
forks while pages are carried, finalizers on other threads."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from functools import partial

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import Sandboxes, violation
from tests.heap.test_races import started, wait_until, written
from tmebox import abi

PAGE = abi.PAGE_SIZE
Forked = Callable[..., ChildOutcome]


@pytest.mark.parametrize("after", ["less", "others", "none"])
def test_a_member_that_reads_stops_when_it_is_none_any_more(
    heap: tmebox.SharedHeap, running: tmebox.Module, after: str
) -> None:
    with (
        tmebox.Sandbox(running, heap=heap, timeout=20) as a,
        tmebox.Sandbox(running, heap=heap, timeout=20) as b,
    ):
        for _ in range(20 if heap.backend == "mmu" else 3):
            block = heap.array(3 * PAGE, owner=a)
            heap.share(block, {a: "rw", b: "rw"})
            words = block.view("u8")
            thread, raised = started(b.write_on, words, 8)
            wait_until(partial(written, words, 8))
            if after == "less":
                heap.share(block, {a: "rw", b: "r"})
            elif after == "others":
                heap.share(block, {a: "rw"})
            else:
                heap.revoke(block)
            seen = words.copy()
            thread.join()
            assert (words == seen).all()
            assert isinstance(raised[0], tmebox.IntegrityViolation)
            assert raised[0].access == "write"
            b.reset()
            heap.free(block)


def test_a_transfer_over_the_limit_changes_nothing(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    """Of many pages, small blocks and shared ones."""
    (a,) = sandboxes(1)
    (b,) = sandboxes(1, heap_limit=40 * PAGE)
    array, block = heap.array(100 * PAGE, owner=a), heap.allocate(64, owner=a)
    mine = heap.array(40 * PAGE, owner=b)
    a.poke(array[70 * PAGE :], 7)
    b.poke(mine, 1)
    for thing in (array, block):
        with pytest.raises(tmebox.LimitError):
            heap.transfer(thing, to=b)
        assert heap.owner_of(thing) is a
        a.poke(thing, 9)
    assert a.peek(array[70 * PAGE :]) == 7
    violation(b.peek, array)
    b.reset()
    heap.share(mine, {a: "r", b: "rw"})  # a domain's lines are nobody's, so now it fits
    heap.transfer(block, to=b)
    with pytest.raises(tmebox.LimitError):
        heap.transfer(mine, to=b)
    b.poke(mine, 2)
    assert a.peek(mine) == 2


def test_forks_while_pages_are_carried(touching: tmebox.Module, forked: Forked) -> None:
    """The child has a heap of its own, in windows of its own."""
    with (
        tmebox.SharedHeap("16MiB") as heap,
        tmebox.Sandbox(touching, heap=heap) as a,
        tmebox.Sandbox(touching, heap=heap) as b,
    ):
        array = heap.array(200 * PAGE, owner=a)
        a.fill(array, array.size, 6)
        ended = threading.Event()

        def carry() -> None:
            while not ended.is_set():
                heap.transfer(array, to=b)
                heap.transfer(array, to=a)

        def child() -> bool:
            for _ in range(3):
                with (
                    tmebox.SharedHeap("16MiB") as own,
                    tmebox.Sandbox(touching, heap=own) as c,
                    tmebox.Sandbox(touching, heap=own) as d,
                ):
                    mine = own.array(100 * PAGE, owner=c)
                    c.fill(mine, mine.size, 2)
                    own.transfer(mine, to=d)
                    assert d.sum(mine, mine.size) == 2 * mine.size
                    violation(c.peek, mine)
            with pytest.raises(tmebox.SandboxClosed):
                a.peek(heap.offset_of(array))
            return not array.any()

        thread = threading.Thread(target=carry)
        thread.start()
        try:
            for _ in range(5):
                assert forked(child).result()
        finally:
            ended.set()
            thread.join()
        assert a.sum(array, array.size) == 6 * array.size


def test_last_references_go_on_other_threads_while_owners_run(
    heap: tmebox.SharedHeap, running: tmebox.Module
) -> None:
    """Finalizers only queue: the heap's next use frees, and who ran there traps."""
    with tmebox.Sandbox(running, heap=heap, timeout=20) as a, tmebox.Sandbox(running, heap=heap) as b:
        for _ in range(10 if heap.backend == "mmu" else 3):
            block = heap.allocate(2 * PAGE, owner=a)
            holders = [[block], [block]]
            offset = block.offset
            thread, raised = started(a.write_on, offset, 64)
            wait_until(partial(_has_begun, block))
            del block
            for holder in holders:
                dropping = threading.Thread(target=holder.clear)
                dropping.start()
                dropping.join()
            gc.collect()
            other = heap.allocate(2 * PAGE, owner=b)
            thread.join()
            assert isinstance(raised[0], tmebox.IntegrityViolation)
            assert other.read() == bytes(2 * PAGE)
            heap.free(other)
            a.reset()


def _has_begun(block: tmebox.Block) -> bool:
    return any(block.read(64, 8))
