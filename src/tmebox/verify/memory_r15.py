"""Rules `memory-through-r15` and `reserved-registers-kept`: the window's base in r15, an offset in r14.

r15 is the base when verified code is entered, and nothing writes it. r14 is 0 then, and whatever writes it
writes 32 bits, which clears the upper half. So r15 plus r14 is in the window at any instruction, wherever
control came from, and the guards are wider than the displacements that may be added.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, CodeSize, Register

from tmebox.abi import R15_REACH
from tmebox.verify import rules
from tmebox.verify.decoded import Address, Decoded
from tmebox.verify.memory import ABSOLUTE_LIMIT
from tmebox.verify.rules import Refusal

_WRITES_OFFSET: Final = frozenset(
    {Code.MOV_R32_RM32, Code.MOV_RM32_R32, Code.MOV_R32_IMM32, Code.MOV_RM32_IMM32, Code.LEA_R32_M}
)
"""Always write all of their first operand, and nothing else."""


def through_r15(address: Address) -> Refusal | None:
    """Rule `memory-through-r15`."""
    if address.segment != Register.DS:
        return rules.MEMORY_THROUGH_R15, "a segment other than ds"
    if address.base != Register.R15 or address.address_size != CodeSize.CODE64:
        return rules.MEMORY_THROUGH_R15, "an access to a host address: its base is not r15"
    if address.index == Register.NONE:
        if not 0 <= address.displacement_i64 < ABSOLUTE_LIMIT:
            return rules.MEMORY_THROUGH_R15, "a constant offset outside [0, 2 GiB)"
    elif address.index != Register.R14 or address.scale != 1:
        return rules.MEMORY_THROUGH_R15, "an index that is not r14, or that is scaled"
    elif abs(address.displacement_i64) > R15_REACH:
        return rules.MEMORY_THROUGH_R15, f"further than {R15_REACH:#x} bytes from r15 plus r14"
    return None


def reserved_refusal(decoded: Decoded) -> Refusal | None:
    """Rule `reserved-registers-kept`."""
    if Register.R15 in decoded.written:
        return rules.RESERVED_REGISTERS_KEPT, "it writes r15"
    if Register.R14 not in decoded.written:
        return None
    if decoded.code in _WRITES_OFFSET and decoded.first_register == Register.R14D:
        return None
    return rules.RESERVED_REGISTERS_KEPT, "it writes r14, and is not a 32-bit `mov` or `lea`"
