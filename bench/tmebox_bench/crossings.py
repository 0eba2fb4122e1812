"""What entering and leaving a sandbox costs in native code, without a caller in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tmebox
from tmebox import _native
from tmebox.abi import BASES, Base
from tmebox.errors import CompileError
from tmebox.toolchain.compile import gcc
from tmebox_bench.peers import SOURCES
from tmebox_bench.runners import pinned
from tmebox_bench.statistics import Spread, spread

ROUNDS = 15
REPEATS = 200_000
"""How often, per round."""
QUICK_DIVISOR = 10
AGAIN = "enter and leave again, in one call"
CALL = "a native call, same sandbox again"
TURNS = "a native call, two sandboxes in turn"
"""Entering again is the native code that every call runs through: base, registers, stack. A call has more:
checks that it may run, what the watchdog is told, whether the GIL is kept. In turn: each sets its base. Some
CPUs take 5 ns more for each once the process has loaded a module with x87 instructions, as printf has;
functions.c has none."""


def in_base(how: str, base: str) -> str:
    """What the table calls one of the three, by where the sandboxes have their window's base."""
    return how if base == "gs" else f"{how}, {base}"


def bench_crossings(*, quick: bool = False) -> tuple[dict[str, Spread], list[str]]:
    """Seconds for each of the three, of an empty verified function; and what is missing, and why."""
    found: dict[str, Spread] = {}
    missing: list[str] = []
    for base in BASES:
        try:
            if base == "r15":
                gcc.gcc()
        except CompileError as error:
            missing.append(f"calls, {base}: {error}")
        else:
            for how, times_s in _bench(base, quick).items():
                found[in_base(how, base)] = times_s
    return found, missing


def _bench(base: Base, quick: bool) -> dict[str, Spread]:
    module = tmebox.compile(SOURCES / "functions.c", base=base)
    times = REPEATS // (QUICK_DIVISOR if quick else 1)
    imports = {"answer": abs}
    samples: dict[str, list[float]] = {AGAIN: [], CALL: [], TURNS: []}
    with (
        tmebox.Sandbox(module, imports=imports) as one,
        tmebox.Sandbox(module, imports=imports) as other,
        pinned(),
    ):
        ways: Mapping[str, Callable[[], float]] = {
            AGAIN: lambda: _native.time_crossings(one.nothing, times),
            CALL: lambda: _native.time_calls((one.nothing,), times),
            TURNS: lambda: _native.time_calls((one.nothing, other.nothing), times // 2),
        }
        for number in range(ROUNDS + 1):
            for way, measure in ways.items():
                seconds = measure()
                if number:  # the first round warms up
                    samples[way].append(seconds / times)
    return {way: spread(values) for way, values in samples.items()}
