"""The window's base in r15: what a replacement for gs becomes, operand by operand.

`%gs:` confines any address by truncating it. Here the address without its displacement is truncated into r14,
and the access is `displacement(%r15,%r14)`: the guards are wider than the displacements that stay. That gives
the same byte for every address inside the window, because no such address is within R15_REACH of its ends.
"""

from __future__ import annotations

from tmebox.abi import CONTROL_WINDOW_BASE, R15_REACH, RESERVED
from tmebox.records import replace
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import (
    Indirect,
    Instruction,
    Memory,
    Operand,
    Register,
    constant,
    parse_operand,
)
from tmebox.toolchain.rewrite.asm import parse_instruction as parse
from tmebox.toolchain.rewrite.replacement import Refusal, Replacement, lines
from tmebox.toolchain.rewrite.stack import mentions, statement

_SEGMENT = "%gs:"
_LOW = {"ah": "al", "bh": "bl", "ch": "cl", "dh": "dl"}


def refuse_reserved(instruction: Instruction) -> None:
    """Raise Refusal if the program uses a register that is not its own."""
    for operand in instruction.operands:
        inner = operand.operand if isinstance(operand, Indirect) else operand
        for name in RESERVED:
            if mentions(inner, registers.NUMBER[name]):
                raise Refusal(f"`{statement(instruction)}`: %{name} is reserved for the sandbox's base")


def through_r15(replacement: Replacement) -> Replacement:
    """The replacement with each gs-relative operand replaced."""
    if _SEGMENT in replacement.operand:
        memory = parse_operand(replacement.operand)
        assert isinstance(memory, Memory)
        load, operand = _confined(memory)
        return replace(replacement, before=lines(*load), operand=str(operand))
    if _SEGMENT not in replacement.text:
        return replacement
    return replace(replacement, text="\n".join(map(_line, replacement.text.split("\n"))))


def _line(line: str) -> str:
    if _SEGMENT not in line:
        return line
    instruction = parse(line.replace("\t", " "))
    loads: tuple[str, ...] = ()
    operands: list[Operand] = []
    for operand in instruction.operands:
        confined: Operand = operand
        if isinstance(operand, Memory) and operand.segment is not None:
            loads, confined = _confined(operand)
        operands.append(confined)
    high = next((item.name for item in operands if isinstance(item, Register) and item.name in _LOW), None)
    if high is None:
        return lines(*loads, statement(replace(instruction, operands=tuple(operands))))
    if instruction.mnemonic.startswith("cmpxchg"):
        raise Refusal(f"`{statement(instruction)}`: %{high} cannot be used beside a base in r15")
    # %ah and its like have no encoding beside r15. Exchanges leave the flags alone.
    low = Register(_LOW[high])
    operands = [low if operand == Register(high) else operand for operand in operands]
    exchange = f"xchgb %{high}, {low}"
    body = statement(replace(instruction, operands=tuple(operands)))
    return lines(*loads, exchange, body, exchange)


def _confined(memory: Memory) -> tuple[tuple[str, ...], Memory | Register]:
    """What loads r14, if anything has to, and the operand."""
    if memory.base in (None, "rip") and memory.index is None:
        if constant(memory.displacement) == CONTROL_WINDOW_BASE:
            return (), Register("r15")
        return (), Memory(memory.displacement, "r15")
    displacement = constant(memory.displacement)
    stays = displacement is not None and abs(displacement) <= R15_REACH
    operand = Memory(memory.displacement if stays else "", "r15", "r14")
    if stays and memory.index is None:
        assert memory.base is not None
        return (f"movl %{memory.base}, %r14d",), operand
    base, index = (name and registers.part(name, 64) for name in (memory.base, memory.index))
    source = Memory("" if stays else memory.displacement, base, index, memory.scale)
    return (f"leal {source}, %r14d",), operand
