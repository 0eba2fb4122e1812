"""Lines of assembly, read and confined as far as that needs no other line."""

from __future__ import annotations

from functools import lru_cache

from tmebox.toolchain.rewrite.asm import (
    AsmSyntaxError,
    Directive,
    InlineAssembly,
    Instruction,
    Label,
    LineMarker,
    parse_line,
)
from tmebox.toolchain.rewrite.instruction import avx512_hint, rewrite_instruction
from tmebox.toolchain.rewrite.replacement import Refusal, Replacement

Prepared = Replacement | Refusal | Directive | Label | LineMarker | InlineAssembly | Instruction
"""A statement ready to be placed; an Instruction is one whose prefix stands on a line of its own."""


@lru_cache(maxsize=1 << 15)
def prepare(line: str, base: str) -> tuple[Prepared, ...]:
    """Everything about a line that does not depend on where it stands. Most lines of a program repeat."""
    try:
        statements = parse_line(line)
    except AsmSyntaxError as error:
        return (Refusal(f"`{line.strip()}`: {error}{avx512_hint(line)}"),)
    return tuple(prepare_statement(statement, base) for statement in statements)


def prepare_statement(statement: Prepared, base: str) -> Prepared:
    if not isinstance(statement, Instruction) or not statement.mnemonic:
        return statement
    try:
        return rewrite_instruction(statement, base)
    except Refusal as refusal:
        return refusal
