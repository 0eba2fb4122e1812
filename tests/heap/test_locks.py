"""The heap's locks where more threads want them than there are processors: everybody gets on."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.heap.conftest import RUNNER_C, violation
from tests.heap.test_races import started, wait_until

Forked = Callable[..., ChildOutcome]
THREADS = 6
TRANSFERS = 500
TURN_C = """
void take_turns(volatile unsigned long *p, unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        *p = i;
}
"""


def test_the_host_gets_on_beside_sandboxes_that_never_stop(forked: Forked) -> None:
    """All in one mixed page, on one processor."""

    def child() -> int:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        module = tmebox.compile(source_text=RUNNER_C)
        with tmebox.SharedHeap("1MiB", placement="dense") as heap, ExitStack() as stack:
            boxes = [
                stack.enter_context(tmebox.Sandbox(module, heap=heap, timeout=100)) for _ in range(THREADS)
            ]
            blocks = [heap.allocate(64, owner=box) for box in boxes]
            spare = heap.allocate(64, owner=boxes[0])
            runs = [started(box.write_on, block, 1) for box, block in zip(boxes, blocks, strict=True)]
            for number in range(TRANSFERS):
                heap.transfer(spare, to=boxes[number % THREADS])
            for block in blocks:
                before = block.read(0, 8)
                wait_until(lambda block=block, before=before: block.read(0, 8) != before)  # type: ignore[misc]
            for block, (thread, raised) in zip(blocks, runs, strict=True):
                heap.revoke(block)
                thread.join()
                assert isinstance(raised[0], tmebox.IntegrityViolation)
            return int(heap.stats().transfers)

    assert forked(child, timeout_s=100.0).result() == TRANSFERS - 1 + THREADS


def test_threads_share_a_page_and_all_end(forked: Forked) -> None:
    def child() -> int:
        module = tmebox.compile(source_text=TURN_C)
        with tmebox.SharedHeap("1MiB", placement="dense") as heap, ExitStack() as stack:
            boxes = [
                stack.enter_context(tmebox.Sandbox(module, heap=heap, timeout=100)) for _ in range(THREADS)
            ]
            blocks = [heap.allocate(64, owner=box) for box in boxes]
            threads = [
                threading.Thread(target=box.take_turns, args=(block, 5_000))
                for box, block in zip(boxes, blocks, strict=True)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            violation(boxes[0].take_turns, blocks[1], 1)
            return sum(int.from_bytes(block.read(0, 8), "little") for block in blocks)

    assert forked(child, timeout_s=100.0).result() == 4_999 * THREADS


@pytest.mark.parametrize("call", ["transfer", "share"])
@pytest.mark.parametrize("stranger", ["closed", "another heap's"])
def test_an_exception_is_made_without_the_heaps_lock(forked: Forked, call: str, stranger: str) -> None:
    """In Python 3.10 and 3.11 making one may collect garbage, and a collected sandbox wants the lock."""

    module = tmebox.compile(source_text=RUNNER_C)

    def collect_at_every_moment() -> bool:
        heap, other = tmebox.SharedHeap("1MiB"), tmebox.SharedHeap("1MiB")
        owner = tmebox.Sandbox(module, heap=heap)
        wrong = tmebox.Sandbox(module, heap=heap if stranger == "closed" else other)
        block = heap.allocate(64, owner=owner, shareable=True)
        if stranger == "closed":
            wrong.close()
        gc.freeze()
        for moment in range(1, 30):
            gc.disable()
            gc.collect()
            circle: list[object] = [tmebox.Sandbox(module, heap=heap)]
            circle.append(circle)
            del circle
            gc.set_threshold(gc.get_count()[0] + moment)
            gc.enable()
            try:
                raise KeyError
            except KeyError:
                with suppress(tmebox.SandboxClosed, ValueError):
                    if call == "transfer":
                        heap.transfer(block, wrong)
                    else:
                        heap.share(block, {owner: "rw", wrong: "r"})
        gc.disable()
        return True

    assert forked(collect_at_every_moment).result()
