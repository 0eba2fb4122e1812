"""Jumps to labels as values (`goto *p`) in functions whose labels can have no mark: their frames are too
large, or rbp points into them. Such a jump searches the labels that it may lead to for its target:

    cmpq $.Ltmp1, %rax
    je .Ltmp1
    ja …
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from tmebox.toolchain.patterns import regex

INDIRECT = regex(r"\tjmpq?\t\*(?!\.LJTI)(?!.*TAILCALL)([^#]+)")
"""A jump of clang's that goes to a label as a value."""
TYPE = regex(r'\t\.type\t("[^"]+"|[^,]+),\s*@function')
LABEL = regex(r'("[^"]+"|[\w.$@]+):')
_SECTION = regex(r"\t\.(section\t\.debug_|section|text|data|bss)")
_VALUE = regex(r"\.Ltmp\d+")
_NAMED = regex(r"\t(?:\.(?:quad|long|short|byte)\t|\w+\t\$)")
"""What has labels of code as values, outside of debug information."""


def with_searches(lines: Sequence[str], names: Set[str]) -> list[str]:
    """`lines` of clang's assembly, where the functions `names` have no computed jumps to labels any more."""
    taken = _taken(lines, names)
    out: list[str] = []
    searches: dict[tuple[str, str], str] = {}
    for line, name in zip(lines, _functions(lines), strict=True):
        match = INDIRECT.match(line) if name in names else None
        if match is None:
            out.append(line)
            continue
        source = match[1].strip()
        label = searches.get((name, source))
        if label is not None:
            out.append(f"\tjmp\t{label}")
            continue
        label = searches[name, source] = f".Lsearch{len(searches)}"
        out += [f"{label}:", *_search(source, taken[name], label), "\tud2"]
    return out


def _search(source: str, labels: Sequence[str], prefix: str) -> Iterator[str]:
    """labels: in the order of their places, which is that of their addresses."""
    if not labels:
        return
    half = len(labels) // 2
    yield f"\tcmpq\t${labels[half]}, {source}"
    yield f"\tje\t{labels[half]}"
    below, above = labels[:half], labels[half + 1 :]
    if below and above:
        yield f"\tja\t{prefix}_{half}"
    yield from _search(source, below, f"{prefix}_b")
    if below and above:
        yield "\tud2"
        yield f"{prefix}_{half}:"
    yield from _search(source, above, f"{prefix}_a")


def _functions(lines: Iterable[str]) -> Iterator[str]:
    """The function that each line is in."""
    functions, name = set[str](), ""
    for line in lines:
        if match := TYPE.match(line):
            functions.add(match[1])
        elif (match := LABEL.match(line)) and match[1] in functions:
            name = match[1]
        yield name


def _taken(lines: Sequence[str], names: Set[str]) -> dict[str, list[str]]:
    """The labels of each function that are values anywhere."""
    values, is_debug = set[str](), False
    for line in lines:
        if match := _SECTION.match(line):
            is_debug = match[1].endswith(".debug_")
        elif not is_debug and ".Ltmp" in line and _NAMED.match(line):
            values.update(_VALUE.findall(line))
    found: dict[str, list[str]] = {name: [] for name in names}
    for line, name in zip(lines, _functions(lines), strict=True):
        if name in names and (match := LABEL.match(line)) and match[1] in values:
            found[name].append(match[1])
    return found
