"""Every encoding that is an exact step of a sequence, on this CPU: it does what the sequence relies on.

Hardly any of them would come up among random encodings.
"""

from __future__ import annotations

import time
from typing import Any, Final

from tests.campaign.described import Classify, Description, describe
from tests.campaign.part import Tally
from tests.campaign.part_processor import execute, runs_here
from tests.campaign.processor import BATCH, Processor
from tmebox.verify.forms import classify
from tmebox.verify.sequences import SEQUENCES

STATES: Final = 256


class SequenceSteps:
    """judge: `classify`, or something else in tests of this part."""

    name = "steps"

    def __init__(self, judge: Classify = classify) -> None:
        self.judge = judge

    def forms(self, tally: Tally) -> list[Description]:
        """One for each encoding, and a finding for each that the verifier takes for nothing."""
        found = []
        for base, sequences in SEQUENCES.items():
            for encoding in sorted(sequences.exact):
                description = describe(encoding, base, self.judge)
                if description is None:
                    tally.find(f"{encoding.hex(' ')}, base {base}: a step of a sequence, and refused")
                elif runs_here(description, tally):
                    found.append(description)
        return found

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many batches were run."""
        tally, number = Tally(), state or 0
        forms = self.forms(tally)
        batches = [forms[first : first + BATCH] for first in range(0, len(forms), BATCH)]
        with Processor() as processor:
            while True:
                execute(processor, batches[number % len(batches)], seed + number, STATES, tally)
                number += 1
                if time.monotonic() >= deadline_s:
                    return tally, number


PART = SequenceSteps()
