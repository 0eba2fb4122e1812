"""Data directives in the middle of code: instructions that were written as bytes, or tables.

People write `.byte` for instructions that their assembler did not know. What code runs into, or branches to,
is decoded and goes on as text. Other data, which assembly for several systems keeps beside its code, becomes
read-only data: there nobody can run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field

from tmebox.toolchain.rewrite.asm import Directive, Label, constant, split_operands
from tmebox.toolchain.rewrite.directives import Section
from tmebox.toolchain.rewrite.replacement import Refusal

SECTION = '\t.section\t.rodata.tmebox_of_text,"a",@progbits'
READ_ONLY = Section(".rodata", False, "")
_SIZES = {
    **dict.fromkeys((".byte", ".dc.b"), 1),
    **dict.fromkeys((".2byte", ".short", ".hword", ".value", ".word", ".dc.w"), 2),
    **dict.fromkeys((".4byte", ".int", ".long", ".dc.l"), 4),
    **dict.fromkeys((".8byte", ".quad", ".dc.q"), 8),
}
_CHARACTER = re.compile(r"'(\\?.)'?")
NEUTRAL = frozenset([".globl", ".global", ".weak", ".local", ".hidden", ".protected", ".internal", ".type"])
"""Directives that say something of a symbol, wherever they stand."""

Held = tuple[int, "Label | Directive"]
"""Line and statement: a label, an alignment or data."""


@dataclass
class Chunk:
    """Data, and the labels and alignments that stand before it."""

    labels: list[str] = field(default_factory=list)
    items: list[Held] = field(default_factory=list)

    def is_reached(self, targets: Set[str]) -> bool:
        return not targets.isdisjoint(self.labels)


def chunks(held: Sequence[Held], is_data: Set[str]) -> tuple[list[Chunk], list[Held]]:
    """Data by the labels that begin it; and what follows the last data, which belongs to code."""
    found: list[Chunk] = []
    before: list[Held] = []
    for item in held:
        statement = item[1]
        if not isinstance(statement, Directive) or statement.name not in is_data:
            before.append(item)
            continue
        if before or not found:
            labels = [label.name for _, label in before if isinstance(label, Label)]
            if labels or not found:
                found.append(Chunk(labels))
            found[-1].items += before
            before = []
        found[-1].items.append(item)
    return found, before


def instructions(directives: Sequence[Directive]) -> Iterator[str]:
    """The instructions that bytes are, as assembly. Raises Refusal."""
    from iced_x86 import Decoder, Formatter, FormatterSyntax  # rarely needed, and slow to import

    code = b"".join(map(_bytes, directives))
    shown = " ".join(f"{byte:02x}" for byte in code[:16]) + (" …" if len(code) > 16 else "")
    formatter = Formatter(FormatterSyntax.GAS)
    formatter.rip_relative_addresses = True
    formatter.gas_show_mnemonic_size_suffix = True
    for instruction in Decoder(64, code):
        if instruction.is_invalid:
            raise Refusal(
                f"data that code runs into, and no instruction at its byte {instruction.ip}: {shown}"
            )
        yield formatter.format(instruction)


def _bytes(directive: Directive) -> bytes:
    size = _SIZES.get(directive.name)
    if size is None:
        raise Refusal(f"`{directive.name}` that code runs into: data there could hide instructions")
    found = b""
    for operand in split_operands(directive.arguments):
        value = _value(operand.strip())
        if value is None or not -(1 << (8 * size - 1)) <= value < 1 << 8 * size:
            raise Refusal(f"`{directive.name} {operand}` that code runs into: not a number of {size} bytes")
        found += (value % (1 << 8 * size)).to_bytes(size, "little")
    return found


def _value(text: str) -> int | None:
    character = _CHARACTER.fullmatch(text)
    if character and len(character[1]) == 1:
        return ord(character[1])
    return constant(text)
