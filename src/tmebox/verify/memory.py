"""Rules `memory-through-gs` and `stack-access-bounded`: where an instruction can access memory.

What holds whatever the base is in is here too; `memory_r15` is the other rule.

gs confines an access when its address is computed in 32 bits, or is an offset in [0, 4 GiB) that does not
depend on registers: the sum with the window's base is in the window. Guards around the window and in its
middle catch what reaches over an edge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from iced_x86 import Code, CodeSize, Register, RegisterExt

from tmebox.abi import GIB, STACK_REACH, WINDOW_SIZE
from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.decoded import Decoded, signed
from tmebox.verify.rules import Refusal

ABSOLUTE_LIMIT: Final = 2 * GIB
"""A displacement is sign-extended: from here on it would be an offset 2 GiB below the window."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address as an instruction spells it. size: a CodeSize, of its computation."""

    segment: int
    base: int
    index: int
    scale: int
    displacement: int
    size: int
    has_override: bool


AddressRule = Callable[[Address], Iterator[Refusal]]
"""Where anything but a plain stack access may go."""


def memory_problems(decoded: Decoded, rule: str, address_rule: AddressRule) -> Iterator[Refusal]:
    """Refusals for the written memory operand, and for everything else that the instruction accesses.

    `rule`: the name that `address_rule` goes by.

    A rip-relative operand is accepted here; `offset_problem` decides at the place where it stands.
    """
    instruction = decoded.instruction
    if decoded.accesses_operand:
        yield from _operand_problems(decoded, rule, address_rule)
    if instruction.code in known.STRINGS:
        return  # their sequence bounds them, and `canonical-encoding` refuses overrides
    for access in decoded.accesses:
        if instruction.is_ip_rel_memory_operand and access.displacement == instruction.memory_displacement:
            continue  # the written operand
        address = Address(
            access.segment,
            access.base,
            access.index,
            access.scale,
            access.displacement,
            access.address_size,
            has_override=False,
        )
        yield from _address_problems(address, address_rule)


def _operand_problems(decoded: Decoded, rule: str, address_rule: AddressRule) -> Iterator[Refusal]:
    instruction = decoded.instruction
    if instruction.is_vsib:
        yield rule, "a vector of addresses"
    if instruction.code in known.BIT_TEST_WITH_REGISTER_OFFSET:
        yield rule, "a bit offset in a register reaches far beyond the operand"
    if instruction.code == Code.POP_RM64 and instruction.memory_base in (Register.RSP, Register.ESP):
        yield rules.STACK_ACCESS_BOUNDED, "pop moves rsp before it computes its operand's address"
    if instruction.memory_base == Register.RSP and instruction.segment_prefix != Register.NONE:
        yield rules.STACK_ACCESS_BOUNDED, "a segment override on an access through rsp"
    narrow = any(RegisterExt.size(register) == 4 for register in decoded.address_registers)
    address = Address(
        instruction.memory_segment,
        instruction.memory_base,
        instruction.memory_index,
        instruction.memory_index_scale,
        instruction.memory_displacement,
        CodeSize.CODE32 if narrow else CodeSize.CODE64,
        has_override=instruction.segment_prefix != Register.NONE,
    )
    yield from _address_problems(address, address_rule)


def _address_problems(address: Address, address_rule: AddressRule) -> Iterator[Refusal]:
    if address.base != Register.RSP or address.segment != Register.SS:
        yield from address_rule(address)
        return
    if address.index != Register.NONE:
        yield rules.STACK_ACCESS_BOUNDED, "an index register on an access through rsp"
    if abs(signed(address.displacement)) > STACK_REACH:
        yield rules.STACK_ACCESS_BOUNDED, f"further than {STACK_REACH:#x} bytes from rsp"


def through_gs(address: Address) -> Iterator[Refusal]:
    """Rule `memory-through-gs`."""
    if address.segment != Register.GS:
        yield rules.MEMORY_THROUGH_GS, "an access to a host address"
    elif address.base == Register.EIP:
        yield rules.MEMORY_THROUGH_GS, "an address relative to eip"
    elif address.base == Register.NONE and address.index == Register.NONE:
        if address.displacement >= ABSOLUTE_LIMIT or address.size != CodeSize.CODE64:
            yield rules.MEMORY_THROUGH_GS, "an absolute offset outside [0, 2 GiB)"
    elif address.base != Register.RIP and address.size != CodeSize.CODE32:
        yield rules.MEMORY_THROUGH_GS, "an address in 64-bit registers is not confined to the window"


def offset_problem(offset: int) -> str | None:
    """Why a rip-relative operand that comes out at `offset` breaks `memory-through-gs`, or None."""
    return None if 0 <= offset < WINDOW_SIZE else "a rip-relative offset outside the window"
