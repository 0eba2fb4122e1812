"""What the verifier goes by when the window's base is in gs, and when it is in r15: all that differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tmebox.abi import TARGET_SHIFTS
from tmebox.verify import rules
from tmebox.verify.decoded import Decoded
from tmebox.verify.memory import MemoryRule, offset_problem, through_gs
from tmebox.verify.memory_r15 import reserved_refusal, through_r15
from tmebox.verify.rules import Refusal
from tmebox.verify.sequences import SEQUENCES, Sequences


def _nothing_reserved(decoded: Decoded) -> Refusal | None:
    return None


def _no_offset(offset: int) -> str | None:
    return None  # `through_r15` has refused it already


@dataclass(frozen=True, eq=False)
class Table:
    """memory: the rule for anything but stack accesses.
    offset_problem: what is wrong with a rip-relative operand at that offset. reserved_refusal: for the
    registers that an instruction writes. target_shift: which bits of the target map it uses. has_facts:
    accesses may go through registers about which facts are known. has_depth: its stack is the control stack.
    """

    base: str
    memory: MemoryRule
    offset_problem: Callable[[int], str | None]
    reserved_refusal: Callable[[Decoded], Refusal | None]
    sequences: Sequences
    target_shift: int
    has_facts: bool
    has_depth: bool = False


TABLES: Final = {
    "gs": Table(
        "gs",
        MemoryRule(rules.MEMORY_THROUGH_GS, through_gs, allows_override=True),
        offset_problem,
        _nothing_reserved,
        SEQUENCES["gs"],
        TARGET_SHIFTS["gs"],
        has_facts=True,
    ),
    "twin": Table(
        "gs",
        MemoryRule(rules.MEMORY_THROUGH_GS, through_gs, allows_override=True),
        offset_problem,
        _nothing_reserved,
        SEQUENCES["twin"],
        TARGET_SHIFTS["twin"],
        has_facts=True,
        has_depth=True,
    ),
    "r15": Table(
        "r15",
        MemoryRule(rules.MEMORY_THROUGH_R15, through_r15, allows_override=False),
        _no_offset,
        reserved_refusal,
        SEQUENCES["r15"],
        TARGET_SHIFTS["r15"],
        has_facts=False,
    ),
}
