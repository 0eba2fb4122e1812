"""What a shared heap adds to a sandbox's life, and to its memory. Memory is measured in processes of their
own: `python -m tmebox_bench.heap_lives NAME COUNT` prints numbers as JSON."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tmebox
from tmebox_bench.heap_code import PAGE, SOURCE
from tmebox_bench.heap_row import Row
from tmebox_bench.statistics import spread

LIVES = 1000
ROUNDS = 15
LIVE = 32_000
MANY = 10_000
OBJECTS = 10
OBJECT_SIZES = 64, 512
TIMEOUT_S = 600.0


def lives() -> Iterator[Row]:
    """Create, call, destroy."""
    module = tmebox.compile(source_text=SOURCE)
    with tmebox.SharedHeap("64MiB") as heap:
        page = heap.array(8, "u8")
        began = 0

        def bare() -> None:
            for _ in range(LIVES):
                sandbox = tmebox.Sandbox(module)
                sandbox.add(3, 4)
                sandbox.close()

        def unused() -> None:
            for _ in range(LIVES):
                sandbox = tmebox.Sandbox(module, heap=heap)
                sandbox.add(3, 4)
                sandbox.close()

        def one_page() -> None:
            for _ in range(LIVES):
                sandbox = tmebox.Sandbox(module, heap=heap)
                heap.transfer(page, to=sandbox)
                sandbox.poke(page)
                sandbox.close()

        def all_at_once(touching: bool) -> None:
            """In windows that are parked for the heap, and their emptying afterwards. So many windows are
            in no cache: what a view adds is what it takes longer with one than without."""
            nonlocal began
            with tmebox.SharedHeap("64MiB") as other:
                pages = [other.array(8, "u8") for _ in range(LIVES)]
                for one in pages:
                    one[0] = 1
                made = [tmebox.Sandbox(module, heap=other) for _ in pages]
                for sandbox in made:
                    sandbox.add(3, 4)
                    sandbox.close()
                made.clear()
                began = time.thread_time_ns()
                for one in pages:
                    sandbox = tmebox.Sandbox(module, heap=other)
                    if touching:
                        other.transfer(one, to=sandbox)
                        sandbox.poke(one)
                    else:
                        sandbox.add(3, 4)
                    made.append(sandbox)
                for sandbox in made:
                    sandbox.close()

        works: dict[str, Callable[[], None]] = {
            "bare": bare,
            "unused": unused,
            "page": one_page,
            "many": lambda: all_at_once(False),
            "view": lambda: all_at_once(True),
        }
        samples: dict[str, list[float]] = {name: [] for name in works}
        for number in range(ROUNDS + 1):
            for name, work in works.items():
                began = time.thread_time_ns()
                work()
                if number:  # the first warms up
                    samples[name].append((time.thread_time_ns() - began) / LIVES)
    unused_over = spread(a / b for a, b in zip(samples["unused"], samples["bare"], strict=True))
    yield Row("create, call, destroy", "ns", spread(samples["bare"]))
    yield Row("the same with a heap, unused, over that", "×", unused_over, 1.1)
    for name, without, what, must in (
        ("page", "bare", "a parked view", 10e3),
        ("view", "many", "a new view", 20e3),
    ):
        more = spread(a - b for a, b in zip(samples[name], samples[without], strict=True))
        yield Row(f"more with one page, in {what}", "ns", more, must)


def memory(live: int = LIVE, many: int = MANY) -> Iterator[Row]:
    without, with_view = _child("bare", live), _child("views", live)
    reached = with_view["count"]
    yield Row("sandboxes live with a view each", "", spread([reached]), float(live), at_least=True)
    yield Row("mappings then", "", spread([with_view["mappings"]]))
    more = with_view["own"] + with_view["kernel"] - without["own"] - without["kernel"]
    yield Row("memory more for each, pages apart", "bytes", spread([more]), 10_000.0)
    alone = _child("static", many)
    static = alone["own"] + alone["kernel"]
    yield Row("memory of a sandbox that has written one static", "bytes", spread([static]), 18_000.0)
    found = {name: _child(name, many) for name in ("ten-pages", "ten-dense", "one-pages", "one-dense")}
    for name in ("ten-pages", "ten-dense"):
        yield Row(f"{many:,} sandboxes, ten objects each, {name[4:]}", "bytes", spread([found[name]["heap"]]))
    ratio = found["ten-pages"]["heap"] / found["ten-dense"]["heap"]
    yield Row("that, pages over dense", "×", spread([ratio]), 1.4)
    ratio = found["one-pages"]["heap"] / found["one-dense"]["heap"]
    yield Row("one such object each, pages over dense", "×", spread([ratio]), 10.0, at_least=True)


def _child(name: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tmebox_bench.heap_lives", name, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _bytes_of(path: str, *names: str) -> int:
    """The sum of fields of a file in /proc."""
    rows = (line.split() for line in Path(path).read_text().splitlines())
    return sum(int(row[1]) << 10 for row in rows if row[0].rstrip(":") in names)


def _own() -> int:
    """Its memory but that of shared heaps, and its page tables."""
    return _bytes_of("/proc/self/status", "RssAnon", "VmPTE")


def _kernel() -> int:
    """What the kernel has for mappings, of the whole system: others should be quiet."""
    return _bytes_of("/proc/meminfo", "Slab")


def _mappings() -> int:
    return sum(1 for _ in Path("/proc/self/maps").open())


def _hold(create: Callable[[int], Any], count: int) -> dict[str, float]:
    """Bytes for each."""
    alive = [create(number) for number in range(32)]
    own_before, kernel_before = _own(), _kernel()
    try:
        while len(alive) < count:
            alive.append(create(len(alive)))
    except tmebox.LimitError as error:
        print(error, file=sys.stderr)
    made = max(1, len(alive) - 32)
    return {
        "count": len(alive),
        "own": (_own() - own_before) / made,
        "kernel": (_kernel() - kernel_before) / made,
        "mappings": _mappings(),
    }


def bare(count: int) -> dict[str, float]:
    """Each has a heap, and has been called."""
    module, heap = tmebox.compile(source_text=SOURCE), tmebox.SharedHeap("4MiB")

    def create(_: int) -> Any:
        sandbox = tmebox.Sandbox(module, heap=heap)
        sandbox.add(3, 4)
        return sandbox

    return _hold(create, count)


def views(count: int) -> dict[str, float]:
    """The same, and each has written to a page of its own."""
    module, heap = tmebox.compile(source_text=SOURCE), tmebox.SharedHeap((count + 64) * PAGE)

    def create(_: int) -> Any:
        sandbox = tmebox.Sandbox(module, heap=heap)
        sandbox.add(3, 4)
        sandbox.poke(sandbox.make(PAGE))
        return sandbox

    return _hold(create, count)


def static(count: int) -> dict[str, float]:
    module = tmebox.compile(source_text="static int once;\nint set(int value) { return once = value; }\n")

    def create(number: int) -> Any:
        sandbox = tmebox.Sandbox(module)
        sandbox.set(number)
        return sandbox

    return _hold(create, count)


def objects(count: int, each: int, placement: Any) -> dict[str, float]:
    """Pages that the heap has taken, in bytes."""
    module, heap = tmebox.compile(source_text=SOURCE), tmebox.SharedHeap("256MiB", placement=placement)
    chosen, alive = random.Random(1), []
    for _ in range(count):
        sandbox = tmebox.Sandbox(module, heap=heap)
        for _ in range(each):
            if not sandbox.make(chosen.randint(*OBJECT_SIZES)):
                raise RuntimeError("the heap is full")
        alive.append(sandbox)
    return {"heap": heap.stats().resident_bytes}


KINDS: dict[str, Callable[[int], dict[str, float]]] = {
    "bare": bare,
    "views": views,
    "static": static,
    "ten-pages": lambda count: objects(count, OBJECTS, "pages"),
    "ten-dense": lambda count: objects(count, OBJECTS, "dense"),
    "one-pages": lambda count: objects(count, 1, "pages"),
    "one-dense": lambda count: objects(count, 1, "dense"),
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](int(sys.argv[2]))))
