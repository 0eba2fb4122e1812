"""The heap's locks where more threads want them than there are processors: everybody gets on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack

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
