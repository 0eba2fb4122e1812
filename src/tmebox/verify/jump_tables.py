"""Jumps through tables that are part of the text: `jmp *TABLE(,%Rd,8)`, after `cmpl $N, %Rd; ja T` or a fact.

A text may end in tables: addresses of 8 bytes each, every one of which is the start of an instruction of the
text that control may arrive at. They lie in the code region, where no sandbox can write, so what was verified
is what the jump reads, and no register has to hold the target while it is checked.

The index is truncated to 32 bits (Rd is the lower half of R), so that a CPU that goes on before it has
compared reads no further than the first 4 GiB of the address space. So its lower half is what has to be
compared; `cmpq` says as much.

Without the comparison, a fact about R (`facts`) says what the jump can read: 2^k entries if R is below 2^k.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, Register

from tmebox.abi import TABLE_ENTRY
from tmebox.verify.decoded import Decoded
from tmebox.verify.registers import NAMES, NAMES_32

_COMPARES: Final = frozenset({Code.CMP_RM64_IMM8, Code.CMP_RM64_IMM32, Code.CMP_RAX_IMM32})
_COMPARES_32: Final = frozenset({Code.CMP_RM32_IMM8, Code.CMP_RM32_IMM32, Code.CMP_EAX_IMM32})
_JUMPS_IF_ABOVE: Final = frozenset({Code.JA_REL8_64, Code.JA_REL32_64})
_FLAT: Final = frozenset({Register.DS})
_NO_STEPS: Final[frozenset[str]] = frozenset()


def bounds(name: str) -> tuple[str, str]:
    """The whole register, or its lower half."""
    return f"cmpq $N, %{name}", f"cmpl $N, %{name} (32 bits)"


def jump(name: str) -> str:
    return f"jmp *TABLE(,%{name} (32 bits),8)"


JUMP_IF_ABOVE: Final = "ja T"


def sequences(name: str) -> list[tuple[str, ...]]:
    """N and TABLE are numbers; `verify` sees to it that N + 1 entries are there."""
    return [(bound, JUMP_IF_ABOVE, jump(name)) for bound in bounds(name)]


def table_steps(decoded: Decoded) -> frozenset[str]:
    """The steps that an instruction can be which only compares with a number or branches."""
    if decoded.code in _JUMPS_IF_ABOVE:
        return frozenset({JUMP_IF_ABOVE})
    for number, (codes, names) in enumerate(((_COMPARES, NAMES), (_COMPARES_32, NAMES_32))):
        name = names.get(decoded.first_register) if decoded.code in codes else None
        if name is not None:
            return frozenset({bounds(name)[number]})
    return _NO_STEPS


def index_of(decoded: Decoded) -> str | None:
    """R of an indirect jump whose target is at an absolute address plus 8 times Rd; None of any other."""
    operand = decoded.operand
    if decoded.code != Code.JMP_RM64 or operand is None or operand.base != Register.NONE:
        return None
    if operand.scale != TABLE_ENTRY or operand.has_override or operand.segment not in _FLAT:
        return None
    return NAMES_32.get(operand.index)
