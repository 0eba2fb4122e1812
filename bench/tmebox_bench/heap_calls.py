"""What allocating, handing over and compacting costs in a shared heap."""

from __future__ import annotations

import ctypes
import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import tmebox
from tmebox_bench.heap_code import PAGE, SOURCE, cpu_ns
from tmebox_bench.heap_row import Row
from tmebox_bench.statistics import Spread, spread

CALLS = 20_000
LARGE = 64 << 20
COMPACTED = 256 << 20
FILLED = 0.3
SLACK = 1 << 20  # the last thousand blocks may be too many
SIZES = 64, 512


def allocations() -> Iterator[Row]:
    module = tmebox.compile(source_text=SOURCE)
    with tmebox.SharedHeap("16MiB") as heap, tmebox.Sandbox(module, heap=heap) as sandbox:
        for size, name, core in ((64, "64 B", 60.0), (PAGE, "4 KiB", 90.0)):
            heap.repeat(size, CALLS)
            found = cpu_ns(lambda size=size: heap.repeat(size, CALLS), CALLS)  # type: ignore[misc]
            yield Row(f"allocate, zero and free {name}, core", "ns", found, core)
            sandbox.churn(CALLS, size)
            found = cpu_ns(lambda size=size: sandbox.churn(CALLS, size), CALLS)  # type: ignore[misc]
            yield Row(f"the same from sandboxed C, {name}", "ns", found, 120.0)
            found = cpu_ns(lambda size=size: _churn(heap, sandbox, size, CALLS // 4), CALLS // 4)  # type: ignore[misc]
            yield Row(f"the same from Python, {name}", "ns", found, 1000.0)


def _churn(heap: tmebox.SharedHeap, sandbox: tmebox.Sandbox, size: int, times: int) -> None:
    allocate, free = heap.allocate, heap.free
    for _ in range(times):
        free(allocate(size, sandbox))


def transfers() -> Iterator[Row]:
    """Between two sandboxes that both touch what they get."""
    module = tmebox.compile(source_text=SOURCE)
    with (
        tmebox.SharedHeap(2 * LARGE) as heap,
        tmebox.Sandbox(module, heap=heap) as one,
        tmebox.Sandbox(module, heap=heap) as other,
    ):
        for size, name, times, must in ((PAGE, "1 page", 4000, 4e3), (1 << 20, "1 MiB", 400, 80e3)):
            array = _touched(heap, one, other, size)
            found = cpu_ns(
                lambda array=array, times=times: _to_and_fro(heap, array, one, other, times),  # type: ignore[misc]
                2 * times,
            )
            yield Row(f"transfer {name}, granted at once", "ns", found, must)
        yield from _large(heap, one, other)


def _large(heap: tmebox.SharedHeap, one: Any, other: Any) -> Iterator[Row]:
    """All of it is present with its owner, before. Beside it memcpy from one array to another, of heaps too.
    The second row has what it costs the next owner to touch all of it."""
    array = _touched(heap, one, other, LARGE)
    target, source = (tmebox.SharedHeap(LARGE).array(LARGE) for _ in range(2))
    target[:] = source[:] = 1
    to, origin = target.ctypes.data, source.ctypes.data
    found, touching = [], []
    for number in range(8):
        owner = (one, other)[number % 2]
        began = time.thread_time_ns()
        heap.transfer(array, to=owner)
        handed = time.thread_time_ns()
        owner.touch(array, LARGE)
        touched = time.thread_time_ns()
        ctypes.memmove(to, origin, LARGE)
        copied = time.thread_time_ns()
        owner.touch(array, LARGE)
        again = time.thread_time_ns() - copied
        found.append((handed - began) / (copied - touched))
        touching.append((touched - began - again) / (copied - touched))
    yield Row("transfer 64 MiB, over memcpy", "×", spread(found), 0.6)
    yield Row("the same, and the next owner's first touch of every page", "×", spread(touching))


def _touched(heap: tmebox.SharedHeap, one: Any, other: Any, size: int) -> Any:
    array = heap.array(size, owner=one)
    one.fill(array, size)
    heap.transfer(array, to=other)
    other.fill(array, size)
    return array


def _to_and_fro(heap: tmebox.SharedHeap, array: Any, one: Any, other: Any, times: int) -> None:
    for _ in range(times):
        heap.transfer(array, to=one)
        heap.transfer(array, to=other)


def crossover() -> tuple[tuple[int, float, float], ...]:
    """For each size in bytes: nanoseconds to hand it over and to copy it."""
    module = tmebox.compile(source_text=SOURCE)
    rows = []
    with (
        tmebox.SharedHeap(LARGE) as heap,
        tmebox.Sandbox(module, heap=heap) as one,
        tmebox.Sandbox(module, heap=heap) as other,
    ):
        for size in (PAGE << power for power in range(14) if PAGE << power <= LARGE // 2):
            times = max(2, min(2000, (32 << 20) // size))
            array = _touched(heap, one, other, size)

            def hand_over(array: Any = array, times: int = times) -> None:
                _to_and_fro(heap, array, one, other, times)

            handed = cpu_ns(hand_over, 2 * times, 5)
            source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)

            def copy(source: Any = source, target: Any = target, times: int = times) -> None:
                for _ in range(2 * times):
                    target[:] = source

            rows.append((size, handed.median, cpu_ns(copy, 2 * times, 5).median))
    return tuple(rows)


def compaction() -> Iterator[Row]:
    """Blocks of several owners, of which most are freed here and there. Giving pages back is measured in
    heaps of its own: once blocks are together, there is nothing to move any more. Elapsed, since two threads
    take part in it."""
    module = tmebox.compile(source_text=SOURCE)
    back, rates, elapsed, busy = [], [], [], []
    for seed in range(6):
        with tmebox.SharedHeap(COMPACTED + (COMPACTED >> 4) + SLACK) as heap:
            owners = [tmebox.Sandbox(module, heap=heap) for _ in range(4)]
            kept = _sparse(heap, owners, random.Random(seed // 2))
            before = heap.stats()
            processor, began = time.process_time_ns(), time.perf_counter_ns()
            pages, moved = heap.compact_heap(seed % 2 == 1)
            end, processor = time.perf_counter_ns(), time.process_time_ns() - processor
            if seed % 2 == 0:
                rates.append(moved / processor * 1e9)
            else:
                elapsed.append(moved / (end - began) * 1e9)
                busy.append(moved / processor * 1e9)
                back.append(pages / (before.resident_bytes / PAGE))
            del kept
            for owner in owners:
                owner.close()
    yield Row("compaction, pages given back", "%", _percent(back), 60.0, at_least=True)
    yield Row("compaction, bytes moved, without giving pages back", "B/s", spread(rates))
    yield Row("compaction, bytes moved, elapsed, with it", "B/s", spread(elapsed), 1e9, at_least=True)
    yield Row("the same in processor time of both threads", "B/s", spread(busy))


def _sparse(heap: tmebox.SharedHeap, owners: list[tmebox.Sandbox], chosen: random.Random) -> list[Any]:
    """The blocks that are left of COMPACTED bytes."""
    kept: list[Any] = []
    size = 0
    while size < COMPACTED:
        blocks = [
            heap.allocate(chosen.randint(*SIZES), owners[number % 4], movable=True) for number in range(1000)
        ]
        size += sum(block.size for block in blocks)
        kept += chosen.sample(blocks, int(1000 * FILLED))
    return kept


def _percent(parts: list[float]) -> Spread:
    return spread(100 * part for part in parts)
