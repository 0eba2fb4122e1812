"""Facts about registers: what one instruction makes true, and what an access needs to be true.

With the base in gs, an access may also go through a register that holds the window's base. A fact about a
register is a number: BASE, or how many bits there are in its value at most (0 to 32). `facts_everywhere` says
which facts hold where; here is what instructions have to do with them, whatever stands around them.

An access is `disp(%T)` or `disp(%T,%S,scale)`, where T holds the base. Without S, disp is an offset in
[0, 2 GiB). With S, either S is any offset: then it is not scaled, and the guards around the window are wider
than the displacement. Or S, scaled, is below 2 GiB: then the displacement may be an offset below 2 GiB, too.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from iced_x86 import Code, Register

from tmebox.abi import HOLDS_BASE, R15_REACH
from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded, signed
from tmebox.verify.memory import ABSOLUTE_LIMIT
from tmebox.verify.registers import NAMES, NAMES_32, NUMBERS
from tmebox.verify.sequences import load_base

BASE: Final = HOLDS_BASE
NOTHING: Final = 255
"""Nothing is known of the register."""
OFFSET_BITS: Final = 32
_BELOW_BITS: Final = ABSOLUTE_LIMIT.bit_length() - 1

_ARITHMETIC: Final = "ADD OR ADC SBB AND SUB XOR"
_FORMS: Final = "RM32_R32 R32_RM32 RM32_IMM8 RM32_IMM32 EAX_IMM32"
_MASKS: Final = frozenset({Code.AND_RM32_IMM8, Code.AND_RM32_IMM32, Code.AND_EAX_IMM32})
_SHIFTS: Final = frozenset(
    {
        Code.SHL_RM32_IMM8, Code.SAR_RM32_IMM8, Code.SHR_RM32_IMM8, Code.SHR_RM64_IMM8,
        Code.SHL_RM32_1, Code.SAR_RM32_1, Code.SHR_RM32_1,
    }
)  # fmt: skip
_SHIFTS_RIGHT: Final = frozenset({Code.SHR_RM32_IMM8, Code.SHR_RM32_1})
_EXTENSIONS: Final[dict[int, int]] = {
    Code.MOVZX_R32_RM8: 8,
    Code.MOVZX_R64_RM8: 8,
    Code.MOVZX_R32_RM16: 16,
    Code.MOVZX_R64_RM16: 16,
}
_WHOLE: Final = frozenset(
    {
        Code.MOV_R32_RM32, Code.MOV_RM32_R32, Code.MOV_R32_IMM32, Code.MOV_RM32_IMM32, Code.LEA_R32_M,
        Code.INC_RM32, Code.DEC_RM32, Code.NEG_RM32, Code.NOT_RM32, Code.MOVSX_R32_RM8, Code.MOVSX_R32_RM16,
        Code.IMUL_R32_RM32, Code.IMUL_R32_RM32_IMM8, Code.IMUL_R32_RM32_IMM32,
        *(getattr(Code, f"{name}_{form}") for name in _ARITHMETIC.split() for form in _FORMS.split()),
    }
)  # fmt: skip
"""These always write all 32 bits of their first operand, and so clear the upper half if that is a register.
Not here, though most CPUs clear it: conditional moves. Not here, since they may write nothing: bit scans (and
what is one to a CPU that does not know it), shifts by %cl."""
FILLING: Final = _WHOLE | _EXTENSIONS.keys() | _SHIFTS


class Access(NamedTuple):
    """What an access needs: `base` holds the window's base, and `offset`, if there is one, at most `bits`
    bits. Registers by number, -1 for none."""

    base: int
    offset: int
    bits: int


def left_by(decoded: Decoded) -> tuple[int, int] | None:
    """A register, by number, and the fact that the instruction makes true of it; None if it makes none."""
    code = decoded.code
    if code in FILLING:
        name = NAMES_32.get(decoded.first_register) or NAMES.get(decoded.first_register)
        bits = _bits(decoded)
        return (NUMBERS[name], bits) if name is not None and bits is not None else None
    if code == Code.MOV_R64_RM64:
        name = NAMES.get(decoded.first_register)
        if name is not None and decoded.encoding == load_base(NUMBERS[name]):
            return NUMBERS[name], BASE
    return None


def _bits(decoded: Decoded) -> int | None:
    code = decoded.code
    if code in _EXTENSIONS:
        return _EXTENSIONS[code]
    if code in _MASKS:
        value = signed(decoded.instruction.immediate(1))
        return value.bit_length() if 0 <= value < 1 << 31 else OFFSET_BITS
    if code in _SHIFTS:
        count = decoded.instruction.immediate(1)
        if code == Code.SHR_RM64_IMM8:
            return 64 - count if OFFSET_BITS <= count < 64 else None
        if not 0 < count < 32:
            return None
        return OFFSET_BITS - count if code in _SHIFTS_RIGHT else OFFSET_BITS
    return OFFSET_BITS


_FLAT: Final = frozenset({Register.DS, Register.SS})
"""Segments that start at 0 in 64-bit mode; with rbp as the base it is ss."""
_NEVER: Final = known.STRINGS | known.BRANCHES | known.MOVES_RSP | known.BIT_TEST_WITH_REGISTER_OFFSET
"""They access more than their operand, move rsp, or reach beyond their operand."""


def access_of(decoded: Decoded) -> Access | None:
    """What an instruction needs whose only access is through 64-bit registers other than rsp; None if it is
    no such instruction, or one that no facts make safe. None, too, if it writes rsp."""
    operand = decoded.operand
    if operand is None or operand.segment not in _FLAT or operand.has_override:
        return None
    base = NAMES.get(operand.base)
    if base is None or not decoded.accesses_operand or len(decoded.accesses) != 1:
        return None
    if decoded.code in _NEVER or Register.RSP in decoded.written or decoded.instruction.is_vsib:
        return None
    displacement = operand.displacement_i64
    if operand.index == Register.NONE:
        return Access(NUMBERS[base], -1, 0) if 0 <= displacement < ABSOLUTE_LIMIT else None
    index = NAMES.get(operand.index)
    if index is None or index == base:
        return None
    if operand.scale == 1 and abs(displacement) <= R15_REACH:
        return Access(NUMBERS[base], NUMBERS[index], OFFSET_BITS)
    if -R15_REACH <= displacement < ABSOLUTE_LIMIT:
        return Access(NUMBERS[base], NUMBERS[index], _BELOW_BITS - (operand.scale.bit_length() - 1))
    return None
