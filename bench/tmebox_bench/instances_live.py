"""How many instances one process holds, and what each costs: in a process of its own, one per peer.

`python -m tmebox_bench.instances_live PEER MODULE COUNT` prints a JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 600.0
WARM_UP = 32
"""Instances that exist before memory is first looked at: what a process needs once is not theirs."""


@dataclass(frozen=True)
class Live:
    """reached: how many were alive at once. called: how many of them answered a call after the last one was
    created. stopped_by: what refused the next one; empty if none was asked for. system_bytes: by how much
    the system's available memory fell, for each; own_bytes: by how much the process's resident pages and page
    tables grew. create_s: seconds to create one, on average."""

    reached: int
    called: int
    stopped_by: str
    system_bytes: float
    own_bytes: float
    create_s: float


def measure(peer: str, module: Path, count: int) -> Live:
    """Raises RuntimeError if the process fails."""
    command = [sys.executable, "-m", "tmebox_bench.instances_live", peer, str(module), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{peer}: {done.stderr.strip().splitlines()[-1:]}")
    return Live(**json.loads(done.stdout))


def sandboxes(module: str) -> tuple[Callable[[], Any], Callable[[Any], int]]:
    import tmebox

    loaded = tmebox.Module.load(module)
    return lambda: tmebox.Sandbox(loaded), lambda sandbox: int(sandbox.add(3, 4))


def wasmtime_instances(module: str) -> tuple[Callable[[], Any], Callable[[Any], int]]:
    import wasmtime

    engine = wasmtime.Engine()
    compiled = wasmtime.Module.from_file(engine, module)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()

    def create() -> tuple[Any, Any]:
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        return store, linker.instantiate(store, compiled)

    def call(pair: tuple[Any, Any]) -> int:
        store, instance = pair
        return int(instance.exports(store)["add"](store, 3, 4))

    return create, call


MAKERS = {"tmebox": sandboxes, "wasmtime-py": wasmtime_instances}


def available_bytes() -> int:
    return _field(Path("/proc/meminfo"), "MemAvailable")


def own_bytes() -> int:
    return sum(_field(Path("/proc/self/status"), name) for name in ("VmRSS", "VmPTE"))


def _field(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise RuntimeError(f"{path} has no {name}")


def hold(create: Callable[[], Any], call: Callable[[Any], int], count: int) -> Live:
    """Create up to `count`, keep them all, then call each."""
    alive = [create() for _ in range(min(WARM_UP, count))]
    before, own_before = available_bytes(), own_bytes()
    warmed, stopped_by = len(alive), ""
    start_ns = time.perf_counter_ns()
    try:
        while len(alive) < count:
            alive.append(create())
    except Exception as error:  # each peer has its own
        stopped_by = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    spent_s = (time.perf_counter_ns() - start_ns) / 1e9
    called = sum(call(instance) == 7 for instance in alive)
    created = max(1, len(alive) - warmed)
    return Live(
        len(alive),
        called,
        stopped_by,
        (before - available_bytes()) / created,
        (own_bytes() - own_before) / created,
        spent_s / created,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(hold(*MAKERS[sys.argv[1]](sys.argv[2]), int(sys.argv[3])))))
