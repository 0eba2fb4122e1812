"""Forms that surely access their memory operand: those that may keep rsp in check.

Default deny, like everything here: what is in no row is no anchor, though it be accepted. A form belongs here
only if it either accesses its operand or faults, whatever the FPU and MXCSR hold, whatever its other operands
are. So none of the following does, each of which may complete without its access:

- x87 instructions: a store with an exception that is unmasked;
- shifts and rotations by zero, conditional moves, masked moves, string instructions that repeat zero times;
- prefetches, nops, and what else only computes an address.

Tests run every form of every row on the processor.
"""

from __future__ import annotations

from typing import Final

from iced_x86 import Code, Register

from tmebox.verify import instructions as known
from tmebox.verify.decoded import Decoded

_STORE: Final = "rm8_r8 rm16_r16 rm32_r32 rm64_r64"
_LOAD: Final = "r8_rm8 r16_rm16 r32_rm32 r64_rm64"
_CONSTANT: Final = "rm8_imm8 rm16_imm16 rm32_imm32 rm64_imm32"
_BYTE_CONSTANT: Final = "rm16_imm8 rm32_imm8 rm64_imm8"
_ONE: Final = "rm8 rm16 rm32 rm64"
_BINARY: Final = f"{_STORE} {_LOAD} {_CONSTANT} {_BYTE_CONSTANT}"
_XMM: Final = "xmm_xmmm128 xmmm128_xmm"
_YMM: Final = "ymm_ymmm256 ymmm256_ymm"

_ROWS: Final = {
    "mov": f"{_STORE} {_LOAD} {_CONSTANT}",
    "movzx": "r16_rm8 r32_rm8 r64_rm8 r32_rm16 r64_rm16",
    "movsx": "r16_rm8 r32_rm8 r64_rm8 r32_rm16 r64_rm16",
    "movsxd": "r64_rm32",
    "add": _BINARY,
    "or": _BINARY,
    "adc": _BINARY,
    "sbb": _BINARY,
    "and": _BINARY,
    "sub": _BINARY,
    "xor": _BINARY,
    "cmp": _BINARY,
    "test": f"{_STORE} {_CONSTANT}",
    "inc": _ONE,
    "dec": _ONE,
    "neg": _ONE,
    "not": _ONE,
    "imul": "r16_rm16 r32_rm32 r64_rm64 r16_rm16_imm8 r32_rm32_imm8 r64_rm64_imm8 "
    "r16_rm16_imm16 r32_rm32_imm32 r64_rm64_imm32",
    "movss": "xmm_xmmm32 xmmm32_xmm",
    "movsd": "xmm_xmmm64 xmmm64_xmm",
    "movd": "xmm_rm32 rm32_xmm",
    "movq": "xmm_xmmm64 xmmm64_xmm",
    "movaps": _XMM,
    "movups": _XMM,
    "movapd": _XMM,
    "movupd": _XMM,
    "movdqa": _XMM,
    "movdqu": _XMM,
    "vex_vmovss": "xmm_m32 m32_xmm",
    "vex_vmovsd": "xmm_m64 m64_xmm",
    "vex_vmovd": "xmm_rm32 rm32_xmm",
    "vex_vmovq": "xmm_xmmm64 xmmm64_xmm",
    "vex_vmovaps": f"{_XMM} {_YMM}",
    "vex_vmovups": f"{_XMM} {_YMM}",
    "vex_vmovapd": f"{_XMM} {_YMM}",
    "vex_vmovupd": f"{_XMM} {_YMM}",
    "vex_vmovdqa": f"{_XMM} {_YMM}",
    "vex_vmovdqu": f"{_XMM} {_YMM}",
}
"""Instruction, and the operands of its forms, as iced spells them."""

WITH_OPERAND: Final = frozenset(
    getattr(Code, f"{name}_{operands}".upper()) for name, row in _ROWS.items() for operands in row.split()
)
"""Anchors if they have a memory operand, and it is at rsp."""
WITHOUT_OPERAND: Final = known.MOVES_RSP
"""Anchors wherever their operand is: they access what rsp points at, or what they move it to."""


def is_anchor(decoded: Decoded) -> bool:
    """It surely accesses memory at a displacement from rsp, or faults."""
    if decoded.code in WITHOUT_OPERAND:
        return True
    operand = decoded.operand
    return (
        decoded.code in WITH_OPERAND
        and operand is not None
        and operand.base == Register.RSP
        and operand.index == Register.NONE
        and operand.segment == Register.SS
    )
