"""Heaps that are made dense while others use them: no lock is held while pages go back to the system."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import WAYS, Sandboxes
from tmebox import abi

PAGE, LINE = abi.PAGE_SIZE, abi.SHARED_LINE
SECRET = 0x5EC12E75EC12E7
Forked = Callable[..., ChildOutcome]


@contextmanager
def compacting(heap: tmebox.SharedHeap) -> Iterator[list[int]]:
    """Over and over, on another thread; what is yielded has how many pages went back each time."""
    over, pages, errors = threading.Event(), list[int](), list[BaseException]()

    def work() -> None:
        try:
            while not over.is_set():
                pages.append(heap.compact()[0])
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield pages
    finally:
        over.set()
        thread.join(60)
    assert not thread.is_alive()
    assert not errors


def sparse(heap: tmebox.SharedHeap, owners: tuple[tmebox.Sandbox | None, ...]) -> list[tmebox.Block]:
    """A third of 3,000 blocks; each begins with SECRET and its number."""
    chosen = random.Random(2)
    blocks = [
        heap.allocate(chosen.randint(64, 512), owners[i % len(owners)], movable=True) for i in range(3000)
    ]
    kept = chosen.sample(blocks, 1000)
    for number, block in enumerate(kept):
        block.write(SECRET.to_bytes(8, "little") + number.to_bytes(8, "little"))
    return kept


@pytest.mark.parametrize("processors", [1, 2])
def test_pages_that_go_back_meanwhile_are_there_for_who_allocates(forked: Forked, processors: int) -> None:
    """All of the heap is free or on its way, again and again. On one processor there is no second thread."""
    everything = os.sched_getaffinity(0)
    if len(everything) < processors:
        pytest.skip("needs two processors")

    def child() -> bool:
        os.sched_setaffinity(0, set(sorted(everything)[:processors]))
        went = 0
        with tmebox.SharedHeap("8MiB") as heap:
            until = time.monotonic() + 20
            with compacting(heap) as pages:
                while went < 40 and time.monotonic() < until:
                    array = heap.array(heap.size_bytes)
                    assert not array[::PAGE].any()
                    array[::PAGE] = 1
                    del array
                    went = sum(1 for count in pages if count)
        return went > 0

    assert forked(child, timeout_s=60.0).result()


def test_blocks_are_written_and_freed_while_they_are_moved(
    heap: tmebox.SharedHeap, sandboxes: Sandboxes
) -> None:
    a, b = sandboxes(2)
    chosen = random.Random(3)
    for _ in range(2):
        kept = sparse(heap, (a, b, None))
        with compacting(heap):
            for number, block in enumerate(kept):
                assert block.read(8, 8) == number.to_bytes(8, "little")
                block.write((number ^ 0xFFFF).to_bytes(8, "little"), 8)
                if chosen.random() < 0.3:
                    heap.transfer(block, to=(a, b)[number % 2])
            for block in kept[::2]:
                heap.free(block)
        rest = list(enumerate(kept))[1::2]
        assert all(block.read(8, 8) == (number ^ 0xFFFF).to_bytes(8, "little") for number, block in rest)
        for number, block in rest[::20]:
            owner = block.owner
            if owner is not None:
                assert owner.peek8(block) == SECRET, number
        del kept, rest, block
    assert heap.stats().block_bytes == 0


def test_nobody_sees_what_is_moved_past_it(heap: tmebox.SharedHeap, sandboxes: Sandboxes) -> None:
    """It has a line in each page, and looks at the lines around those while others' blocks come there."""
    spy, a, b = sandboxes(3)
    lines = [heap.allocate(64, owner=spy, placement="dense")]
    kept = []
    for number in range(40):
        kept += sparse(heap, (a, b))[number::40]
        lines.append(heap.allocate(64, owner=spy, placement="dense"))
    chosen, seen, trapped = random.Random(4), set(), 0
    with compacting(heap):
        for _ in range(600):
            at = chosen.choice(lines).offset // PAGE * PAGE + LINE * chosen.randrange(64)
            try:
                seen.add(spy.peek8(at))
            except tmebox.IntegrityViolation:
                trapped += 1
                spy.reset()
    assert seen <= {0}
    assert trapped
    assert all(block.read(0, 8) == SECRET.to_bytes(8, "little") for block in kept)


def test_several_threads_compact_and_one_closes_the_heap(forked: Forked) -> None:
    def child() -> bool:
        for way in WAYS.values():
            heap = tmebox.SharedHeap("16MiB", **way)
            kept = sparse(heap, (None,))

            def work(heap: tmebox.SharedHeap = heap) -> None:
                with suppress(tmebox.SandboxClosed):
                    while True:
                        heap.compact()

            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(0.1)
            heap.close()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)
            del kept
        return True

    assert forked(child, timeout_s=120.0).result()


def test_a_child_that_is_forked_in_the_middle_can_go(forked: Forked) -> None:
    heap = tmebox.SharedHeap("8MiB")
    with compacting(heap):
        for _ in range(5):
            array = heap.array(heap.size_bytes)
            array[::PAGE] = 1
            del array

            def child() -> str:
                with pytest.raises(tmebox.SandboxClosed):
                    heap.compact()
                with tmebox.SharedHeap("1MiB") as own:
                    own.array(own.size_bytes)[::PAGE] = 1
                    return f"{own.compact()[0]} pages"

            assert forked(child, timeout_s=30.0).result() == "256 pages"
