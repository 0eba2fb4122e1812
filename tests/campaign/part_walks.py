"""Random texts whose claims are false in few places: what is accepted is walked through, and must not escape.

A text is mended until nothing is refused but that some way does not fulfil what is claimed of where it leads;
so a verifier that forgets to ask on such a way accepts the text. Then it is mended until it is accepted.
Where the other parts look at one instruction at a time, or at what a run happens to touch, here is what holds
between instructions: facts and depths on all ways, sequences, the target map, and frames.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any, Final

from tests.campaign.part import Tally
from tests.campaign.walk_claims import HONEST, Claims, Plan, claims, plan
from tests.campaign.walk_machine import Escape, Machine
from tests.campaign.walk_texts import ADDRESS, MIXES, Text, random_text
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, rules, verify

WALKS: Final = 15
"""Of each text that is accepted."""
MOST_MENDS: Final = 30
CLAIM_RULES: Final = (rules.CLAIMS_ABOUT_REGISTERS_HOLD, rules.STACK_DEPTH_KNOWN)


class Walks:
    name = "walks"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many texts were tried."""
        tally, number = Tally(), state or 0
        kinds: Counter[str] = Counter()
        while not tally.counts or time.monotonic() < deadline_s:
            one_text(seed, number, tally, kinds)
            number += 1
        tally.count("longjmps walked", kinds["longjmp"])
        tally.count("instructions walked", sum(kinds.values()))
        return tally, number


def one_text(seed: int, number: int, tally: Tally, kinds: Counter[str]) -> None:
    """Make it, have it verified with claims that are false and then with others, and walk through it. kinds:
    how many of each kind of item are walked, for tests."""
    rng = random.Random(f"{seed} {number}")
    mix = list(MIXES)[number % len(MIXES)]
    text = random_text(rng, mix)
    tally.count("texts tried")
    for how in (plan(rng, text), HONEST):
        made, verdict = mended(rng, text, how)
        if isinstance(verdict, VerifiedText):
            tally.count("texts accepted")
            tally.count("walks", WALKS)
            escape = walked(rng, text, verdict, kinds)
            if escape:
                tally.find(f"seed {seed}, text {number} ({mix}): {escape}\n{told(text, made)}")
            return
        tally.count("texts of which only false claims were refused", verdict.is_as_expected)
    tally.count("texts not mended")


class Refused:
    """is_as_expected: nothing was refused but the ways that claims do not hold on."""

    def __init__(self, is_as_expected: bool) -> None:
        self.is_as_expected = is_as_expected


def mended(rng: random.Random, text: Text, how: Plan) -> tuple[Claims, VerifiedText | Refused]:
    """Change the text until it is accepted, or only what comes by ignored ways is refused."""
    for _ in range(MOST_MENDS):
        text.settle()
        made = claims(text, how)
        try:
            return made, verify(text.code(), ADDRESS, **arguments(text, made))
        except VerificationError as error:
            found = [(text.number_at(one.address - ADDRESS), one.rule) for one in error.violations]
        untrue = {way.source for way in how.ignored}
        at_fault = {number for number, rule in found if number not in untrue or rule not in CLAIM_RULES}
        if not at_fault:
            return made, Refused(is_as_expected=True)
        text.mend(rng, at_fault, {way.target for way in how.ignored})
    return made, Refused(is_as_expected=False)


def arguments(text: Text, made: Claims) -> dict[str, Any]:
    """Of verify()."""
    addresses = [ADDRESS + start for start in text.starts()]
    facts, depths = sorted(made.facts), sorted(made.depths)
    return {
        "functions": [addresses[number] for number in text.functions],
        "labels": [addresses[number] for number in text.labels],
        "table_entries": len(text.table),
        "fact_places": [addresses[number] for number, _ in facts],
        "facts": [register << 8 | made.facts[number, register] for number, register in facts],
        "depth_places": [addresses[number] for number in depths],
        "depths": [made.depths[number] for number in depths],
    }


def walked(rng: random.Random, text: Text, verdict: VerifiedText, kinds: Counter[str]) -> str | None:
    """How a walk escapes, and which way it has come; None if none does."""
    for _ in range(WALKS):
        machine = Machine(rng, text, verdict, kinds)
        try:
            machine.walk()
        except Escape as escape:
            steps = ", ".join(
                f"{number} {text.items[number].kind} at {depth}" for number, depth in machine.steps
            )
            return f"{escape}; {steps}"
    return None


def told(text: Text, made: Claims) -> str:
    """All that reproduces it."""
    return f"verify(bytes.fromhex({text.code().hex()!r}), {ADDRESS:#x}, **{arguments(text, made)})"


PART = Walks()
