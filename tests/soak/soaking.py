"""What a soak does, in any amount: lives, traps, timeouts, and everything at once from several threads, while
other sandboxes sit beside and their memory is compared.

Runs in a forked child. Whatever goes wrong that is not an exception a user may expect is a finding.
"""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tmebox

SOAK_C = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char constant[] = "not to be written";
static unsigned char memory[1 << 15];
static unsigned char *heap;
static unsigned long seed;
static int calls;

int add(int a, int b) { calls++; return a + b; }
int calls_so_far(void) { return calls; }
long sum(const unsigned char *bytes, long count)
{
    long total = 0;
    for (long i = 0; i < count; i++) total += bytes[i];
    return total;
}
static unsigned char next(unsigned long *state)
{
    *state = *state * 6364136223846793005ul + 1442695040888963407ul;
    return *state >> 56;
}
void plant(unsigned long value)
{
    seed = value;
    heap = realloc(heap, sizeof memory);
    for (unsigned i = 0; i < sizeof memory; i++) heap[i] = memory[i] = next(&value);
}
int intact(void)
{
    unsigned long value = seed;
    for (unsigned i = 0; i < sizeof memory; i++) {
        unsigned char byte = next(&value);
        if (memory[i] != byte || heap[i] != byte) return 0;
    }
    return 1;
}
int pristine(void)
{
    if (heap || seed || calls) return 0;
    for (unsigned i = 0; i < sizeof memory; i++)
        if (memory[i]) return 0;
    return 1;
}
void print(int number) { printf("%d\n", number); fflush(stdout); }

int read_null(void) { return *(volatile int *)16; }
void write_far(void) { *(volatile int *)0xfff00000ul = 1; }
void write_constant(void) { *(volatile char *)constant = 1; }
void write_control(void) { *(volatile long *)CONTROL = 1; }
int recurse(int depth) { volatile char frame[4096]; frame[0] = depth; return recurse(depth + 1) + frame[0]; }
int overflow(void) { return recurse(0); }
void illegal(void) { __builtin_trap(); }
int divide(int by) { return 100 / by; }
void stray(void)
{
    volatile unsigned long target = (unsigned long)&add + 1;
    ((void (*)(void))target)();
}
void give_up(void) { abort(); }
void leave(void) { exit(3); }
int exhaust(void)
{
    for (;;) {
        volatile char *piece = malloc(1 << 16);
        *piece = 1;
    }
}
void spin(void) { for (volatile int i = 0;; i++); }
"""

TRAPS: dict[str, tuple[type[tmebox.Trap], tuple[int, ...]]] = {
    "read_null": (tmebox.MemoryFault, ()),
    "write_far": (tmebox.MemoryFault, ()),
    "write_constant": (tmebox.MemoryFault, ()),
    "write_control": (tmebox.MemoryFault, ()),
    "overflow": (tmebox.StackOverflow, ()),
    "illegal": (tmebox.IllegalInstruction, ()),
    "divide": (tmebox.ArithmeticTrap, (0,)),
    "stray": (tmebox.ControlFlowViolation, ()),
    "give_up": (tmebox.Aborted, ()),
    "leave": (tmebox.Aborted, ()),
    "exhaust": (tmebox.OutOfMemory, ()),
}
"""Export, what it ends in, its arguments."""
SMALL: dict[str, Any] = {"memory": "4MiB", "stack": "64KiB"}
TIMEOUT_S = 0.001
RESIDENTS = 16
EXPECTED = (tmebox.Trap, tmebox.SandboxBusy, tmebox.SandboxClosed)
"""What a thread may run into that works on sandboxes which others close and crash meanwhile."""


@dataclass(frozen=True)
class Amounts:
    cycles: int
    traps: int
    timeouts: int
    steps: int
    """Of each thread, in the interleaving."""
    threads: int = 8


@dataclass(frozen=True)
class Footprint:
    """Of this process. memory_bytes: resident pages and page tables."""

    memory_bytes: int
    mappings: int
    descriptors: int
    threads: int
    windows: int


def footprint() -> Footprint:
    gc.collect()
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    kib = sum(int(status[name].split()[0]) for name in ("VmRSS", "VmPTE"))
    return Footprint(
        kib << 10,
        len(Path("/proc/self/maps").read_text().splitlines()),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        live_windows(),
    )


def live_windows() -> int:
    from tmebox.memory.windows import WINDOWS

    return WINDOWS.live


class Residents:
    """Sandboxes that nothing is done to: what is in them at the beginning has to be there at the end."""

    def __init__(self, module: tmebox.Module) -> None:
        self._sandboxes = [tmebox.Sandbox(module, **SMALL) for _ in range(RESIDENTS)]
        for number, sandbox in enumerate(self._sandboxes):
            sandbox.plant(number + 1)
        self._arrays = [sandbox.array(5000) for sandbox in self._sandboxes]
        for number, array in enumerate(self._arrays):
            array[:] = np.random.default_rng(number).integers(0, 256, 5000, np.uint8)

    def check(self) -> None:
        for number, (sandbox, array) in enumerate(zip(self._sandboxes, self._arrays, strict=True)):
            assert sandbox.intact() == 1, f"memory of resident {number} has changed"
            wanted = np.random.default_rng(number).integers(0, 256, 5000, np.uint8)
            assert (array == wanted).all(), f"an array of resident {number} has changed"
            assert sandbox.sum(array, 5000) == int(wanted.sum())

    def close(self) -> None:
        for sandbox in self._sandboxes:
            sandbox.close()


def cycle(module: tmebox.Module, number: int) -> None:
    with tmebox.Sandbox(module, **SMALL) as sandbox:
        assert sandbox.add(number, 1) == number + 1
        if number % 64 == 0:
            assert sandbox.calls_so_far() == 1, "a sandbox found what another one had"


def trap(module: tmebox.Module, number: int) -> None:
    name = list(TRAPS)[number % len(TRAPS)]
    wanted, arguments = TRAPS[name]
    with tmebox.Sandbox(module, **SMALL) as sandbox:
        try:
            sandbox.call(name, *arguments)
        except wanted:
            pass
        else:
            raise AssertionError(f"{name} did not trap")
        if number % 3 == 0:
            sandbox.reset()
            assert sandbox.pristine() == 1


def time_out(module: tmebox.Module, _: int) -> None:
    with tmebox.Sandbox(module, timeout=TIMEOUT_S, **SMALL) as sandbox:
        try:
            sandbox.spin()
        except tmebox.Timeout:
            return
        raise AssertionError("endless code came to an end")


class Crowd:
    """Threads that do anything to a few sandboxes that they share, at random."""

    def __init__(self, module: tmebox.Module, pool: tmebox.SandboxPool, threads: int) -> None:
        self._module = module
        self._pool = pool
        self._shared = [tmebox.Sandbox(module, timeout=1.0, **SMALL) for _ in range(threads // 2 + 1)]
        self._snapshot = self._shared[0].snapshot()

    def run(self, seed: int, steps: int) -> None:
        generator = random.Random(seed)
        actions: list[Callable[[random.Random], Any]] = [
            self.call, self.call, self.pass_buffer, self.reset, self.replace, self.trap, self.snapshot,
            self.lease, self.task, self.hold_array, self.read, self.plant,
        ]  # fmt: skip
        for _ in range(steps):
            try:
                generator.choice(actions)(generator)
            except EXPECTED:
                continue

    def _any(self, generator: random.Random) -> tmebox.Sandbox:
        return generator.choice(self._shared)

    def call(self, generator: random.Random) -> None:
        assert self._any(generator).add(20, 22) == 42

    def pass_buffer(self, generator: random.Random) -> None:
        size = generator.choice((10, 5000, 100_000))
        assert self._any(generator).sum(np.full(size, 3, np.uint8), size) == 3 * size

    def reset(self, generator: random.Random) -> None:
        self._any(generator).reset()

    def replace(self, generator: random.Random) -> None:
        place = generator.randrange(len(self._shared))
        old = self._shared[place]
        fresh = generator.random() < 0.5
        options: dict[str, Any] = {"timeout": 1.0}
        new = tmebox.Sandbox(self._module, **options, **SMALL) if fresh else self._snapshot.spawn(**options)
        assert new.pristine() == 1, "a new sandbox found what another one had"
        self._shared[place] = new
        old.close()

    def trap(self, generator: random.Random) -> None:
        name, (_, arguments) = generator.choice([item for item in TRAPS.items() if item[0] != "exhaust"])
        self._any(generator).call(name, *arguments)

    def snapshot(self, generator: random.Random) -> None:
        with self._any(generator).snapshot().spawn() as spawned:
            assert spawned.add(1, 2) == 3

    def lease(self, generator: random.Random) -> None:
        with self._pool.lease() as sandbox:
            assert sandbox.pristine() == 1, "a leased sandbox found what another one had"
            sandbox.plant(generator.randrange(1 << 60))
            assert sandbox.intact() == 1

    def task(self, generator: random.Random) -> None:
        number = generator.randrange(1000)
        assert self._pool.submit("add", number, 1).result() == number + 1

    def hold_array(self, generator: random.Random) -> None:
        array = self._any(generator).array(generator.choice((100, 70_000)))
        assert not array.any()
        array[:] = 255

    def read(self, generator: random.Random) -> None:
        sandbox = self._any(generator)
        assert len(sandbox.memory.read(tmebox.abi.IMAGE_START, 64)) == 64

    def plant(self, generator: random.Random) -> None:
        self._any(generator).plant(generator.randrange(1 << 60))

    def close(self) -> None:
        for sandbox in self._shared:
            sandbox.close()


def in_parallel(work: Callable[[int], Any], numbers: range, threads: int) -> None:
    """Call `work` with every number, and raise what it raises. Nothing is kept per number."""

    def share(first: int) -> None:
        for number in numbers[first::threads]:
            work(number)

    with ThreadPoolExecutor(threads) as executor:
        for done in [executor.submit(share, first) for first in range(threads)]:
            done.result()


def soak(module: tmebox.Module, amounts: Amounts, say: Callable[[str], None] = lambda _: None) -> None:
    """All of it. Raises AssertionError for what must not be."""
    residents = Residents(module)
    threads = amounts.threads
    for name, count, work in (
        ("lives", amounts.cycles, lambda number: cycle(module, number)),
        ("traps", amounts.traps, lambda number: trap(module, number)),
        ("timeouts", amounts.timeouts, lambda number: time_out(module, number)),
    ):
        started = time.monotonic()
        in_parallel(work, range(count), 2)
        residents.check()
        say(f"{count:,} {name}: {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    with tmebox.SandboxPool(module, size=threads, threads=2, timeout=1.0, **SMALL) as pool:
        crowd = Crowd(module, pool, threads)
        in_parallel(lambda seed: crowd.run(seed, amounts.steps), range(threads), threads)
        crowd.close()
    residents.check()
    say(f"{threads} × {amounts.steps:,} steps: {time.monotonic() - started:.1f} s")
    residents.close()
