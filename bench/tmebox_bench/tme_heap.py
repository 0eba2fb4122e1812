"""What a shared heap in the model's memory costs: a first touch, code on pages that verified, one access on
the side."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import tmebox
from tmebox._native import time_detections
from tmebox_bench.statistics import Spread, spread

PAGE = 4096
PAGES = 2048
ROUNDS = 7
WARM_PASSES = 40
SIDE_ACCESSES = 20_000
CAUGHT = 1000
SIDE_ACCESSES_EACH_SECOND = 0.15e6

SOURCE = """
unsigned long touch(const volatile unsigned char *p, unsigned long pages)
{
    unsigned long all = 0;
    for (unsigned long i = 0; i < pages; i++)
        all += p[4096 * i];
    return all;
}
unsigned long sum(const unsigned long *p, unsigned long count, unsigned long passes)
{
    unsigned long all = 0;
    for (unsigned long pass = 0; pass < passes; pass++)
        for (unsigned long i = 0; i < count; i++)
            all = (all ^ p[i]) * 31;
    return all;
}
static const volatile unsigned char *aimed_at;
void aim(const unsigned char *p) { aimed_at = p; }
void shoot(void) { (void)*aimed_at; }
void look(const volatile unsigned char *p, unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        (void)*p;
}
"""

Row = tuple[str, str, Spread, float | None]
"""What, of what one, nanoseconds, and what they must not exceed."""


def measure() -> list[Row]:
    """Six rows."""
    module = tmebox.compile(source_text=SOURCE)
    with ExitStack() as stack:
        heaps = {
            name: stack.enter_context(tmebox.SharedHeap("16MiB", backend=name)) for name in ("mmu", "model")
        }
        boxes = {name: stack.enter_context(tmebox.Sandbox(module, heap=heap)) for name, heap in heaps.items()}
        warm = _warm(heaps, boxes)
        encrypted = heaps["model"], boxes["model"]
        cold, aside = _cold(*encrypted), _side(stack, module, *encrypted)
        detected, caught = _detected(stack, module, *encrypted)
        return [
            ("first touch of a page, verified and decrypted", "page", cold, 15_000.0),
            ("sandboxed code on page tables' pages", "word", warm["mmu"], None),
            ("the same code on pages that verified", "word", warm["model"], 1.05 * warm["mmu"].median),
            ("one access on the side, verified", "access", aside, None),
            ("a wrong key's access found", "access", detected, 1e9 / SIDE_ACCESSES_EACH_SECOND),
            ("the same as an exception, and the sandbox reset", "access", caught, None),
        ]


def _timed(work: Callable[[], Any]) -> int:
    began = time.thread_time_ns()
    work()
    return time.thread_time_ns() - began


def _cold(heap: tmebox.SharedHeap, sandbox: Any) -> Spread:
    """The fault, and grants that double, included."""
    block = heap.allocate(PAGES * PAGE, sandbox)
    samples = []
    for _ in range(ROUNDS):
        heap.flush()
        samples.append(_timed(lambda: sandbox.touch(block, PAGES)) / PAGES)
    heap.free(block)
    return spread(samples)


def _warm(heaps: dict[Any, tmebox.SharedHeap], boxes: dict[Any, Any]) -> dict[str, Spread]:
    """In turns, since others use the processor too. 256 KiB, in the second-level cache."""
    count = 64 * PAGE // 8
    blocks = {name: heap.allocate(8 * count, boxes[name]) for name, heap in heaps.items()}
    samples: dict[str, list[float]] = {name: [] for name in heaps}
    for _ in range(2 * ROUNDS):
        for name, block in blocks.items():
            boxes[name].sum(block, count, 1)
            took = _timed(lambda name=name, block=block: boxes[name].sum(block, count, WARM_PASSES))  # type: ignore[misc]
            samples[name].append(took / count / WARM_PASSES)
    return {name: spread(found) for name, found in samples.items()}


def _side(stack: ExitStack, module: tmebox.Module, heap: tmebox.SharedHeap, sandbox: Any) -> Spread:
    """A read in a page of two owners: fault, table, decryption, the access, and encryption again."""
    other = stack.enter_context(tmebox.Sandbox(module, heap=heap))
    mine = heap.allocate(64, sandbox, placement="dense")
    theirs = heap.allocate(64, other, placement="dense")
    sandbox.look(mine, 1)
    samples = [_timed(lambda: sandbox.look(mine, SIDE_ACCESSES)) / SIDE_ACCESSES for _ in range(ROUNDS)]
    heap.free(theirs)
    return spread(samples)


def _detected(
    stack: ExitStack, module: tmebox.Module, heap: tmebox.SharedHeap, sandbox: Any
) -> tuple[Spread, Spread]:
    """Reads of another's line, in a page of two owners: each enters the sandbox, faults, is refused by the
    table, is asked of DRAM under the wrong key, is found there, and leaves the sandbox. Then, the same with
    what Python makes of it."""
    other = stack.enter_context(tmebox.Sandbox(module, heap=heap))
    mine = heap.allocate(64, sandbox, placement="dense")
    theirs = heap.allocate(64, other, placement="dense")
    shoot = sandbox.shoot
    sandbox.aim(theirs.offset)
    samples = []
    for _ in range(ROUNDS):
        seconds, found = time_detections(shoot, SIDE_ACCESSES)
        if found != SIDE_ACCESSES:
            raise RuntimeError(f"{found} of {SIDE_ACCESSES} accesses with a wrong key were found")
        samples.append(1e9 * seconds / SIDE_ACCESSES)
    detected, samples = spread(samples), []
    offset = theirs.offset

    def caught() -> None:
        for _ in range(CAUGHT):
            try:
                sandbox.look(offset, 1)
            except tmebox.IntegrityViolation:
                sandbox.reset()
            else:
                raise RuntimeError("an access with a wrong key was not found")

    samples = [_timed(caught) / CAUGHT for _ in range(ROUNDS)]
    heap.machine.machine_checks.clear()
    heap.free(theirs)
    heap.free(mine)
    return detected, spread(samples)
