"""Parts that work in batches, each in a child process, so that the host may die of what it is given."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.campaign.part import Tally
from tests.forked import run_forked

TIMEOUT_S = 60.0


@dataclass
class Outcome:
    """What one batch did."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


class Batches:
    """batch(seed, number) runs in a child; the numbers go on from one run to the next. prepare: what children
    inherit, made once."""

    def __init__(
        self, name: str, batch: Callable[[int, int], Outcome], prepare: Callable[[], object] | None = None
    ) -> None:
        self.name = name
        self._batch = batch
        self._prepare = prepare

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        tally, number = Tally(), int(state or 0)
        if self._prepare is not None:
            self._prepare()
        while True:

            def child(number: int = number) -> Outcome:
                return self._batch(seed, number)

            ended = run_forked(child, timeout_s=TIMEOUT_S)
            if isinstance(ended.value, Outcome):
                for name, count in ended.value.counts.items():
                    tally.count(name, count)
                for finding in ended.value.findings:
                    tally.find(finding)
            else:
                tally.find(f"seed {seed}, batch {number}: the host process ended or hung: {ended}")
            number += 1
            if time.monotonic() >= deadline_s:
                return tally, number
