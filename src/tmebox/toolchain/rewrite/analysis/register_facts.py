"""What an instruction makes known of a register: how many bits its value has.

As the verifier has it, which decides: whoever expects more here is refused there.
"""

from __future__ import annotations

from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import Immediate, Instruction, Register, constant

UNKNOWN = 64
"""Bits of a register of which nothing is known."""
_WHOLE = frozenset(
    (
        *("movl", "leal", "addl", "orl", "adcl", "sbbl", "andl", "subl", "xorl", "incl", "decl", "negl"),
        *("notl", "movsbl", "movswl"),
    )
)
_SHIFTS = frozenset(["shll", "sall", "sarl", "shrl"])
_EXTENSIONS = {"movzbl": 8, "movzbq": 8, "movzwl": 16, "movzwq": 16}


def made(instruction: Instruction) -> tuple[int, int] | None:
    """A register's number and its bits afterwards; None if nothing is known that the instruction makes so."""
    last = instruction.operands[-1] if instruction.operands else None
    if not isinstance(last, Register) or last.name not in registers.NUMBER:
        return None
    number, width = registers.NUMBER[last.name], registers.WIDTH[last.name]
    bits = _bits(instruction, width) if number != registers.RSP and width >= 32 else None
    return (number, bits) if bits is not None else None


def _bits(instruction: Instruction, width: int) -> int | None:
    mnemonic, operands = instruction.mnemonic, instruction.operands
    if mnemonic in _EXTENSIONS:
        return _EXTENSIONS[mnemonic]
    first = operands[0]
    value = constant(first.expression) if isinstance(first, Immediate) else None
    if mnemonic == "shrq":
        return width - value if len(operands) == 2 and value is not None and 32 <= value < 64 else None
    if width != 32:
        return None
    if mnemonic in _SHIFTS:
        count = 1 if len(operands) == 1 else value
        if count is None or not 0 < count < 32:
            return None
        return 32 - count if mnemonic == "shrl" else 32
    if mnemonic == "andl" and value is not None and 0 <= value < 1 << 31:
        return value.bit_length()
    if mnemonic in _WHOLE or (mnemonic == "imull" and len(operands) > 1):
        return 32
    return None
