"""Rules `memory-through-gs` and `stack-access-bounded`: where an instruction can access memory.

gs confines an access when its address is computed in 32 bits, or is an offset in [0, 4 GiB) that does not
depend on registers: the sum with the window's base is in the window. Guards around the window and in its
middle catch what reaches over an edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from iced_x86 import Code, CodeSize, Register, RegisterExt

from tmebox.abi import GIB, STACK_REACH, WINDOW_SIZE
from tmebox.verify import instructions as known
from tmebox.verify import rules
from tmebox.verify.decoded import Decoded, signed
from tmebox.verify.rules import Refusal

ABSOLUTE_LIMIT: Final = 2 * GIB
"""A displacement is sign-extended: from here on it would be an offset 2 GiB below the window."""


def memory_problems(decoded: Decoded) -> Iterator[Refusal]:
    """Refusals for the written memory operand, and for everything else that the instruction accesses.

    A rip-relative operand is accepted here; `offset_problem` decides at the place where it stands.
    """
    instruction = decoded.instruction
    if decoded.accesses_operand:
        yield from _operand_problems(decoded)
    if instruction.code in known.STRINGS:
        return  # their sequence bounds them, and `canonical-encoding` refuses overrides
    for access in decoded.accesses:
        if instruction.is_ip_rel_memory_operand and access.displacement == instruction.memory_displacement:
            continue  # the written operand
        yield from _address_problems(
            access.segment, access.base, access.index, access.displacement, access.address_size
        )


def _operand_problems(decoded: Decoded) -> Iterator[Refusal]:
    instruction = decoded.instruction
    if instruction.is_vsib:
        yield rules.MEMORY_THROUGH_GS, "a vector of addresses"
    if instruction.code in known.BIT_TEST_WITH_REGISTER_OFFSET:
        yield rules.MEMORY_THROUGH_GS, "a bit offset in a register reaches far beyond the operand"
    if instruction.code == Code.POP_RM64 and instruction.memory_base in (Register.RSP, Register.ESP):
        yield rules.STACK_ACCESS_BOUNDED, "pop moves rsp before it computes its operand's address"
    if instruction.memory_base == Register.RSP and instruction.segment_prefix != Register.NONE:
        yield rules.STACK_ACCESS_BOUNDED, "a segment override on an access through rsp"
    narrow = any(RegisterExt.size(register) == 4 for register in decoded.address_registers)
    yield from _address_problems(
        instruction.memory_segment,
        instruction.memory_base,
        instruction.memory_index,
        instruction.memory_displacement,
        CodeSize.CODE32 if narrow else CodeSize.CODE64,
    )


def _address_problems(
    segment: int, base: int, index: int, displacement: int, address_size: int
) -> Iterator[Refusal]:
    if base == Register.RSP and segment == Register.SS:
        if index != Register.NONE:
            yield rules.STACK_ACCESS_BOUNDED, "an index register on an access through rsp"
        if abs(signed(displacement)) > STACK_REACH:
            yield rules.STACK_ACCESS_BOUNDED, f"further than {STACK_REACH:#x} bytes from rsp"
    elif segment != Register.GS:
        yield rules.MEMORY_THROUGH_GS, "an access to a host address"
    elif base == Register.EIP:
        yield rules.MEMORY_THROUGH_GS, "an address relative to eip"
    elif base == Register.NONE and index == Register.NONE:
        if displacement >= ABSOLUTE_LIMIT or address_size != CodeSize.CODE64:
            yield rules.MEMORY_THROUGH_GS, "an absolute offset outside [0, 2 GiB)"
    elif base != Register.RIP and address_size != CodeSize.CODE32:
        yield rules.MEMORY_THROUGH_GS, "an address in 64-bit registers is not confined to the window"


def offset_problem(offset: int) -> str | None:
    """Why a rip-relative operand that comes out at `offset` breaks `memory-through-gs`, or None."""
    return None if 0 <= offset < WINDOW_SIZE else "a rip-relative offset outside the window"
