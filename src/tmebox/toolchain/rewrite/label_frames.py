"""Frames of functions with computed jumps to labels (`goto *p`): for such a jump, a label's depth must be one
of those that the target map has a mark for. So frames are made larger where need be, and where that is not
possible the jump becomes a search."""

from __future__ import annotations

from collections.abc import Sequence

from tmebox.abi import LABEL_DEPTHS
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.label_search import INDIRECT, LABEL, TYPE, with_searches

RETURN_ADDRESS = 8
CFA_OFFSET = regex(r"\t\.cfi_def_cfa_offset (\d{1,18})(?!\d)")
CFA_IN_RBP = regex(r"\t\.cfi_def_cfa_register\s+%rbp")
_SIZES = regex(r"(\t(sub|add)q\t)\$(\d+)(,\s*%rsp\b.*)")
_SETS = regex(r"\t\w+\t.*,\s*%rsp\b(?!\))")
_RESTORES = regex(r"\t(?:leaq\t-?\d*\(%rbp\)|movq\t%rbp), %rsp\b")
_BEYOND = regex(r"(\d+)\(%rsp")


def prepared(lines: list[str]) -> tuple[list[str], dict[str, int]]:
    """The lines, with searches and larger frames of what rbp points into; and what the writer has to add to
    the frames of other functions, or 0 for those whose labels only must not be where they begin."""
    pads: dict[str, int] = {}
    searching = set[str]()
    bounds = _functions(lines)
    for name, start, end in bounds:
        inside = [at for at in range(start, end) if INDIRECT.match(lines[at])]
        if not inside:
            continue
        if any(CFA_IN_RBP.match(lines[at]) for at in range(start, end)):
            pad = _grow(lines, start, end)
        else:
            depths = set(_depths(lines, start, inside))
            pad = _missing(depths.pop()) if len(depths) == 1 else None
        if pad is None:
            searching.add(name)
        else:
            pads[name] = pad
    return (with_searches(lines, searching) if searching else lines), pads


def _functions(lines: Sequence[str]) -> list[tuple[str, int, int]]:
    """Names, and the lines from the label to the next function's."""
    known, starts = set[str](), list[tuple[str, int]]()
    for at, line in enumerate(lines):
        if match := TYPE.match(line):
            known.add(match[1])
        elif (match := LABEL.match(line)) and match[1] in known:
            starts.append((match[1], at))
    ends = [*(start for _, start in starts[1:]), len(lines)]
    return [(name, start, end) for (name, start), end in zip(starts, ends, strict=True)]


def _depths(lines: Sequence[str], start: int, inside: Sequence[int]) -> list[int]:
    """How far rsp is below the return address at each of the jumps, as directives say."""
    depth, kept, found, jumps = 0, list[int](), list[int](), set(inside)
    for at in range(start, inside[-1] + 1):
        line = lines[at]
        if match := CFA_OFFSET.match(line):
            depth = int(match[1]) - RETURN_ADDRESS
        elif line.startswith("\t.cfi_remember_state"):
            kept.append(depth)
        elif line.startswith("\t.cfi_restore_state"):
            depth = kept.pop()
        elif at in jumps:
            found.append(depth)
    return found


def _missing(depth: int) -> int | None:
    """How many bytes more make a depth that has a mark, and keep the alignment that the frame has."""
    step = 16 if depth % 16 == RETURN_ADDRESS else 8  # others hold nothing that is aligned, and call nobody
    return next(
        (known - depth for known in LABEL_DEPTHS if known >= depth and (known - depth) % step == 0), None
    )


def _grow(lines: list[str], start: int, end: int) -> int | None:
    """Make a frame larger that rbp points into: below what has a name by rbp, and above what has one by rsp,
    which are arguments of calls. 0, or None if it has no such place."""
    pushed, size, sizes = 0, None, list[int]()
    for at in range(start, end):
        line = lines[at]
        if size is None and line.startswith("\tpushq\t"):
            pushed += 8
        elif match := _SIZES.match(line):
            if (match[2] == "sub") != (size is None) or size not in (None, match[3]):
                return None
            size = match[3]
            sizes.append(at)
        elif _SETS.match(line) and not _RESTORES.match(line):
            return None
    if size is None or any(
        int(match[1]) >= int(size) for at in range(start, end) for match in _BEYOND.finditer(lines[at])
    ):
        return None
    pad = _missing(pushed + int(size))
    if pad is None:
        return None
    for at in sizes:
        lines[at] = _SIZES.sub(lambda match: f"{match[1]}${int(match[3]) + pad}{match[4]}", lines[at])
    return 0
