"""`tmebox bench instances`: what it costs to make, keep and reset instances, beside other runtimes."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import tmebox
from tmebox.errors import CompileError
from tmebox_bench import instances_live, instances_peers
from tmebox_bench.instances_live import Live
from tmebox_bench.instances_peers import Peer, Sources
from tmebox_bench.machine import machine
from tmebox_bench.runners import pinned
from tmebox_bench.statistics import Spread, ratios, spread
from tmebox_bench.variants import MissingError

ROUNDS = 7
LIVE_COUNT = 32_000
QUICK_LIVE_COUNT = 1_000
QUICK_DIVISOR = 5
OPERATIONS = {
    "trivial": "create, call, destroy: add(3, 4)",
    "stdio": "create, call, destroy: malloc and stdio",
    "lua-anew": "create, open Lua's libraries, evaluate, destroy",
    "lua-ready": "the same, with the libraries open already",
    "lua-spawn": "spawn of a Lua snapshot alone",
    "reset-trivial": "reset after add(3, 4)",
    "reset-stdio": "reset after malloc and stdio",
    "reset-lua": "reset after an evaluation, Lua from a snapshot",
}
"""What is timed, and what to call it."""
REPEATS = {
    "trivial": 1000,
    "stdio": 400,
    "lua-anew": 20,
    "lua-ready": 200,
    "lua-spawn": 200,
    "reset-trivial": 1000,
    "reset-stdio": 400,
    "reset-lua": 200,
}
"""How often, per round; slow peers do a tenth."""
CALL_ROUNDS = 60_000
TASK_ROUNDS = 10 * CALL_ROUNDS
"""Of work.c: about 0.1 ms and 1 ms."""
THREAD_CALLS = 800
POOL_TASKS = 150
THREADS = 2
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class InstanceResults:
    """samples_s: seconds per operation in each round, by peer and operation. live: by peer. scaling: how many
    times the work of one thread two threads do in the same time, by what they do: "calls" of one sandbox
    each, "tasks" of a pool. missing: what could not be measured, and why."""

    machine: Mapping[str, str]
    samples_s: Mapping[str, Mapping[str, tuple[float, ...]]]
    live: Mapping[str, Live]
    scaling: Mapping[str, Spread]
    missing: tuple[str, ...] = field(default=())

    def times_s(self, peer: str, operation: str) -> Spread | None:
        samples = self.samples_s.get(peer, {}).get(operation)
        return spread(samples) if samples else None

    def ratio(self, peer: str, operation: str) -> Spread | None:
        """Of a peer's time to tmebox's, round by round."""
        theirs = self.samples_s.get(peer, {}).get(operation)
        ours = self.samples_s.get("tmebox", {}).get(operation)
        return ratios(theirs, ours) if theirs and ours else None


def bench_instances(
    *, quick: bool = False, count: int | None = None, progress: Progress | None = None
) -> InstanceResults:
    """Measure every peer that is there, a round of each in turn. count: how many instances to keep alive.

    Raises CompileError for our own sources.
    """
    show: Progress = progress or (lambda step, done, total: None)
    missing: list[str] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tmebox-")))
        sources, lacking = instances_peers.subjects()
        missing += [lacking] if lacking else []
        found = _build(sources, scratch, stack, missing, show)
        with pinned():
            samples = _measure(found, quick, show)
        scaling = _scaling(quick, missing, show)
        wanted = count or (QUICK_LIVE_COUNT if quick else LIVE_COUNT)
        live = _live(sources["trivial"], scratch, wanted, missing, show)
    return InstanceResults(machine(), samples, live, scaling, tuple(missing))


def _build(
    sources: Mapping[str, Sources], scratch: Path, stack: ExitStack, missing: list[str], show: Progress
) -> dict[str, Peer]:
    found: dict[str, Peer] = {}
    for number, (name, make) in enumerate(instances_peers.PEERS.items()):
        show("building peers", number, len(instances_peers.PEERS))
        try:
            found[name] = stack.enter_context(make(sources, scratch))
        except MissingError as error:
            missing.append(f"{name}: {error}")
        else:
            missing += [f"{name}, {subject}: {why}" for subject, why in found[name].missing.items()]
    return found


def _measure(
    found: Mapping[str, Peer], quick: bool, show: Progress
) -> dict[str, dict[str, tuple[float, ...]]]:
    samples: dict[str, dict[str, list[float]]] = {name: {} for name in found}
    for number in range(ROUNDS + 1):
        show("measuring", number, ROUNDS + 1)
        for name, peer in found.items():
            for operation, action in peer.operations.items():
                times = REPEATS[operation] * peer.repeats_percent // 100 // (QUICK_DIVISOR if quick else 1)
                seconds = action(max(1, times))
                if number:  # the first round warms up
                    samples[name].setdefault(operation, []).append(seconds)
    return {name: {op: tuple(taken) for op, taken in by.items()} for name, by in samples.items()}


def _scaling(quick: bool, missing: list[str], show: Progress) -> dict[str, Spread]:
    if len(os.sched_getaffinity(0)) < THREADS:
        missing.append("two threads: there is one processor")
        return {}
    module = tmebox.compile(instances_peers.PROGRAMS / "work.c")
    divisor = QUICK_DIVISOR if quick else 1
    taken: dict[str, list[float]] = {"calls": [], "tasks": []}
    with tmebox.SandboxPool(module, threads=1) as one, tmebox.SandboxPool(module, threads=THREADS) as two:
        for number in range(ROUNDS + 1):
            show("two threads", number, ROUNDS + 1)
            calls = [_calls_s(module, threads, THREAD_CALLS // divisor) for threads in (1, THREADS)]
            tasks = [_tasks_s(pool, POOL_TASKS // divisor) for pool in (one, two)]
            if number:
                taken["calls"].append(THREADS * calls[0] / calls[1])
                taken["tasks"].append(tasks[0] / tasks[1])
    return {name: spread(values) for name, values in taken.items()}


def _calls_s(module: tmebox.Module, threads: int, calls: int) -> float:
    """Seconds from when the first thread begins until the last has made so many calls, each in its own
    sandbox. The threads look at the clock themselves: one more that does would have to get a turn first."""
    ready = threading.Barrier(threads)
    spans: list[tuple[int, int]] = []

    def run() -> None:
        with tmebox.Sandbox(module) as sandbox:
            work = sandbox.work
            work(1)
            ready.wait()
            start_ns = time.perf_counter_ns()
            for _ in range(calls):
                work(CALL_ROUNDS)
            spans.append((start_ns, time.perf_counter_ns()))

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (max(end for _, end in spans) - min(start for start, _ in spans)) / 1e9


def _tasks_s(pool: tmebox.SandboxPool, tasks: int) -> float:
    start_ns = time.perf_counter_ns()
    for _ in pool.map("work", [TASK_ROUNDS] * tasks):
        pass
    return (time.perf_counter_ns() - start_ns) / 1e9


def _live(trivial: Sources, scratch: Path, count: int, missing: list[str], show: Progress) -> dict[str, Live]:
    modules = {"tmebox": scratch / "trivial.tbx", "wasmtime-py": scratch / "trivial.wasm"}
    tmebox.compile(trivial.files, exports=trivial.exports).save(modules["tmebox"])
    found = {}
    for number, (name, path) in enumerate(modules.items()):
        show(f"{count:,} at once", number, len(modules))
        if not path.exists():
            continue  # said where it was built
        try:
            found[name] = instances_live.measure(name, path, count)
        except (RuntimeError, CompileError) as error:
            missing.append(f"live instances: {error}")
    return found
