"""Rule `rsp-stays-in-private-half`: which instructions may change rsp, and what keeps it in check.

rsp is *anchored* when an access near it has just succeeded: the guards are wider than STACK_REACH, so rsp is
within the window's private half or its guards. Pushes, pops, calls and returns access what they move rsp
to. Adjustments by constants may add up to STACK_REACH before the next anchor.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, OpAccess, Register

from tmebox.abi import STACK_REACH
from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded, signed

_ADD_OR_SUBTRACT: Final = frozenset(
    {Code.ADD_RM64_IMM8, Code.ADD_RM64_IMM32, Code.SUB_RM64_IMM8, Code.SUB_RM64_IMM32}
)
_ALIGN: Final = frozenset({Code.AND_RM64_IMM8, Code.AND_RM64_IMM32})
_SURE: Final = frozenset({OpAccess.READ, OpAccess.WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE})


def adjustment(decoded: Decoded) -> int | None:
    """How far at most the instruction moves rsp, in bytes, if it is an adjustment; else None."""
    instruction = decoded.instruction
    if decoded.first_register != Register.RSP:
        return None
    if instruction.code in _ADD_OR_SUBTRACT:
        return abs(signed(instruction.immediate(1)))
    if instruction.code in _ALIGN:
        size = -signed(instruction.immediate(1))
        return size - 1 if size > 0 and size & (size - 1) == 0 else None
    if instruction.code == Code.LEA_R64_M:
        plain = instruction.memory_base == Register.RSP and instruction.memory_index == Register.NONE
        return abs(signed(instruction.memory_displacement)) if plain else None
    return None


def stack_problem(decoded: Decoded) -> str | None:
    """Why the instruction may change rsp nowhere but in a sequence, or None."""
    if Register.RSP not in decoded.written or adjustment(decoded) is not None:
        return None
    code = decoded.instruction.code
    if code in known.POPS and decoded.first_register == Register.RSP:
        return "it loads rsp from memory"
    if code in known.POPS or code in known.PUSHES or code in known.CALLS or code == Code.RETNQ:
        return None
    return "it writes rsp outside a rebase sequence"


def adjustment_problem(unanchored: int) -> str | None:
    """Why rsp may not have moved by so many bytes since its last anchor, or None."""
    if unanchored > STACK_REACH:
        return f"rsp moves by up to {unanchored:#x} bytes without an access; at most {STACK_REACH:#x} may be"
    return None


def is_anchor(decoded: Decoded) -> bool:
    """It surely accesses memory at a displacement from rsp, or faults."""
    if decoded.instruction.mnemonic in known.NO_SURE_ACCESS:
        return False
    return any(access.base == Register.RSP and access.access in _SURE for access in decoded.accesses)
