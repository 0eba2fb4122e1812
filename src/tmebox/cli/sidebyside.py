"""A function's assembly as the compiler wrote it, beside what the rewriter made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

_LABEL = re.compile(r"\s*([.\w$@]+):")
_WIDE_TO_NARROW = {
    **{f"r{name}": f"e{name}" for name in ("ax", "bx", "cx", "dx", "si", "di", "bp", "sp")},
    **{f"r{number}": f"r{number}d" for number in range(8, 16)},
}
_REGISTER = re.compile(r"%(r\w+)")
ENDS = (".size", ".cfi_endproc", ".Lfunc_end")
DEBUG_LABELS = (".Ltmp", ".Lfunc")
LONG = 1000
"""Lines."""
_SPACES = re.compile(r"\s+")
_SUFFIXED = re.compile(r"^(mov|lea|add|sub|and)[lq] ")


@dataclass(frozen=True)
class Pair:
    """One row: a line of the compiler's, a line of the rewriter's; "" where the other has no counterpart."""

    source: str
    instrumented: str


def function_lines(assembly: str, name: str) -> list[str]:
    """Instructions and labels of function `name`, without directives and comments; [] if it is not there."""
    lines: list[str] = []
    inside = False
    for line in assembly.splitlines():
        text = line.split("#", 1)[0].rstrip()
        label = _LABEL.match(text)
        if label is not None and label[1] == name:
            inside = True
        elif inside and text.strip().startswith(ENDS):
            break
        if inside and text.strip() and not _is_for_debuggers(label[1] if label else None, text.strip()):
            lines.append(text)
    return lines


def function_names(assembly: str) -> list[str]:
    """Every function that the compiler wrote."""
    return re.findall(r"^\s*\.type\s+([\w$.]+),\s*@function", assembly, re.MULTILINE)


def _is_for_debuggers(label: str | None, text: str) -> bool:
    return text.startswith(".") if label is None else label.startswith(DEBUG_LABELS)


def side_by_side(source: list[str], instrumented: list[str]) -> Iterator[Pair]:
    """Both listings in order, with lines that say the same in one row. In long ones, lines that are there
    again and again are no places to align others by: it would take a time that grows with their square."""
    left, right = ([_essence(line) for line in lines] for lines in (source, instrumented))
    matcher = SequenceMatcher(a=left, b=right, autojunk=len(source) > LONG)
    for _, low, high, other_low, other_high in matcher.get_opcodes():
        left, right = source[low:high], instrumented[other_low:other_high]
        for index in range(max(len(left), len(right))):
            yield Pair(left[index] if index < len(left) else "", right[index] if index < len(right) else "")


def _essence(line: str) -> str:
    """What a line does, whichever of the two wrote it: no segment, 32-bit register names, single spaces."""
    text = _SPACES.sub(" ", line.strip()).replace("%gs:", "").replace("(%rip)", "")
    text = _REGISTER.sub(lambda match: "%" + _WIDE_TO_NARROW.get(match[1], match[1]), text)
    return _SUFFIXED.sub(r"\1 ", text)
