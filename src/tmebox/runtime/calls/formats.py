"""printf's formats: which arguments are behind `...`, by what a format says of them.

The format comes from sandboxed code, and so do the arguments. Whatever it says, only the sandbox's own
registers, stack and memory are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tmebox.modulefile.prototypes import CType, Float, Integer, Pointer, Void

MOST_ARGUMENTS = 1000
LONGEST_SHOWN = 40
_DIRECTIVE = re.compile(
    r"%(?:(?P<percent>%)|(?P<position>\d+\$)?[-+ #0']*(?P<width>\*|\d*)(?:\.(?P<precision>\*|-?\d*))?"
    r"(?P<length>hh|h|ll|l|q|j|z|t|L)?(?P<kind>.?))",
    re.DOTALL,
)
_BITS = {None: 32, "hh": 8, "h": 16, "L": 64}
"""Of an integer; 64 with any other length."""
INT, LONG, DOUBLE, LONG_DOUBLE = Integer(32, True, "int"), Integer(64, True, "long"), Float(64), Float(80)
TEXT, POINTER = Pointer(Integer(8, True, "char"), True), Pointer(Void())


@dataclass(frozen=True)
class Wanted:
    """One argument: how it is passed, and what of it counts. `bits`, `signed`: of an integer. is_text: what
    it points to; `limit_bytes`: at most so much of it, without a NUL then; -1: as much as the last `*`
    said."""

    ctype: CType
    bits: int = 0
    signed: bool = True
    is_text: bool = False
    is_precision: bool = False
    limit_bytes: int | None = None


def arguments(format: str) -> Iterator[Wanted]:
    """In their order, widths and precisions that are `*` included. Raises ValueError for `%n`, which would
    write, for arguments by number, for wide texts, and for what is no directive."""
    count = 0
    for found in _DIRECTIVE.finditer(format):
        if found["percent"]:
            continue
        for wanted in _of(found):
            count += 1
            if count > MOST_ARGUMENTS:
                raise ValueError(f"a format with more than {MOST_ARGUMENTS:,} arguments")
            yield wanted


def _of(found: re.Match[str]) -> Iterator[Wanted]:
    shown, kind, length = found[0], found["kind"], found["length"]
    if len(shown) > LONGEST_SHOWN:
        shown = f"{shown[:LONGEST_SHOWN]}…"
    if found["position"]:
        raise ValueError(f"the format has {shown!r}: arguments by number are not decoded")
    if kind == "n":
        raise ValueError(f"the format has {shown!r}, which would write to the sandbox's memory")
    if kind in ("C", "S") or (kind in ("s", "c") and length):
        raise ValueError(f"the format has {shown!r}: wide characters are not decoded")
    if found["width"] == "*":
        yield Wanted(INT, 32)
    precision = found["precision"]
    if precision == "*":
        yield Wanted(INT, 32, is_precision=True)
    bits = _BITS.get(length, 64)
    passed = LONG if bits == 64 else INT
    if kind and kind in "di":
        yield Wanted(passed, bits)
    elif kind and kind in "ouxX":
        yield Wanted(passed, bits, False)
    elif kind == "c":
        yield Wanted(INT, 8, False)
    elif kind and kind in "aAeEfFgG":
        yield Wanted(LONG_DOUBLE if length == "L" else DOUBLE)
    elif kind == "s":
        limit = -1 if precision == "*" else None if precision is None else int(precision or 0)
        yield Wanted(TEXT, is_text=True, limit_bytes=None if limit is not None and limit < -1 else limit)
    elif kind == "p":
        yield Wanted(POINTER)
    elif kind != "m":
        raise ValueError(f"the format has {shown!r}, which is no directive of printf")
