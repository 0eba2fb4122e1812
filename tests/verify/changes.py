"""Accepted examples with one thing changed: a byte, a claim about a register, a claim about the stack.

Each change has to be refused or to be harmless, which is the second opinion's to say. There are 97,000:
tests take `some`, and the campaign goes through all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.verify.corpus import ACCEPT, Example
from tests.verify.opinions import ADDRESS, Text, accepted, base_of, claims_of, parts
from tests.verify.recheck import Claimed
from tests.verify.recheck_depth import MOST
from tmebox import abi

NUMBERS: Final = (-1, 0, 8, 16, 31, 32, 33, 63, abi.HOLDS_BASE, 65, 255)
"""Facts, and what is none."""
DEPTHS: Final = (0, 8, 16, 24, MOST - 8, MOST, MOST + 1, -8)
LIST_BYTES: Final = 500
"""A longer example lists what tables name; shorter ones have some of each kind, and `some` leaves it out."""
SHORT_BYTES: Final = 100
STEP: Final = 7
"""Of an example that is not short, `some` has each change whose number this divides. It is prime to how many
changes a place has, so that each kind of change comes up."""


@dataclass(frozen=True)
class Change:
    """what: names it in a message. example: what it was made of."""

    what: str
    example: Example
    code: bytes
    claimed: Claimed

    def survivor(self) -> Text | None:
        """It as a text with the verifier's verdict, if that accepts it."""
        entries = self.example.table_entries
        verdict = accepted(self.code, ADDRESS, base_of(self.example), entries, self.claimed)
        return parts(self.example, self.code, self.claimed, verdict) if verdict else None


def with_flipped_bytes(what: str, example: Example) -> Iterator[Change]:
    """Each bit of each byte, and each byte replaced by `nop` or `hlt`."""
    claimed = claims_of(example)
    for position, byte in enumerate(example.code):
        for changed in sorted({byte ^ (1 << bit) for bit in range(8)} | {0x90, 0xF4} - {byte}):
            code = example.code[:position] + bytes([changed]) + example.code[position + 1 :]
            yield Change(f"{what}, byte {position} = {changed:#04x}", example, code, claimed)


def with_other_facts(what: str, example: Example) -> Iterator[Change]:
    """What else could be said of registers: one claim more, less, elsewhere, or another one."""
    own, original = example.facts, claims_of(example)
    if not own:
        return
    changed = [(*own[:index], *own[index + 1 :]) for index in range(len(own))]
    wanted = {fact >> 8 for _, fact in own} | {11}
    for place in places(example):
        for register, number in itertools.product(wanted, NUMBERS):
            others = [one for one in own if (one[0], one[1] >> 8) != (place, register)]
            changed.append(tuple(sorted([*others, (place, register << 8 | number & 0xFF)])))
    for facts in changed:
        yield Change(f"{what}, {facts}", example, example.code, replace(original, facts=facts))


def with_other_depths(what: str, example: Example) -> Iterator[Change]:
    """A claim about the stack dropped, moved, said twice, of another depth; and one more."""
    own, original = example.depths, claims_of(example)
    if not own:
        return
    changed: list[tuple[tuple[int, int], ...]] = []
    for index, (place, depth) in enumerate(own):
        before, behind = own[:index], own[index + 1 :]
        changed += [(*before, *behind), (*before, own[index], *own[index:])]
        changed += [
            (*before, (place, other), *behind) for other in (*DEPTHS, depth + 8, depth - 8, depth + 1)
        ]
        changed += [
            tuple(sorted((*before, (place + step, depth), *behind))) for step in (-8, -2, -1, 1, 2, 5)
        ]
        if behind:
            changed.append((*before, behind[0], own[index], *behind[1:]))
    taken = {place for place, _ in own}
    for place in places(example):
        if place not in taken:
            changed += [tuple(sorted((*own, (place, depth)))) for depth in (0, 8, 24)]
    claims = [replace(original, depths=depths) for depths in dict.fromkeys(changed)] + [
        replace(original, labels=(*original.labels, *original.functions)),
        replace(original, functions=(*original.functions, *original.labels)),
        replace(original, functions=original.labels, labels=original.functions),
        replace(original, functions=(*original.functions, ADDRESS + 1)),
        replace(original, labels=(*original.labels, *(place for place, _ in own))),
    ]
    for claimed in claims:
        named = f"{claimed.functions}, {claimed.labels}, {claimed.depths}"
        yield Change(f"{what}, {named}", example, example.code, claimed)


def places(example: Example) -> range:
    """Every address in its instructions, and their end."""
    size_bytes = len(example.code) - example.table_entries * abi.TABLE_ENTRY
    return range(ADDRESS, ADDRESS + size_bytes + 1)


Kind = Callable[[str, Example], Iterator[Change]]
KINDS: Final[tuple[Kind, ...]] = (with_flipped_bytes, with_other_facts, with_other_depths)


def changeable(examples: dict[Path, Example], base: str) -> dict[str, Example]:
    """The accepted examples for `base` that the second opinion can judge."""
    return {
        source.stem: example
        for source, example in examples.items()
        if source.parent == ACCEPT and base_of(example) == base
        if (example.isolation, example.address) == ("code+data", ADDRESS)
    }


def some(kind: Kind, examples: dict[str, Example]) -> Iterator[Change]:
    """All changes of short examples, every STEP-th of others, and none of lists."""
    for what, example in examples.items():
        if len(example.code) > LIST_BYTES:
            continue
        step = 1 if len(example.code) <= SHORT_BYTES else STEP
        yield from itertools.islice(kind(what, example), 0, None, step)


def survivors_of(changes: Iterable[Change]) -> tuple[dict[str, Text], int]:
    """What is still accepted, and how much is refused."""
    survivors: dict[str, Text] = {}
    refused = 0
    for change in changes:
        text = change.survivor()
        if text:
            survivors[change.what] = text
        else:
            refused += 1
    return survivors, refused
