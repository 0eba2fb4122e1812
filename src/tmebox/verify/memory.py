"""Rules `memory-through-gs` and `stack-access-bounded`: where an instruction can access memory.

What holds whatever the base is in is here too; `memory_r15` is the other rule.

gs confines an access when its address is computed in 32 bits, or is an offset in [0, 4 GiB) that does not
depend on registers: the sum with the window's base is in the window. Guards around the window and in its
middle catch what reaches over an edge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from iced_x86 import Code, CodeSize, Register

from tmebox.abi import GIB, STACK_REACH, WINDOW_SIZE
from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.decoded import Address, Decoded, Operand
from tmebox.verify.rules import Refusal

ABSOLUTE_LIMIT: Final = 2 * GIB
"""A displacement is sign-extended: from here on it would be an offset 2 GiB below the window."""


@dataclass(frozen=True)
class MemoryRule:
    """Where anything but a plain stack access may go: what differs with where the window's base is.

    refusal: why an address is not confined. allows_override: operands may have a segment prefix.
    """

    name: str
    refusal: Callable[[Address], Refusal | None]
    allows_override: bool


def memory_refusals(decoded: Decoded, rule: MemoryRule) -> list[Refusal | None]:
    """For the written memory operand, and for everything else that the instruction accesses.

    A rip-relative operand is accepted here; `offset_problem` decides at the place where it stands.
    """
    refusals: list[Refusal | None] = []
    operand = decoded.operand
    if operand is not None and decoded.accesses_operand:
        refusals.append(_operand_refusal(decoded, operand, rule) or _address_refusal(operand, rule))
    if decoded.opcode.is_string:
        return refusals  # their sequence bounds them, and `canonical-encoding` refuses overrides
    by_place = decoded.instruction.is_ip_rel_memory_operand
    for access in decoded.accesses:
        if by_place and access.displacement == decoded.instruction.memory_displacement:
            continue  # the written operand
        refusals.append(_address_refusal(access, rule))
    return refusals


def _operand_refusal(decoded: Decoded, operand: Operand, rule: MemoryRule) -> Refusal | None:
    if decoded.instruction.is_vsib:
        return rule.name, "a vector of addresses"
    if decoded.code in known.BIT_TEST_WITH_REGISTER_OFFSET:
        return rule.name, "a bit offset in a register reaches far beyond the operand"
    if decoded.code == Code.POP_RM64 and operand.base in (Register.RSP, Register.ESP):
        return rules.STACK_ACCESS_BOUNDED, "pop moves rsp before it computes its operand's address"
    if operand.has_override and operand.base == Register.RSP:
        return rules.STACK_ACCESS_BOUNDED, "a segment override on an access through rsp"
    if operand.has_override and not rule.allows_override:
        return rule.name, "a segment override"
    return None


def _address_refusal(address: Address, rule: MemoryRule) -> Refusal | None:
    if address.base != Register.RSP or address.segment != Register.SS:
        return rule.refusal(address)
    if address.index != Register.NONE:
        return rules.STACK_ACCESS_BOUNDED, "an index register on an access through rsp"
    if abs(address.displacement_i64) > STACK_REACH:
        return rules.STACK_ACCESS_BOUNDED, f"further than {STACK_REACH:#x} bytes from rsp"
    return None


def through_gs(address: Address) -> Refusal | None:
    """Rule `memory-through-gs`."""
    if address.segment != Register.GS:
        return rules.MEMORY_THROUGH_GS, "an access to a host address"
    if address.base == Register.EIP:
        return rules.MEMORY_THROUGH_GS, "an address relative to eip"
    if address.base == Register.NONE and address.index == Register.NONE:
        if not 0 <= address.displacement_i64 < ABSOLUTE_LIMIT or address.address_size != CodeSize.CODE64:
            return rules.MEMORY_THROUGH_GS, "an absolute offset outside [0, 2 GiB)"
    elif address.base != Register.RIP and address.address_size != CodeSize.CODE32:
        return rules.MEMORY_THROUGH_GS, "an address in 64-bit registers is not confined to the window"
    return None


def offset_problem(offset: int) -> str | None:
    """Why a rip-relative operand that comes out at `offset` breaks `memory-through-gs`, or None."""
    return None if 0 <= offset < WINDOW_SIZE else "a rip-relative offset outside the window"
