"""Which encodings have the same form, because they differ in nothing but numbers that no form depends on.

Most encodings of a text differ in such a number only: how far a branch goes, a constant, a displacement. So
one of them is classified for all. Where a number matters in the end, a form has its `Field`, and the number
is looked at where the instruction stands. What is not surely one of the cases below stands for itself.
"""

from __future__ import annotations

from typing import Final

from tmebox.abi import SPILL_TARGET

_REX: Final = (b"", *(bytes([rex]) for rex in range(0x40, 0x50)))
_SUMS: Final = [
    0xC0 | field << 3 | register for field in (0, 1, 2, 3, 5, 6, 7) for register in (0, 1, 2, 3, 5, 6, 7)
]
"""ModRM of sums and comparisons of a number and a register but rsp. Not of `and`: what it leaves in a
register has as many bits as the number."""
_BEFORE_1_BYTE: Final = frozenset(
    [bytes([opcode]) for opcode in (*range(0x70, 0x80), 0xEB)]
    + [rex + bytes([0x83, fields]) for rex in _REX for fields in _SUMS]
)
_BEFORE_4_BYTES: Final = frozenset(
    [b"\xe8", b"\xe9", *(bytes([0x0F, opcode]) for opcode in range(0x80, 0x90))]
    + [rex + bytes([opcode]) for rex in (b"", b"\x41") for opcode in range(0xB8, 0xC0)]
    + [rex + bytes([0x81, fields]) for rex in _REX for fields in _SUMS]
)
"""What stands before the number in direct branches, `mov $N, %register` and sums."""


def representative(encoding: bytes) -> bytes:
    """An encoding of the same form: of those that differ in nothing but such a number, always the same."""
    head = encoding[:-4]
    if head in _BEFORE_4_BYTES:
        return head + b"\0\0\0\0"
    head = encoding[:-1]
    if head in _BEFORE_1_BYTE:
        return head + b"\0"
    number = _in_operand(encoding)
    return encoding if number is None else encoding[:number].ljust(len(encoding), b"\0")


_GS, _SHORT, _LEA = 0x65, 0x67, 0x8D
_MANDATORY: Final = frozenset(b"\x66\xf2\xf3")
_VEX: Final = frozenset(b"\xc4\xc5")
_RSP_ALONE: Final = 0x24
"""A SIB byte. With REX.B it is r12 instead, with REX.X there is an index."""
_SPILL_TARGET: Final = SPILL_TARGET & 0xFF
"""A displacement that is a step of sequences."""
_IMMEDIATE: Final = {0x80: 1, 0x83: 1, 0xC6: 1, 0x6B: 1, 0x81: 4, 0xC7: 4, 0x69: 4}
"""Bytes of the number behind the operand, by opcode."""


def _in_operand(encoding: bytes) -> int | None:
    """Where the numbers of a memory operand and behind it begin, to the encoding's end, if no form depends on
    them: through gs with an address of 32 bits or relative to rip, any; of `lea`; a byte with rsp that is
    not where a checked target is kept."""
    end, rex, at = len(encoding), 0, 0
    through_gs = encoding[0] == _GS
    if end < 3:
        return None
    if through_gs:
        at = 2 if encoding[1] == _SHORT else 1
    if encoding[at] in _MANDATORY:
        at += 1
    if at >= end:
        return None
    if encoding[at] & 0xF0 == 0x40:
        rex = encoding[at]
        at += 1
    if end < at + 3 or encoding[at] in _VEX:
        return None
    opcode = encoding[at]
    if opcode == 0x0F:
        at += 2 if encoding[at + 1] in (0x38, 0x3A) else 1
    if at + 1 >= end:
        return None
    modrm = encoding[at + 1]
    mod, low, number = modrm >> 6, modrm & 7, at + 2
    if mod == 3:
        return None
    if low == 4:
        if number >= end or encoding[number] != _RSP_ALONE:
            return None
        number += 1
    size = mod if mod == 1 else 4 if mod == 2 or low == 5 else 0
    if through_gs:
        is_confined = encoding[1] == _SHORT or (mod == 0 and low == 5)
        return number if is_confined and number + size + _IMMEDIATE.get(opcode, 0) == end else None
    if mod == 0 or number + size != end:
        return None
    if opcode == _LEA:
        return number if modrm >> 3 & 7 != 4 else None  # it may move rsp
    is_byte = mod == 1 and low == 4 and not rex & 3
    return number if is_byte and encoding[number] != _SPILL_TARGET else None
