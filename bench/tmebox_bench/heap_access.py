"""What sandboxed code's accesses to a shared heap cost: pages of its own, mixed ones, and a revocation."""

from __future__ import annotations

import mmap
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import tmebox
from tmebox_bench.heap_code import PAGE, SOURCE, cpu_ns, side_by_side
from tmebox_bench.heap_row import Row
from tmebox_bench.peers import compile_host
from tmebox_bench.statistics import Spread, spread

REVOCATIONS = 1920
REVOKED_PAGES = 64
REVOCATION_ROUNDS = 7
PLACEMENTS = 9
WORDS = 64 * PAGE // 8
PASSES = 30
ACCESSES = 20_000
FORMS = {"read_often": ("a read", 0), "write_often": ("a write", 1), "add_often": ("an addition", 1),
         "multiply_often": ("a multiplication of doubles", 0)}  # fmt: skip
"""What each does in a mixed page, and which of sigbus.c's two figures it is compared to."""


def revocations() -> Iterator[Row]:
    """Of pages that are present, one at a time, beside a bare madvise that takes such a page away: with a
    second thread in sandboxed code, on another processor if there is one, and without. Giving them back is
    apart."""
    module = tmebox.compile(source_text=SOURCE)
    with (
        tmebox.SharedHeap("1MiB") as heap,
        tmebox.Sandbox(module, heap=heap) as one,
        tmebox.Sandbox(module, heap=heap, timeout=600) as other,
        mmap.mmap(-1, REVOKED_PAGES * PAGE) as bare,
        ExitStack() as stack,
    ):
        pages = [heap.array(PAGE, owner=one) for _ in range(REVOKED_PAGES)]
        for page in pages:
            one.fill(page, PAGE)
        before = os.sched_getaffinity(0)
        stack.callback(os.sched_setaffinity, 0, before)
        os.sched_setaffinity(threading.get_native_id(), {max(before)})
        words = heap.array(PAGE, owner=other).view("u8")
        rounds = []
        for _ in range(REVOCATION_ROUNDS):
            alone = _revoked(heap, one, pages, bare)
            words[0] = 0
            thread = threading.Thread(target=_elsewhere, args=(other, words, min(before)))
            thread.start()
            while not words[0]:
                pass
            rounds.append((*alone, *_revoked(heap, one, pages, bare)))
            words[0] = (1 << 64) - 1
            while thread.is_alive():  # its addition may have come in between
                words[0] = (1 << 64) - 1
                thread.join(0.001)
    revoked, taken, given, revoked_beside, taken_beside, given_beside = zip(*rounds, strict=True)
    beside = "while another thread runs"
    yield Row("a bare madvise(MADV_DONTNEED) of 1 page", "ns", spread(taken))
    yield Row("revoke 1 page", "ns", spread(revoked))
    yield Row(f"the bare madvise {beside}", "ns", spread(taken_beside))
    yield Row(f"revoke {beside}", "ns", spread(revoked_beside))
    yield Row("revoke over the bare madvise, both alone", "×", _over(revoked, taken))
    yield Row(f"revoke over the bare madvise, both {beside}", "×", _over(revoked_beside, taken_beside), 1.25)
    yield Row(f"the bare madvise {beside}, over alone", "×", _over(taken_beside, taken))
    yield Row(f"revoke {beside}, over alone", "×", _over(revoked_beside, revoked))
    yield Row("give back 1 page", "ns", spread(given))
    yield Row(f"give back 1 page {beside}", "ns", spread(given_beside))


def _over(these: Sequence[float], those: Sequence[float]) -> Spread:
    return spread(a / b for a, b in zip(these, those, strict=True))


def _elsewhere(sandbox: Any, words: Any, processor: int) -> None:
    os.sched_setaffinity(threading.get_native_id(), {processor})
    sandbox.run_on(words)


def _revoked(
    heap: tmebox.SharedHeap, owner: tmebox.Sandbox, pages: list[Any], bare: mmap.mmap
) -> tuple[float, float, float]:
    """Nanoseconds to revoke a page, for a bare madvise of one, and to give one back; in turns."""
    revoke, transfer, madvise, dontneed = heap.revoke, heap.transfer, bare.madvise, mmap.MADV_DONTNEED
    starts = range(0, len(bare), PAGE)
    revoked = taken = given = 0
    for _ in range(REVOCATIONS // len(pages)):
        for start in starts:
            bare[start] = 1
        began = time.thread_time_ns()
        for page in pages:
            revoke(page)
        middle = time.thread_time_ns()
        for start in starts:
            madvise(dontneed, start, PAGE)
        end = time.thread_time_ns()
        for page in pages:
            transfer(page, to=owner)
        given += time.thread_time_ns() - end
        revoked += middle - began
        taken += end - middle
    count = REVOCATIONS // len(pages) * len(pages)
    return revoked / count, taken / count, given / count


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
