"""What is claimed of the texts of the part `walks`: what holds on all ways to a place but for a few.

Depths and facts are found by following the text's ways until nothing changes, which is what the verifier does
not do. A way that is left out makes claims that are true for whoever comes another way, and perhaps false
for who comes this one: the verifier has to see it, whatever else is right.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.campaign import walk_items as make
from tests.campaign.walk_items import BRANCHES, CALLS, ENDS, REGISTERS, SLOT, Item
from tests.campaign.walk_texts import Text
from tmebox import abi

BASE: Final = abi.HOLDS_BASE


class Way(NamedTuple):
    """By which control may go from one item to another. kind: "next", "branch" or "table"."""

    source: int
    target: int
    kind: str


class Known(NamedTuple):
    """What is known at an item. facts: of registers, as claims have them."""

    depth: int
    facts: dict[int, int]


@dataclass
class Claims:
    """depths: by item. facts: by item and register."""

    depths: dict[int, int] = field(default_factory=dict)
    facts: dict[tuple[int, int], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How claims are made, whatever becomes of the text; without anything, honestly.

    ignored: ways that they need not hold on. invented: what is taken to be known where only such ways lead.
    silent: items of which nothing is claimed. wrong: claims that are made besides.
    """

    ignored: frozenset[Way] = frozenset()
    invented: dict[int, Known] = field(default_factory=dict)
    silent: frozenset[int] = frozenset()
    wrong: Claims = field(default_factory=Claims)


HONEST: Final = Plan()


def claims(text: Text, plan: Plan) -> Claims:
    found = Claims()
    for number, known in _known(text, plan.ignored, plan.invented).items():
        if number in plan.silent:
            continue
        if known.depth >= 0:
            found.depths[number] = known.depth
        if not _has_no_facts(text, number):
            found.facts.update(((number, register), fact) for register, fact in known.facts.items())
    found.depths.update(plan.wrong.depths)
    found.facts.update(plan.wrong.facts)
    return found


def ways(text: Text) -> list[Way]:
    """All but those into functions, and back from them."""
    found = []
    for number, item in enumerate(text.items):
        if item.kind in BRANCHES and item.kind not in CALLS:
            found.append(Way(number, item.target, "branch"))
        if item.kind == "table":
            found += [Way(number, target, "table") for target in sorted(set(text.table))]
        if item.kind not in ENDS and number + 1 < len(text.items):
            found.append(Way(number, number + 1, "next"))
    return found


def _has_no_facts(text: Text, number: int) -> bool:
    """No claims about registers may be there, or none can be true."""
    comes_back = number > 0 and text.items[number - 1].kind in CALLS
    is_target = number in text.functions or number in text.labels
    return comes_back or is_target or text.items[number].is_inside


# -- what is known -----------------------------------------------------------------------------------------


def _entries(text: Text) -> dict[int, Known]:
    """Where control comes from elsewhere."""
    called = [item.target for item in text.items if item.kind == "call"]
    return {
        **{label: Known(depth, {}) for label, depth in text.labels.items()},
        **{number: Known(0, {}) for number in (*text.functions, *called)},
    }


def _known(text: Text, ignored: Collection[Way], invented: dict[int, Known]) -> dict[int, Known]:
    """At each item that control comes to by a way that is not ignored. Of the depth, who comes first says
    it; facts are what all ways agree about."""
    found = {**invented, **_entries(text)}
    followed = [way for way in ways(text) if way not in ignored]
    is_changing = True
    while is_changing:
        is_changing = False
        for way in followed:
            if way.source in found:
                known = _after(text.items[way.source], found[way.source])
                if way.target in found:
                    known = Known(found[way.target].depth, _both(found[way.target].facts, known.facts))
                if known != found.get(way.target):
                    found[way.target] = known
                    is_changing = True
    return found


def _after(item: Item, known: Known) -> Known:
    facts = {register: fact for register, fact in known.facts.items() if register not in item.writes}
    if item.leaves is not None:
        facts[item.register] = item.leaves
    return Known(known.depth + item.deepens, facts)


def _both(first: dict[int, int], second: dict[int, int]) -> dict[int, int]:
    """What is true of either."""
    found = {}
    for register in sorted(first.keys() & second.keys()):
        facts = {first[register], second[register]}
        if BASE not in facts or len(facts) == 1:
            found[register] = max(facts)
    return found


# -- what is claimed falsely -------------------------------------------------------------------------------


def plan(rng: random.Random, text: Text) -> Plan:
    """Ignore a few ways, and have the text do what is fatal to who comes there by one of them."""
    reached = _known(text, (), {})
    every = [way for way in ways(text) if way.source in reached and way.target not in _entries(text)]
    ignored: set[Way] = set()
    invented: dict[int, Known] = {}
    for _ in range(rng.choice((1, 1, 1, 2)) if every else 0):
        kind = rng.choice(sorted({way.kind for way in every}))
        if rng.random() < 0.5 and any(way.kind == "table" for way in every):
            kind = "table"
        way = rng.choice([way for way in every if way.kind == kind])
        is_table = kind == "table"  # several jumps may share the entry
        ignored.update(one for one in every if one == way or (is_table and one.target == way.target))
        _ignore(rng, text, way, ignored, invented)
    silence = rng.choice((0, 0, 0.1))
    silent = frozenset(number for number in range(len(text.items)) if rng.random() < silence)
    wrong = _wrong(rng, text) if rng.random() < 0.2 else Claims()
    return Plan(frozenset(ignored), invented, silent, wrong)


def _ignore(
    rng: random.Random, text: Text, way: Way, ignored: Collection[Way], invented: dict[int, Known]
) -> None:
    """See to it that something is claimed of the way's target that who comes by it does not fulfil, and have
    it fail there. Either who runs into the target fulfils it, or nobody does."""
    honest = _known(text, (), {}).get(way.source, Known(0, {}))
    coming = _after(text.items[way.source], honest)
    register = rng.choice([one for one in REGISTERS if coming.facts.get(one) != BASE])
    is_about_facts = rng.random() < 0.6
    before = way.target - 1
    if way.kind != "next" and before >= 0 and before != way.source and _is_alone(text, before):
        if is_about_facts and (before < way.source or rng.random() < 0.5):
            text.items[before] = make.load_base(register)
        elif before > way.source:
            text.items[before] = make.stop(by_ud2=False)
    if all(one.target != way.target for one in ways(text) if one not in ignored):
        depth = coming.depth if is_about_facts else coming.depth + rng.choice((SLOT, -SLOT))
        invented[way.target] = Known(max(0, depth), {register: BASE} if is_about_facts else {})
    claimed = _known(text, ignored, invented).get(way.target)
    if claimed is not None and rng.random() < 0.8:
        fatal = _fatal(rng, coming, claimed)
        is_last = way.target == len(text.items) - 1
        if fatal is not None and _is_alone(text, way.target) and (not is_last or fatal.kind in ENDS):
            text.items[way.target] = fatal


def _is_alone(text: Text, number: int) -> bool:
    """It is in no sequence."""
    return not any(item.is_inside for item in text.items[number : number + 2])


def _fatal(rng: random.Random, coming: Known, claimed: Known) -> Item | None:
    """Something that is good where the claims are true, and bad for who comes with less."""
    missing = [
        register
        for register, fact in claimed.facts.items()
        if _both({register: fact}, coming.facts) != {register: fact}
    ]
    bases = [register for register, fact in claimed.facts.items() if fact == BASE]
    choices: list[Item] = []
    for register in missing:
        if register in bases:
            choices.append(make.access(rng.choice(REGISTERS), register, 0))
        elif bases:
            choices.append(make.access(rng.choice(REGISTERS), rng.choice(bases), 0, register))
    if coming.depth != claimed.depth:
        below = make.store(rng.choice(REGISTERS), claimed.depth - SLOT, SLOT)
        choices.append(below if claimed.depth else make.ret())
    return rng.choice(choices) if choices else None


def _wrong(rng: random.Random, text: Text) -> Claims:
    """Claims that nobody has looked at: anything anywhere, and what accesses need, shortly before them."""
    found = Claims()
    for number, item in enumerate(text.items):
        if rng.random() < 0.05:
            found.depths[number] = rng.choice((0, 8, 16, 24))
        if rng.random() < 0.05:
            found.facts[number, rng.choice(REGISTERS)] = rng.choice((BASE, BASE, 32, 31, 8))
        if item.kind == "access" and rng.random() < 0.3:
            place = max(0, number - rng.randrange(4))
            found.facts[place, item.source] = BASE
            if item.index >= 0:
                bits = 32 if item.scale == 1 else 31 - (item.scale.bit_length() - 1)
                found.facts[place, item.index] = bits
    return found
