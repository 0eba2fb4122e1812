"""Loops in Python text: the guest beside the same sources as an ordinary program of the same clang; what
counting instructions costs; and two interpreters on two threads.

The native program reads a file, so its time is that of the whole process less that of an empty program.
"""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmebox.toolchain.libc.libc import cache_directory
from tmebox_bench.statistics import Spread, geomean, ratios, spread
from tmebox_bench.tables import Table
from tmebox_bench.variants import MissingError

LOOPS: Mapping[str, str] = {
    "integers": "s = 0\nfor i in range(N):\n    s += i * i & 0xff",
    "floats": "x = 0.5\nfor i in range(N):\n    x = x * 3.9 * (1.0 - x)",
    "while": "i = 0\nwhile i < N:\n    i += 1",
    "calls": "def f(n): return n if n < 2 else f(n - 1) + f(n - 2)\nfor i in range(N // 2000): f(15)",
    "methods": "class C:\n    def __init__(self): self.n = 0\n    def m(self, k): self.n += k\n"
    "c = C()\nfor i in range(N): c.m(i)",
    "lists": "a = list(range(100))\nfor i in range(N): a[i % 100] = a[(i + 7) % 100]",
    "dictionaries": "d = {}\nfor i in range(N): d[i & 255] = d.get(i & 127, 0) + 1",
    "texts": "s = ''\nfor i in range(N // 4): s = (s + str(i))[-40:]",
    "generators": "def g(n):\n    for i in range(n): yield i\ns = 0\nfor i in g(N): s += i",
    "large integers": "n = 1\nfor i in range(1, N // 100): n *= i",
    "sort": "import random\nrandom.seed(1)\n"
    "for i in range(N // 20000):\n    sorted(random.random() for _ in range(2000))",
}
"""Each in a function, N times. All take about as long."""
EMPTY = "pass"
TIMES = 1_000_000
QUICK_TIMES = 500_000
TOOL = Path(__file__).parents[2] / "tools" / "micropython.py"
PARALLEL = LOOPS["integers"]


@dataclass(frozen=True)
class Loops:
    """Ratios by loop, of times taken side by side. native: the guest's time, of the native program's.
    counting: the guest's, of one that counts no instructions. seconds: of the native program.
    threads: runs a second on two threads with an interpreter each, of those on one."""

    native: Mapping[str, Spread]
    counting: Mapping[str, Spread]
    seconds: Mapping[str, float]
    threads: Spread


def bench_loops(*, rounds: int, quick: bool, progress: Callable[[str, int, int], None] | None) -> Loops:
    """Raises MissingError where the sources or the compiler are not here."""
    from tmebox.python import Python
    from tmebox.python import guest as guest_module

    if not TOOL.is_file():
        raise MissingError("loops beside native: the tools of a checkout are not here")
    tool: Any = runpy.run_path(str(TOOL))
    times = QUICK_TIMES if quick else TIMES
    with tempfile.TemporaryDirectory(prefix="tmebox-bench-") as folder:
        try:
            program = _native(tool)
            plain = tool["built"](metered=False)
        except (tool["Unavailable"], subprocess.CalledProcessError) as error:
            raise MissingError(f"loops beside native: {error}") from None
        with Python() as ours, _other_guest(guest_module, plain), Python() as uncounted:
            native, counting, seconds = {}, {}, {}
            for done, (name, body) in enumerate(LOOPS.items()):
                if progress is not None:
                    progress(f"loop: {name}", done, len(LOOPS))
                text = in_a_function(body, times)
                ways = (
                    lambda text=text: ours.run(text),
                    lambda text=text: _run_native(program, Path(folder), text),
                    lambda text=text: uncounted.run(text),
                )
                guests, natives, plains = _side_by_side(ways, rounds)
                start = min(_timed(lambda: _run_native(program, Path(folder), EMPTY)) for _ in range(3))
                natives = [one - start for one in natives]
                native[name], counting[name] = ratios(guests, natives), ratios(guests, plains)
                seconds[name] = spread(natives).median
        return Loops(native, counting, seconds, _two_threads(Python, times, rounds))


def _native(tool: Any) -> Path:
    """Built once for the same sources."""
    found = tool["sources"]()
    program = cache_directory() / "bench" / f"micropython-{tool['identity'](found, metered=False)}"
    if not program.exists():
        with tempfile.TemporaryDirectory(prefix="tmebox-bench-") as folder:
            made = tool["native"](found, Path(folder))
            program.parent.mkdir(parents=True, exist_ok=True)
            new = program.with_suffix(f".{os.getpid()}")
            shutil.copy2(made, new)
            new.rename(program)
    return program


def in_a_function(body: str, times: int) -> str:
    lines = "\n".join(f"    {line}" for line in body.replace("N", str(times)).splitlines())
    return f"def loop():\n{lines}\nloop()\n"


def _side_by_side(ways: tuple[Callable[[], Any], ...], rounds: int) -> list[list[float]]:
    """One after the other in each round, so that what disturbs one disturbs all."""
    for way in ways:
        way()
    samples: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, found in zip(ways, samples, strict=True):
            found.append(_timed(way))
    return samples


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _run_native(program: Path, folder: Path, text: str) -> None:
    file = folder / "program.py"
    file.write_text(text)
    done = subprocess.run([program, file], capture_output=True, check=True)
    if done.stdout:
        raise MissingError(f"the native program says: {done.stdout[-200:].decode(errors='replace')}")


@contextmanager
def _other_guest(guest: Any, file: Path) -> Iterator[None]:
    """New interpreters are of another build of the guest."""
    shipped = guest.SHIPPED

    def use(path: Path) -> None:
        guest.SHIPPED = path
        guest.module.cache_clear()
        guest.started.cache_clear()

    use(file)
    try:
        yield
    finally:
        use(shipped)


def _two_threads(python: Any, times: int, rounds: int) -> Spread:
    text = in_a_function(PARALLEL, times)
    with python() as one, python() as other:
        both, alone = [], []
        for interpreter in (one, other):
            interpreter.run(text)
        for _ in range(rounds):
            alone.append(_timed(lambda: one.run(text)))
            threads = [threading.Thread(target=each.run, args=(text,)) for each in (one, other)]
            started = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            both.append(time.perf_counter() - started)
    return ratios([2 * single for single in alone], both)


def loops_table(loops: Loops) -> Table:
    """A row for each loop, and their geometric mean."""
    rows = [
        (
            name,
            f"{loops.seconds[name] * 1e3:,.0f} ms",
            f"{native.median:.3f}",
            f"{loops.counting[name].median:.3f}",
        )
        for name, native in loops.native.items()
    ]
    native, counting = (geomean(one.median for one in of.values()) for of in (loops.native, loops.counting))
    rows.append(("geometric mean", "", f"{native:.3f}", f"{counting:.3f}"))
    return Table(("loop", "native", "guest, of native", "guest, of one that does not count"), tuple(rows))
