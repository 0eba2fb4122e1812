"""What sandboxed code's accesses to a shared heap cost: pages of its own, mixed ones, and a revocation."""

from __future__ import annotations

import mmap
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import tmebox
from tmebox_bench.heap_code import PAGE, SOURCE, cpu_ns, side_by_side
from tmebox_bench.heap_row import Row
from tmebox_bench.peers import compile_host
from tmebox_bench.statistics import Spread, spread

REVOCATIONS = 2000
PLACEMENTS = 9
WORDS = 64 * PAGE // 8
PASSES = 30
ACCESSES = 20_000
FORMS = {"read_often": ("a read", 0), "write_often": ("a write", 1), "add_often": ("an addition", 1),
         "multiply_often": ("a multiplication of doubles", 0)}  # fmt: skip
"""What each does in a mixed page, and which of sigbus.c's two figures it is compared to."""


def revocations() -> Iterator[Row]:
    """Of a page, and giving it back: with a second thread in sandboxed code, on another processor if there is
    one, over without."""
    module = tmebox.compile(source_text=SOURCE)
    with (
        tmebox.SharedHeap("1MiB") as heap,
        tmebox.Sandbox(module, heap=heap) as one,
        tmebox.Sandbox(module, heap=heap, timeout=600) as other,
        ExitStack() as stack,
    ):
        page, running = heap.array(PAGE, owner=one), heap.array(PAGE, owner=other)
        words = running.view("u8")
        one.fill(page, PAGE)
        before = os.sched_getaffinity(0)
        stack.callback(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(threading.get_native_id(), {max(before)})

        def turns() -> None:
            for _ in range(REVOCATIONS):
                heap.revoke(page)
                heap.transfer(page, to=one)

        alone, beside, bare_alone, bare_beside = [], [], [], []
        for _ in range(7):
            alone.append(cpu_ns(turns, REVOCATIONS, 1).median)
            bare_alone.append(_discards())
            words[0] = 0
            thread = threading.Thread(target=_elsewhere, args=(other, words, min(before)))
            thread.start()
            while not words[0]:
                pass
            beside.append(cpu_ns(turns, REVOCATIONS, 1).median)
            bare_beside.append(_discards())
            words[0] = (1 << 64) - 1
            while thread.is_alive():  # its addition may have come in between
                words[0] = (1 << 64) - 1
                thread.join(0.001)
        figures = list(zip(alone, beside, bare_alone, bare_beside, strict=True))
        yield Row("revoke and give back 1 page", "ns", spread(alone))
        yield Row("the same while another thread runs", "ns", spread(beside))
        yield Row(
            "revoke while another thread runs, over alone", "×", spread(b / a for a, b, _, _ in figures), 1.25
        )
        bare = spread(d / c for _, _, c, d in figures)
        yield Row("any madvise(MADV_DONTNEED) of 1 page while another thread runs, over alone", "×", bare)
        yield Row("what that takes longer then", "ns", spread(d - c for _, _, c, d in figures))
        without = spread((b - d + c) / a for a, b, c, d in figures)
        yield Row("revoke while another thread runs, without that, over alone", "×", without)


def _elsewhere(sandbox: Any, words: Any, processor: int) -> None:
    os.sched_setaffinity(threading.get_native_id(), {processor})
    sandbox.run_on(words)


def _discards() -> float:
    """Nanoseconds of a madvise that takes a page of memory away, which has been there: the system interrupts
    the other processors that run this process."""
    with mmap.mmap(-1, PAGE) as memory:
        taken = 0
        for _ in range(REVOCATIONS):
            memory[0] = 1
            began = time.thread_time_ns()
            memory.madvise(mmap.MADV_DONTNEED)
            taken += time.thread_time_ns() - began
    return taken / REVOCATIONS


def exclusive() -> Iterator[Row]:
    """The same code on pages of the heap, over pages of the sandbox's own; the median of placements."""
    module = tmebox.compile(source_text=SOURCE)
    found = []
    with tmebox.SharedHeap("64MiB") as heap, tmebox.Sandbox(module, heap=heap, memory="64MiB") as sandbox:
        kept: list[Any] = []
        for _ in range(PLACEMENTS):
            shared, private = heap.array(WORDS, "u8", owner=sandbox), sandbox.array(WORDS, "u8")
            kept += [shared, private, heap.array(PAGE), sandbox.array(PAGE)]
            for words in (shared, private):
                sandbox.work(words, WORDS, 2)
            ratio = side_by_side(
                lambda words=shared: sandbox.work(words, WORDS, PASSES),  # type: ignore[misc]
                lambda words=private: sandbox.work(words, WORDS, PASSES),  # type: ignore[misc]
                5,
            )
            found.append(ratio.median)
    yield Row("exclusive pages over private ones", "×", spread(found), 1.02)


def mixed() -> Iterator[Row]:
    """Accesses in a page of two owners, over a SIGBUS whose handler only skips the instruction."""
    bare = empty_sigbus()
    module = tmebox.compile(source_text=SOURCE)
    with (
        tmebox.SharedHeap("1MiB", placement="dense") as heap,
        tmebox.Sandbox(module, heap=heap) as one,
        tmebox.Sandbox(module, heap=heap) as other,
    ):
        mine, theirs = heap.allocate(64, one), heap.allocate(64, other)
        for kind, name in enumerate(("a read", "a write")):
            if bare is not None:
                yield Row(f"an empty SIGBUS, {name}", "/s", _rate(bare[kind]))
        for function, (name, kind) in FORMS.items():
            call = getattr(one, function)
            call(mine, 200)
            times = cpu_ns(lambda call=call: call(mine, ACCESSES), ACCESSES)  # type: ignore[misc]
            yield Row(f"{name} in a mixed page", "/s", _rate(times), 0.3e6, at_least=True)
            if bare is not None:
                over = bare[kind].median
                ratio = Spread(times.min / over, times.median / over, times.max / over)
                yield Row(f"{name} in a mixed page, over an empty SIGBUS", "×", ratio, 1.3)
        heap.free(theirs)


def _rate(times: Spread) -> Spread:
    return Spread(1e9 / times.max, 1e9 / times.median, 1e9 / times.min)


def empty_sigbus() -> tuple[Spread, Spread] | None:
    """Nanoseconds of one, by a read and by a write; None where there is no userfaultfd."""
    with tempfile.TemporaryDirectory(prefix="tmebox-") as folder, suppress(subprocess.CalledProcessError):
        program = Path(folder) / "sigbus"
        compile_host(["sigbus.c"], program)
        text = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout
        rows = [[float(word) for word in line.split()] for line in text.splitlines()]
        return spread(row[0] for row in rows), spread(row[1] for row in rows)
    return None
