"""`tmebox bench calls`: what crossing the boundary costs, beside other ways to call C from Python."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tmebox_bench import crossings, interruptible, peers
from tmebox_bench.machine import machine
from tmebox_bench.peers import Peer
from tmebox_bench.runners import pinned
from tmebox_bench.statistics import Spread, spread
from tmebox_bench.variants import MissingError

ROUNDS = 7
OPERATIONS = {
    "scalar": "add(3, 4)",
    "threads": "add(3, 4) beside another thread",
    "string": "a string of 11 characters in",
    "resident": "1 MB array that lives where the function is",
    "copied": "1 MB array from elsewhere",
    "callback": "call back into Python",
    "trap": "bad access to exception",
}
"""What is timed, and what to call it. Loops are Python's: their 10 ns or so are in every figure."""
REPEATS = {
    "scalar": 20_000,
    "threads": 20_000,
    "string": 10_000,
    "resident": 2_000,
    "copied": 100,
    "callback": 5_000,
    "trap": 100,
}
"""How often, per round."""
QUICK_DIVISOR = 10
WARM_UP_DIVISOR = 10
"""How much of it is done before, untimed: the others' turns cooled caches, and put the watchdog to sleep."""


@dataclass(frozen=True)
class CallResults:
    """times_s: seconds per operation, by peer and operation; what a peer does not have is absent.

    missing: peers that could not run, and why. watched: what being interruptible costs, by how.
    crossings_s: seconds to enter a sandbox and leave it in native code, by how.
    """

    machine: Mapping[str, str]
    times_s: Mapping[str, Mapping[str, Spread]]
    missing: tuple[str, ...] = field(default=())
    watched: Mapping[str, Spread] = field(default_factory=dict)
    crossings_s: Mapping[str, Spread] = field(default_factory=dict)

    def median_s(self, peer: str, operation: str) -> float | None:
        times = self.times_s.get(peer, {}).get(operation)
        return None if times is None else times.median


def bench_calls(
    *, quick: bool = False, progress: Callable[[str, int, int], None] | None = None
) -> CallResults:
    """Measure every peer that is there, a round of each in turn. Raises CompileError for our own sources."""
    found: dict[str, Peer] = {}
    missing: list[str] = []
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tmebox-")))
        for name, make in peers.PEERS.items():
            if progress is not None:
                progress("building peers", len(found) + len(missing), len(peers.PEERS))
            try:
                found[name] = stack.enter_context(make(scratch))
            except MissingError as error:
                missing.append(f"{name}: {error}")
        samples: dict[str, dict[str, list[float]]] = {name: {} for name in found}
        stack.enter_context(pinned())
        for number in range(ROUNDS + 1):
            if progress is not None:
                progress("measuring", number, ROUNDS + 1)
            for name, peer in found.items():
                for operation, action in peer.operations.items():
                    repeats = max(1, REPEATS[operation] // (QUICK_DIVISOR if quick else 1))
                    action(max(1, repeats // WARM_UP_DIVISOR))
                    seconds = action(repeats)
                    if number:  # the first round warms up
                        samples[name].setdefault(operation, []).append(seconds)
    times = {
        name: {operation: spread(values) for operation, values in by_operation.items()}
        for name, by_operation in samples.items()
    }
    if progress is not None:
        progress("measuring", ROUNDS + 1, ROUNDS + 1)
    watched = interruptible.bench_interruptible(quick=quick)
    crossings_s, not_crossed = crossings.bench_crossings(quick=quick)
    return CallResults(machine(), times, (*missing, *not_crossed), watched, crossings_s)


def to_json(results: CallResults) -> str:
    """{"schema": 1, "machine": {…}, "times_s": {PEER: {OPERATION: SPREAD}}, "watched": {HOW: SPREAD},
    "crossings_s": {HOW: SPREAD}, "missing": […]}, where SPREAD is {"min": …, "median": …, "max": …}."""
    return json.dumps({"schema": 1, **asdict(results)}, indent=1) + "\n"


def from_json(text: str) -> CallResults:
    """Raises ValueError for what `to_json` did not write."""
    try:
        document = json.loads(text)
        if document["schema"] != 1:
            raise ValueError(f"schema {document['schema']!r}, not 1")
        return CallResults(
            document["machine"],
            {peer: _spreads(by_operation) for peer, by_operation in document["times_s"].items()},
            tuple(document["missing"]),
            _spreads(document["watched"]),
            _spreads(document["crossings_s"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a result of bench calls: {error!r}") from None


def _spreads(document: Mapping[str, Any]) -> dict[str, Spread]:
    return {name: Spread(**fields) for name, fields in document.items()}
