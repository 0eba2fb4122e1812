"""Data directives in the middle of code: instructions that were written as bytes, or tables.

People write `.byte` for instructions that their assembler did not know. What code runs into, or branches to,
is decoded and goes on as text. Other data, which assembly for several systems keeps beside its code, becomes
read-only data: there nobody can run it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set

from tmebox.records import dataclass, field
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.asm import (
    AsmSyntaxError,
    Directive,
    Instruction,
    Label,
    Memory,
    constant,
    parse_line,
    split_operands,
)
from tmebox.toolchain.rewrite.directives import Section
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS, Kind
from tmebox.toolchain.rewrite.registers import NAMES_64
from tmebox.toolchain.rewrite.replacement import Refusal

SECTION = '\t.section\t.rodata.tmebox_of_text,"a",@progbits'
READ_ONLY = Section(".rodata", False, "")
_SIZES = {
    **dict.fromkeys((".byte", ".dc.b"), 1),
    **dict.fromkeys((".2byte", ".short", ".hword", ".value", ".word", ".dc.w"), 2),
    **dict.fromkeys((".4byte", ".int", ".long", ".dc.l"), 4),
    **dict.fromkeys((".8byte", ".quad", ".dc.q"), 8),
}
_PREFIXES = regex(r"\s*\.byte\s+((0x67|0x66|0x3e)(?:\s*,\s*\2)*|0xf0)\s*", re.IGNORECASE)
_NUMBERED = regex(r"(\d+)([bf])")
NEUTRAL = frozenset([".globl", ".global", ".weak", ".local", ".hidden", ".protected", ".internal", ".type"])
"""Directives that say something of a symbol, wherever they stand."""

Held = tuple[int, "Label | Directive"]
"""Line and statement: a label, an alignment or data."""


@dataclass
class Chunk:
    """Data, and the labels and alignments that stand before it. labels: their keys."""

    labels: list[str] = field(default_factory=list)
    items: list[Held] = field(default_factory=list)

    def is_reached(self, targets: Set[str]) -> bool:
        return not targets.isdisjoint(self.labels)


def labels_of(held: Sequence[Held]) -> list[str]:
    """Keys."""
    return [key(statement.name, line) for line, statement in held if isinstance(statement, Label)]


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
            labels = labels_of(before)
            if labels or not found:
                found.append(Chunk(labels))
            found[-1].items += before
            before = []
        found[-1].items.append(item)
    return found, before


def key(label: str, line: int) -> str:
    """What a label on a line is called among the targets of branches: names are unique, numbers are not."""
    return f"{label}@{line}" if label.isdigit() else label


class Targets:
    """The keys of labels that branches lead to, told in the order of the text."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self._last: dict[str, str] = {}
        self._awaited: set[str] = set()

    def label(self, name: str, line: int) -> None:
        self._last[name] = key(name, line)
        if name in self._awaited:
            self._awaited.remove(name)
            self.keys.add(self._last[name])

    def branch(self, name: str) -> None:
        """name: "" for none."""
        numbered = _NUMBERED.fullmatch(name)
        if numbered is None:
            self.keys.add(name)
        elif numbered[2] == "f":
            self._awaited.add(numbered[1])
        else:
            self.keys.add(self._last.get(numbered[1], name))


def instructions(directives: Sequence[Directive]) -> Iterator[str]:
    """The instructions that bytes are, as assembly. Raises Refusal."""
    # Rarely needed, and slow to import.
    from iced_x86 import Decoder, EncodingKind, Formatter, FormatterSyntax

    never_there = (EncodingKind.XOP, EncodingKind.EVEX, EncodingKind.D3NOW, EncodingKind.MVEX)

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
        text = formatter.format(instruction)
        if instruction.encoding in never_there:
            yield "ud2"  # no cpuid in a sandbox promises such instructions: who asks first never gets here
        elif instruction.is_string_instruction and text.endswith("(%rdi)"):
            yield f"{text.removesuffix('(%rdi)')}%es:(%rdi)"
        else:
            yield text


def prefix_of(line: str, following: str) -> str | None:
    """What bytes mean that are only prefixes of the instruction on the line after them; None if they are not.

    Assemblers wanted a lock written so. Others pad code, and change nothing: an address size in an
    instruction without memory, an operand size beside 64-bit registers, a data segment.
    """
    found = _PREFIXES.fullmatch(line)
    if found is None:
        return None
    try:
        statements = parse_line(following)
    except AsmSyntaxError:
        return None
    if len(statements) != 1 or not isinstance(instruction := statements[0], Instruction):
        return None
    prefix, facts = (found[2] or found[1]).lower(), MNEMONICS.get(instruction.mnemonic)
    if prefix == "0xf0":
        return "lock"
    if (
        instruction.prefixes
        or facts is None
        or facts.kind not in (Kind.PLAIN, Kind.MOVE, Kind.SHIFT, Kind.CONDITIONAL)
    ):
        return None
    has_memory = any(isinstance(operand, Memory) for operand in instruction.operands)
    is_whole = any(getattr(operand, "name", "") in NAMES_64 for operand in instruction.operands)
    is_jump = facts.kind is Kind.CONDITIONAL
    changes_nothing = {
        "0x67": not has_memory and not is_jump,
        "0x66": is_whole and facts.width in (64, None),
        "0x3e": True,
    }
    return "" if changes_nothing[prefix] else None


def _bytes(directive: Directive) -> bytes:
    size = _SIZES.get(directive.name)
    if size is None:
        raise Refusal(f"`{directive.name}` that code runs into: data there could hide instructions")
    found = b""
    for operand in split_operands(directive.arguments):
        value = constant(operand) if operand else None
        if value is None or not -(1 << (8 * size - 1)) <= value < 1 << 8 * size:
            raise Refusal(f"`{directive.name} {operand}` that code runs into: not a number of {size} bytes")
        found += (value % (1 << 8 * size)).to_bytes(size, "little")
    return found
