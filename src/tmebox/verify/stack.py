"""Rule `rsp-stays-in-private-half`: which instructions may change rsp, and what keeps it in check.

rsp is *anchored* when an access near it has just succeeded: the guards are wider than STACK_REACH, so rsp is
within the window's private half or its guards. `anchors` lists what surely accesses memory: pushes, pops,
calls and returns what they move rsp to. Adjustments by constants may add up to STACK_REACH before the next.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, Register

from tmebox.abi import STACK_REACH
from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded, signed

_ADD_OR_SUBTRACT: Final = frozenset(
    {Code.ADD_RM64_IMM8, Code.ADD_RM64_IMM32, Code.SUB_RM64_IMM8, Code.SUB_RM64_IMM32}
)
_ALIGN: Final = frozenset({Code.AND_RM64_IMM8, Code.AND_RM64_IMM32})


def adjustment(decoded: Decoded) -> int | None:
    """How far at most the instruction moves rsp, in bytes, if it is an adjustment; else None."""
    instruction = decoded.instruction
    if decoded.first_register != Register.RSP:
        return None
    if decoded.code in _ADD_OR_SUBTRACT:
        return abs(signed(instruction.immediate(1)))
    if decoded.code in _ALIGN:
        size = -signed(instruction.immediate(1))
        return size - 1 if size > 0 and size & (size - 1) == 0 else None
    if decoded.code == Code.LEA_R64_M and decoded.operand is not None:
        plain = decoded.operand.base == Register.RSP and decoded.operand.index == Register.NONE
        return abs(decoded.operand.displacement_i64) if plain else None
    return None


def stack_problem(decoded: Decoded) -> str | None:
    """Why the instruction may change rsp nowhere but in a sequence, or None."""
    if Register.RSP not in decoded.written or adjustment(decoded) is not None:
        return None
    if decoded.code in known.POPS and decoded.first_register == Register.RSP:
        return "it loads rsp from memory"
    if decoded.opcode.moves_rsp:
        return None
    return "it writes rsp outside a rebase sequence"


def adjustment_problem(unanchored: int, branches: bool) -> str | None:
    """Why rsp may not have moved by so many bytes since its last anchor, here or at a branch; or None."""
    if unanchored > STACK_REACH:
        return f"rsp moves by more than {STACK_REACH:#x} bytes without an access"
    if unanchored and branches:
        return f"rsp moved by up to {unanchored:#x} bytes without an access before this branch"
    return None
