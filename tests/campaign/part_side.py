"""Side execution equals native: every shape of every accepted instruction, with every kind of memory operand.

A form is run natively and on the side in the same random states, and everything it could have changed is
compared: see side_oracle.c.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final

from tests.campaign.part import Tally
from tests.campaign.side_operands import accessing, forms_of, strings
from tests.campaign.side_oracle import described, run
from tmebox.runtime.side import SideForm

STATES: Final = 24
STRING_STATES: Final = 400
AT_ONCE: Final = 64
"""Shapes whose forms are run by one process."""


class Side:
    name = "side"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many shapes were run."""
        tally, number = Tally(), state or 0
        shapes = list(accessing())
        random.Random(seed).shuffle(shapes)
        while not tally.counts or time.monotonic() < deadline_s:
            chooser = random.Random(f"{seed} {number}")
            chosen = [shapes[(number + step) % len(shapes)] for step in range(AT_ONCE)]
            compare(
                [form for shape in chosen for form in forms_of(shape, chooser)], seed + number, STATES, tally
            )
            compare(strings(), seed + number, STRING_STATES, tally)
            number += AT_ONCE
            tally.count("shapes", AT_ONCE)
        return tally, number


def compare(forms: list[SideForm], seed: int, states: int, tally: Tally) -> None:
    """Run each of the forms in so many states, and add up what happened."""
    for form, answer in zip(forms, run(forms, seed, states), strict=True):
        tally.count("forms")
        tally.count("executed on the side", answer.aside)
        tally.count("faulted on the side", answer.faulted)
        tally.count("accessed nothing", answer.untouched)
        tally.count("reached over the end", answer.beyond)
        if answer.finding:
            tally.find(described(form, answer, seed))


PART = Side()
