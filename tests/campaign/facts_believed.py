"""Where the verifier's beliefs about an encoding and the table of facts differ.

EXPLAINED says why a difference is none. What is not explained is a finding, whichever of the two is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from iced_x86 import Mnemonic, OpAccess, Register, RegisterExt

from tests.campaign.accepted_forms import Accepted
from tests.campaign.x86_facts_table import STATUS_FLAGS, X87_FLAGS, Effects, Fact, effects, facts_of

MNEMONICS: Final = {number: name.lower() for name, number in vars(Mnemonic).items() if name.isupper()}
_SURE: Final = frozenset({OpAccess.READ, OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})
_READS: Final = frozenset({OpAccess.READ, OpAccess.COND_READ, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})
_WRITES: Final = frozenset(
    {OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE}
)
_HARMLESS: Final = frozenset(("rip", "mxcsr")) | {f"st{number}" for number in range(8)}
_X87: Final = frozenset(("x87status", "x87pop", "x87push", "x87control", "x87tag", "x87opcode"))
"""State that the verifier lets code change, and keeps no book of."""

EXPLAINED: Final = (
    ("prefetchnta", "marked nontemporal", "a hint for the cache that stores nothing"),
    ("hlt", "marked ring0", "it always faults, and verified text stops by it"),
    (
        "int3",
        "writes flag (ac|if|nt|rf|tf|vif|vm)",
        "flags as the kernel's handler finds them; iret restores them",
    ),
    (
        "vp?maskmov(pd|ps|d|q)",
        "memory is accessed perhaps [rw], not [rw]",
        "iced says so; no anchor: NO_SURE_ACCESS",
    ),
)
"""Mnemonics and differences (both as expressions that match all of it), and the reason."""


def disagreements(form: Accepted, table: dict[str, list[Fact]]) -> list[str]:
    """Each difference between the two about one encoding that nothing explains, as a text."""
    mnemonic = MNEMONICS[form.decoded.instruction.mnemonic]
    return [
        f"{form.decoded.encoding.hex(' ')} {mnemonic}: {difference}"
        for difference in differences(form, table)
        if not any(
            re.fullmatch(mnemonics, mnemonic) and re.fullmatch(differences, difference)
            for mnemonics, differences, _ in EXPLAINED
        )
    ]


def differences(form: Accepted, table: dict[str, list[Fact]]) -> Iterator[str]:
    facts = facts_of(form.decoded.encoding, table)
    if not facts:
        yield "no fact"
        return
    told = {effects(form.decoded.encoding, fact) for fact in facts}
    if len(told) > 1:
        yield f"{len(told)} facts that differ"
        return
    (fact,) = told
    mnemonic = MNEMONICS[form.decoded.instruction.mnemonic]
    if fact.mnemonic != mnemonic:
        yield f"mnemonic {fact.mnemonic}"
    yield from _registers(form, fact)
    yield from _memory(form, fact)
    yield from _control(form, fact)
    yield from (f"writes flag {flag}" for flag in sorted(fact.flags_written - STATUS_FLAGS - X87_FLAGS))
    yield from (f"marked {mark}" for mark in sorted(fact.marks & {"ring0", "gather", "nontemporal"}))


def _registers(form: Accepted, fact: Effects) -> Iterator[str]:
    believed = {name for number in form.decoded.written if (name := _name(number))}
    named = {name for name in fact.writes if name not in _HARMLESS | _X87}
    yield from (f"also writes {name}" for name in sorted(named - believed))
    yield from (f"does not write {name}" for name in sorted(believed - named))


def _name(number: int) -> str | None:
    """A register's widest name as the table has it; None for those that no rule is about."""
    if RegisterExt.is_gpr(number):
        return next(name.lower() for name, value in vars(Register).items() if value == number)
    if RegisterExt.is_zmm(number) or RegisterExt.is_ymm(number) or RegisterExt.is_xmm(number):
        return f"vec{RegisterExt.number(number)}"
    return None if RegisterExt.is_st(number) else f"register {number}"


def _memory(form: Accepted, fact: Effects) -> Iterator[str]:
    decoded = form.decoded
    believed = sorted(
        (access.access in _READS, access.access in _WRITES, access.access in _SURE)
        for access in decoded.accesses
    )
    told = [operand for operand in fact.memory if not (fact.marks & {"nop", "prefetch"})]
    named = sorted(
        (
            "r" in operand.access,
            "w" in operand.access,
            operand.access[0] != "c" and "masked" not in fact.marks,
        )
        for operand in told
    )
    if [access[:2] for access in believed] != [access[:2] for access in named]:
        yield f"memory {_spelled(named)}, not {_spelled(believed)}"
    elif believed != named:
        yield f"memory is accessed {_spelled(named)}, not {_spelled(believed)}"
    if form.form.anchors and not all(
        operand.access[0] != "c" and "masked" not in fact.marks for operand in told if operand.what != "stack"
    ):
        yield "an anchor whose access depends"
    if decoded.accesses_operand and not any(operand.what == "operand" for operand in fact.memory):
        yield "no memory operand"
    if any(operand.bytes > 64 for operand in told):
        yield "more than 64 bytes at a time"


def _spelled(accesses: list[tuple[bool, bool, bool]]) -> str:
    return ",".join(("" if sure else "perhaps ") + "r" * r + "w" * w for r, w, sure in accesses) or "none"


def _control(form: Accepted, fact: Effects) -> Iterator[str]:
    kinds = fact.marks & {"branch", "jump", "call", "return"}
    if bool(kinds) != form.form.branches:
        yield f"control: {sorted(kinds)}"
    if ("call" in kinds) != form.form.calls:
        yield "a call, or none"
    if kinds & {"jump", "return"} and not form.form.ends:
        yield "control ends"
