"""Accesses through a register that was loaded with the window's base just before.

With the base in gs, an access may also be `disp(%T,%S)` at the end of a sequence that puts 32 bits into S and
the window's base into T. Either S is any offset: then it is not scaled, and the guards around the window are
wider than the displacement. Or S has at most 16 bits: then it may be scaled and the displacement may be an
offset in [0, 2 GiB); the sum stays below 4 GiB.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, Register

from tmebox.abi import R15_REACH
from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded, signed
from tmebox.verify.memory import ABSOLUTE_LIMIT

_NAMES: Final = "rax rcx rdx rbx rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15"
NAMES: Final = {getattr(Register, name.upper()): name for name in _NAMES.split()}
"""Registers that may hold the base or the offset. Not rsp."""
INDEX_BITS: Final = 16
_FLAT: Final = frozenset({Register.DS, Register.SS})
"""Segments that start at 0 in 64-bit mode; with rbp as the base it is ss."""

_OFFSETS: Final = frozenset({Code.MOV_R32_RM32, Code.MOV_RM32_R32, Code.LEA_R32_M})
_EXTENSIONS: Final = frozenset(
    {Code.MOVZX_R32_RM8, Code.MOVZX_R32_RM16, Code.MOVZX_R64_RM8, Code.MOVZX_R64_RM16}
)
_MASKS: Final = frozenset({Code.AND_RM32_IMM8, Code.AND_RM32_IMM32, Code.AND_EAX_IMM32})
_SHIFTS: Final = frozenset({Code.SHR_RM32_IMM8})
_FILL: Final = _OFFSETS | _EXTENSIONS | _MASKS | _SHIFTS
"""What writes all 64 bits of its first operand if that is a register."""
_NO_STEPS: Final[frozenset[str]] = frozenset()
NAMES_32: Final = {
    getattr(Register, f"{name.upper()}D" if name[1:].isdigit() else f"E{name[1:].upper()}"): name
    for name in NAMES.values()
}
"""Their lower halves, by the same names."""


def offset_into(name: str) -> str:
    return f"a 32-bit offset into %{name}"


def index_into(name: str) -> str:
    return f"16 bits into %{name}"


def near_access(base: str, offset: str) -> str:
    return f"an access to near(%{base},%{offset})"


def indexed_access(base: str, offset: str) -> str:
    return f"an access to table(%{base},%{offset},scale)"


def offset_steps(decoded: Decoded) -> frozenset[str]:
    """The steps that an instruction is which leaves no more than 32 bits in its first operand."""
    code = decoded.code
    if code not in _FILL:
        return _NO_STEPS
    name = NAMES_32.get(decoded.first_register) or NAMES.get(decoded.first_register)
    if name is None:
        return _NO_STEPS
    if code in _OFFSETS:
        return frozenset({offset_into(name)})
    is_narrow = (
        code in _EXTENSIONS
        or (code in _MASKS and 0 <= signed(decoded.instruction.immediate(1)) < 1 << INDEX_BITS)
        or (code in _SHIFTS and 32 - INDEX_BITS <= decoded.instruction.immediate(1) < 32)
    )
    return frozenset({offset_into(name), index_into(name)}) if is_narrow else _NO_STEPS


def access_steps(decoded: Decoded) -> frozenset[str]:
    """The steps that an instruction is whose only access is to `disp(%T,%S,scale)`; none if it writes rsp."""
    operand = decoded.operand
    if operand is None or operand.segment not in _FLAT or operand.has_override:
        return _NO_STEPS
    base, offset = NAMES.get(operand.base), NAMES.get(operand.index)
    if base is None or offset is None or base == offset:
        return _NO_STEPS
    if not decoded.accesses_operand or len(decoded.accesses) != 1:
        return _NO_STEPS
    if decoded.code in _NEVER or Register.RSP in decoded.written:
        return _NO_STEPS
    displacement = operand.displacement_i64
    steps = []
    if operand.scale == 1 and abs(displacement) <= R15_REACH:
        steps.append(near_access(base, offset))
    if 0 <= displacement < ABSOLUTE_LIMIT:
        steps.append(indexed_access(base, offset))
    return frozenset(steps)


_NEVER: Final = known.STRINGS | known.BRANCHES | known.MOVES_RSP | known.BIT_TEST_WITH_REGISTER_OFFSET
"""They access more than their operand, move rsp, or reach beyond their operand."""
