"""What was to be reached, and what a run reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tmebox_bench.building import BuildResults
from tmebox_bench.calls import CallResults
from tmebox_bench.calls_table import duration_text
from tmebox_bench.crossings import AGAIN, CALL, TURNS, in_base
from tmebox_bench.instances import InstanceResults
from tmebox_bench.interruptible import TIME_LIMIT
from tmebox_bench.results import Results
from tmebox_bench.statistics import geomean
from tmebox_bench.tables import Table

PEERS_KEPT_BUSY = ("calls", "interpreters")
"""The groups in which control flow costs most."""


@dataclass(frozen=True)
class Measured:
    """Everything that a run of `tmebox bench all` measured; None: that part was left out."""

    cpu: Results
    calls: CallResults
    build: BuildResults | None = None
    instances: InstanceResults | None = None


@dataclass(frozen=True)
class Target:
    """A figure with bounds, in the unit that `show` takes. value: None if not measured. at_least: more is
    better."""

    what: str
    must: float | None
    stretch: float | None
    show: Callable[[float], str]
    value: Callable[[Measured], float | None]
    at_least: bool = False

    def verdict(self, reached: float | None) -> str:
        if reached is None:
            return "not measured"
        bounds = (("stretch", self.stretch), ("must", self.must))
        return next(
            (name for name, bound in bounds if bound is not None and self._meets(reached, bound)), "missed"
        )

    def _meets(self, reached: float, bound: float) -> bool:
        return reached >= bound if self.at_least else reached <= bound


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _times(value: float) -> str:
    return f"{value:.2f} ×"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB/s"


def _kilobytes(value: float) -> str:
    return f"{value / 1000:.1f} kB"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _mean(key: str) -> Callable[[Measured], float | None]:
    return lambda measured: measured.cpu.geomean_of(key)


def _busy(measured: Measured) -> float | None:
    found = [ratio for group in PEERS_KEPT_BUSY for ratio in measured.cpu.ratios_of("gs-code", group)]
    return geomean(found) if found else None


def _worst(measured: Measured) -> float | None:
    return max(measured.cpu.ratios_of("gs-code"), default=None)


def _call(operation: str) -> Callable[[Measured], float | None]:
    return lambda measured: measured.calls.median_s("tmebox", operation)


def _over(peer: str, operation: str = "scalar") -> Callable[[Measured], float | None]:
    """Our call as a multiple of a peer's."""

    def value(measured: Measured) -> float | None:
        ours, theirs = (measured.calls.median_s(name, operation) for name in ("tmebox", peer))
        return None if ours is None or theirs is None else ours / theirs

    return value


def _in_turn(base: str) -> Callable[[Measured], float | None]:
    """Entering again, and what a call takes more where it is another sandbox's turn."""

    def value(measured: Measured) -> float | None:
        again, call, turns = (_crossing(in_base(how, base))(measured) for how in (AGAIN, CALL, TURNS))
        return None if again is None or call is None or turns is None else again + turns - call

    return value


def _crossing(how: str) -> Callable[[Measured], float | None]:
    def value(measured: Measured) -> float | None:
        found = measured.calls.crossings_s.get(how)
        return None if found is None else found.median

    return value


def _watched(measured: Measured) -> float | None:
    found = measured.calls.watched.get(TIME_LIMIT)
    return None if found is None else found.median


def _verified(how: str) -> Callable[[Measured], float | None]:
    def value(measured: Measured) -> float | None:
        found = measured.build.verify_bytes_per_s.get(how) if measured.build else None
        return None if found is None else found.median

    return value


def _compiled(measured: Measured) -> float | None:
    found = measured.build.compile_s if measured.build else None
    return None if found is None else found.median


def _life(operation: str) -> Callable[[Measured], float | None]:
    def value(measured: Measured) -> float | None:
        found = measured.instances.times_s("tmebox", operation) if measured.instances else None
        return None if found is None else found.median

    return value


def _alive(measured: Measured) -> float | None:
    found = measured.instances.live.get("tmebox") if measured.instances else None
    return None if found is None else float(min(found.reached, found.called))


def _memory_each(measured: Measured) -> float | None:
    found = measured.instances.live.get("tmebox") if measured.instances else None
    return None if found is None else found.system_bytes


def _scaling(measured: Measured) -> float | None:
    found = measured.instances.scaling.get("calls") if measured.instances else None
    return None if found is None else found.median


US, NS = 1e-6, 1e-9
_TIME = duration_text
TARGETS = (
    Target("gs code+data, all programs, -O2", 1.02, 1.01, _ratio, _mean("gs-code")),
    Target("gs code+data, all programs, -O3 v3", 1.03, 1.015, _ratio, _mean("gs-code-v3")),
    Target("gs code+data, calls and interpreters", 1.07, 1.04, _ratio, _busy),
    Target("gs code+data, worst program", 1.15, 1.08, _ratio, _worst),
    Target("gs data, all programs", 1.015, 1.005, _ratio, _mean("gs-data")),
    Target("r15 data, all programs", 1.10, None, _ratio, _mean("r15-data")),
    Target("r15 code+data, all programs", 1.13, None, _ratio, _mean("r15-code")),
    Target("machine code, gs code+data", 1.3, 1.2, _times, lambda m: m.cpu.text_ratio_of("gs-code")),
    Target("add(3, 4), beside cffi", 1.0, None, _times, _over("cffi (API)")),
    Target("the same, releasing the GIL", 0.9, None, _times, _over("cffi (API)", "threads")),
    Target("add(3, 4), beside a C extension", None, 2.0, _times, _over("C extension")),
    Target("enter and leave again, native", 20 * NS, 8 * NS, _TIME, _crossing(AGAIN)),
    Target("enter and leave, sandboxes in turn", 20 * NS, None, _TIME, _in_turn("gs")),
    Target("the same, r15", 20 * NS, None, _TIME, _in_turn("r15")),
    Target("call back into Python", 1 * US, 0.3 * US, _TIME, _call("callback")),
    Target("1 MB array that lives there", 3 * US, None, _TIME, _call("resident")),
    Target("bad access to exception", 10 * US, 5 * US, _TIME, _call("trap")),
    Target("being interruptible", 1.01, 1.0, _ratio, _watched),
    Target("verifier, nothing cached", 2e6, 20e6, _megabytes, _verified("cold"), at_least=True),
    Target("verifier, known encodings", 10e6, None, _megabytes, _verified("known"), at_least=True),
    Target("compile and verify 1,000 lines", 1.5, None, _TIME, _compiled),
    Target("create, call, destroy", 15 * US, 8 * US, _TIME, _life("trivial")),
    Target("the same, malloc and stdio used", 30 * US, None, _TIME, _life("stdio")),
    Target("spawn of a Lua snapshot", 50 * US, 25 * US, _TIME, _life("lua-spawn")),
    Target("reset", 10 * US, None, _TIME, _life("reset-trivial")),
    Target("sandboxes at once", 32_000, None, _count, _alive, at_least=True),
    Target("memory of each", 16_000, 13_000, _kilobytes, _memory_each),
    Target("two threads' work over one's", 1.8, None, _times, _scaling, at_least=True),
)


def targets_table(measured: Measured) -> Table:
    rows = []
    for target in TARGETS:
        reached = target.value(measured)
        shown = "–" if reached is None else target.show(reached)
        rows.append((target.what, *bounds_text(target), shown, target.verdict(reached)))
    return Table(("figure", "must", "stretch", "reached", "meets"), tuple(rows))


def bounds_text(target: Target) -> tuple[str, str]:
    """Its must and its stretch, as tables show them."""
    must, stretch = (
        "–" if bound is None else _bound(target, bound) for bound in (target.must, target.stretch)
    )
    return must, stretch


def _bound(target: Target, bound: float) -> str:
    return f"{'≥' if target.at_least else '≤'} {target.show(bound)}"
