"""What a part of the campaign is: something that looks for a defect as long as it is given time.

The runner gives each part a seed, a deadline and what the part returned when it ran last, adds its counts
up, and prints its findings. A part is deterministic: the same seed and state try the same things in the same
order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

MOST_FINDINGS = 20
"""One cause can have thousands of findings, and a part goes on."""


@dataclass
class Tally:
    """What one run of a part did.

    counts: numbers that add up over runs, by name ("encodings tried", "forms accepted", "disagreements").
    findings: one text each, with all that reproduces it; empty where nothing is wrong.
    """

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def count(self, name: str, number: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + number

    def find(self, finding: str) -> None:
        """Count a disagreement, and keep the text of the first MOST_FINDINGS."""
        self.count("disagreements")
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)


class Part(Protocol):
    """name: as the command line and the report spell it."""

    name: str

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """Work until `time.monotonic()` reaches deadline_s, or all is done; returns the tally and the state
        to go on from, as JSON holds it. state: what the last run returned, or None at first."""
        ...
