"""What the verifier goes by when the window's base is in gs, and when it is in r15: all that differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tmebox.abi import TARGET_SHIFTS
from tmebox.verify import rules
from tmebox.verify.decoded import Decoded
from tmebox.verify.memory import AddressRule, offset_problem, through_gs
from tmebox.verify.memory_r15 import reserved_problem, through_r15
from tmebox.verify.sequences import SEQUENCES, Sequences


def _nothing_reserved(decoded: Decoded) -> str | None:
    return None


def _no_offset(offset: int) -> str | None:
    return None  # `through_r15` has refused it already


@dataclass(frozen=True, eq=False)
class Table:
    """memory_rule, address_rule: name and content of the rule for anything but stack accesses.
    offset_problem: what is wrong with a rip-relative operand at that offset. reserved_problem: what is
    wrong with the registers that an instruction writes. target_shift: which bits of the target map it uses.
    """

    base: str
    memory_rule: str
    address_rule: AddressRule
    offset_problem: Callable[[int], str | None]
    reserved_problem: Callable[[Decoded], str | None]
    sequences: Sequences
    target_shift: int


TABLES: Final = {
    "gs": Table(
        "gs",
        rules.MEMORY_THROUGH_GS,
        through_gs,
        offset_problem,
        _nothing_reserved,
        SEQUENCES["gs"],
        TARGET_SHIFTS["gs"],
    ),
    "r15": Table(
        "r15",
        rules.MEMORY_THROUGH_R15,
        through_r15,
        _no_offset,
        reserved_problem,
        SEQUENCES["r15"],
        TARGET_SHIFTS["r15"],
    ),
}
