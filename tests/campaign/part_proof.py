"""The rules as formulas: z3 looks for a counterexample to each, of which `proof_claims` makes thousands."""

from __future__ import annotations

import random
import time
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from tests.campaign.part import Tally

if TYPE_CHECKING:
    from tests.campaign.proof_claims import Unit


class Proof:
    name = "proof"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many units of claims are done in the order that the seed makes."""
        tally = Tally()
        try:
            import z3  # noqa: F401
        except ImportError:
            tally.count("not run: z3-solver is not installed")
            return tally, state
        from tests.campaign.proof_claims import counterexample

        order = in_order(seed)
        begun = done = state["done"] if state and state.get("seed") == seed else 0
        while done < len(order) and (done == begun or time.monotonic() < deadline_s):
            unit = order[done]
            for claim in unit.claims():
                tally.count("claims")
                found = counterexample(claim)
                if found is not None:
                    tally.findings.append(f"{unit.name}: not so: {claim.name}\n{found}")
            done += 1
            tally.count("units of claims")
        return tally, {"seed": seed, "done": done}


def in_order(seed: int) -> list[Unit]:
    """All units, those of each group shuffled, and the groups in turn: a short run has some of each."""
    from tests.campaign.proof_sequences import GROUPS
    from tmebox.verify.bases import TABLES

    shuffle = random.Random(seed)
    groups = [list(group(base)) for group in GROUPS for base in TABLES]
    for group in groups:
        shuffle.shuffle(group)
    return [unit for row in zip_longest(*groups) for unit in row if unit is not None]


PART = Proof()
