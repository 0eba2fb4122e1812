"""What it costs that calls can be interrupted: a long call that is watched, beside one that nobody watches.

Nobody watches a call without a time limit on another thread than the main one: Python's signals are the main
thread's. Times are CPU times of the whole process, so the watchdog's own is in them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import tmebox
from tmebox_bench.peers import SOURCES
from tmebox_bench.runners import pinned
from tmebox_bench.statistics import Spread, ratios

ROUNDS = 15
STEPS = 100_000_000
"""Of a loop: some 0.1 s."""
QUICK_DIVISOR = 10
ASLEEP_S = 0.3
"""After this long without calls the watchdog sleeps."""
CTRL_C, TIME_LIMIT = "by Ctrl-C", "by Ctrl-C and a time limit"


def bench_interruptible(*, quick: bool = False) -> dict[str, Spread]:
    """Ratios of CPU time to that of a call that nobody watches, by how calls can be interrupted."""
    module = tmebox.compile(SOURCES / "functions.c")
    steps = STEPS // (QUICK_DIVISOR if quick else 1)
    imports = {"answer": abs}
    samples: dict[str, list[float]] = {"": [], CTRL_C: [], TIME_LIMIT: []}
    with (
        tmebox.Sandbox(module, imports=imports) as free,
        tmebox.Sandbox(module, imports=imports, timeout=600) as limited,
        pinned(),
    ):
        ways: dict[str, Callable[[], float]] = {
            "": lambda: _elsewhere(free, steps),
            CTRL_C: lambda: _timed(free, steps),
            TIME_LIMIT: lambda: _timed(limited, steps),
        }
        for number in range(ROUNDS + 1):
            for way, measure in ways.items():
                time.sleep(ASLEEP_S)
                seconds = measure()
                if number:  # the first round warms up
                    samples[way].append(seconds)
    return {way: ratios(samples[way], samples[""]) for way in (CTRL_C, TIME_LIMIT)}


def _timed(sandbox: tmebox.Sandbox, steps: int) -> float:
    spin = sandbox.spin
    start_ns = time.process_time_ns()
    spin(steps)
    return (time.process_time_ns() - start_ns) / 1e9


def _elsewhere(sandbox: tmebox.Sandbox, steps: int) -> float:
    seconds: list[float] = []
    thread = threading.Thread(target=lambda: seconds.append(_timed(sandbox, steps)))
    thread.start()
    thread.join()
    return seconds[0]
