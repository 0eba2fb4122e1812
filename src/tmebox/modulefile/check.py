"""Whether a module's numbers lie where they may: checked before it is written and after it is read.

What the code does is the verifier's matter; nothing here looks at an instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tmebox import abi
from tmebox.errors import ModuleError
from tmebox.modulefile.file import LineTable, ModuleFile, Segment, Symbol

MAX_EXPORTS = 1 << 20
MAX_SEGMENTS = 64
MAX_SYMBOLS = 1 << 20
MAX_NAME_BYTES = 4096


def symbol_key(symbol: Symbol) -> tuple[int, int, str]:
    """How symbols are sorted."""
    return (symbol.address, symbol.size_bytes, symbol.name)


def check(module: ModuleFile) -> None:
    """Raise ModuleError unless every number lies where it may. What the code does is the verifier's."""
    if module.isolation not in abi.ISOLATIONS or module.base not in abi.BASES:
        raise ModuleError(f"unknown isolation {module.isolation!r:.20} or base {module.base!r:.20}")
    size = len(module.text)
    low, high = module.text_address, module.text_address + size
    if not (0 < size <= abi.TEXT_MAX and low >= abi.CODE_BASE and high <= abi.GATE_BASE):
        raise ModuleError(f"text of {size} bytes at {low:#x} does not fit the code region")
    if low % abi.TEXT_ALIGN:
        raise ModuleError(f"text at {low:#x} is not aligned to {abi.TEXT_ALIGN:#x}")
    if type(module.table_entries) is not int or not 0 <= module.table_entries * abi.TABLE_ENTRY < size:
        raise ModuleError(f"{module.table_entries!r:.20} table entries do not fit the text")
    if any(type(address) is not int for address in module.optional) or (
        module.optional != (0, 0) and not low <= module.optional[0] < module.optional[1] <= high
    ):
        raise ModuleError(f"the optional code {module.optional!r:.40} is no part of the text")
    _check_segments(module.segments)
    _check_names(module, low, high)
    for name, claims in (("functions", module.functions), ("labels", module.labels)):
        _require_ascending(claims, name)
        if len(claims) and not (low <= int(claims[0]) and int(claims[-1]) < high):
            raise ModuleError(f"a claimed branch target in {name} lies outside the text")
    _check_facts(module, low, high)
    _check_relocations(module)
    _check_lines(module.lines, low, high)


def _check_segments(segments: tuple[Segment, ...]) -> None:
    if len(segments) > MAX_SEGMENTS:
        raise ModuleError(f"{len(segments)} data segments; at most {MAX_SEGMENTS}")
    free = abi.IMAGE_START
    for segment in segments:
        end = segment.offset + segment.size_bytes
        if (
            segment.offset % abi.PAGE_SIZE
            or not len(segment.data) <= segment.size_bytes
            or not segment.size_bytes
        ):
            raise ModuleError(f"the data segment at {segment.offset:#x} has an impossible size or place")
        if segment.offset < free or end > abi.PRIVATE_END:
            raise ModuleError(
                f"the data segment [{segment.offset:#x}, {end:#x}) overlaps another or the private part's end"
            )
        free = end + -end % abi.PAGE_SIZE


def _check_names(module: ModuleFile, low: int, high: int) -> None:
    if len(module.exports) > MAX_EXPORTS or len(module.imports) > abi.MAX_IMPORTS:
        raise ModuleError(f"{len(module.exports)} exports and {len(module.imports)} imports are too many")
    for names in ([e.name for e in module.exports], [i.name for i in module.imports]):
        if not all(
            isinstance(name, str) and 0 < len(name) <= MAX_NAME_BYTES and "\0" not in name for name in names
        ):
            raise ModuleError("an export or import has an impossible name")
        if len(set(names)) != len(names):
            raise ModuleError("two exports or imports have one name")
    starts = [] if module.start is None else [module.start]
    for address in [export.address for export in module.exports] + starts:
        if type(address) is not int or not low <= address < high:
            raise ModuleError(f"an entry point lies outside the text: {address!r:.20}")
    if not isinstance(module.producer, str):
        raise ModuleError("malformed producer in the module file")
    if any(symbol.address >= 1 << 64 or symbol.size_bytes >= 1 << 64 for symbol in module.symbols):
        raise ModuleError("a symbol's address does not fit")
    keys = [symbol_key(symbol) for symbol in module.symbols]
    if keys != sorted(keys) or len(keys) > MAX_SYMBOLS or any("\0" in name for _, _, name in keys):
        raise ModuleError("symbols must be sorted by address, size and name")


def _check_facts(module: ModuleFile, low: int, high: int) -> None:
    places, facts = module.fact_places, module.facts
    if len(places) != len(facts):
        raise ModuleError("the module file has more places for claims about registers than claims, or fewer")
    _require_ascending(places.astype(np.uint64) << 8 | facts >> 8, "claims about registers")
    if len(places) and not (low <= int(places[0]) and int(places[-1]) < high):
        raise ModuleError("a claim about a register is about a place outside the text")


def _check_relocations(module: ModuleFile) -> None:
    moves = module.relocations
    fields = [
        ("text_abs32", moves.text_abs32, 4),
        ("text_abs64", moves.text_abs64, 8),
        ("text_pc32", moves.text_pc32, 4),
    ]
    for name, places, width in fields:
        _require_ascending(places, name)
        if len(places) and int(places[-1]) + width > len(module.text):
            raise ModuleError(f"a relocation in {name} lies outside the text")
    _require_disjoint(fields)
    fields = [("data_abs32", moves.data_abs32, 4), ("data_abs64", moves.data_abs64, 8)]
    for name, places, width in fields:
        _require_ascending(places, name)
        inside = np.zeros(len(places), dtype=bool)
        wide = places.astype(np.uint64)
        for segment in module.segments:
            inside |= (wide >= segment.offset) & (wide + width <= segment.offset + len(segment.data))
        if not inside.all():
            raise ModuleError(f"a relocation in {name} lies outside the data image")
    _require_disjoint(fields)


def _require_ascending(array: NDArray[Any], name: str) -> None:
    if len(array) > 1 and not (array[1:] > array[:-1]).all():
        raise ModuleError(f"{name} of the module file are not in ascending order")


def _require_disjoint(fields: Sequence[tuple[str, NDArray[Any], int]]) -> None:
    starts = np.concatenate([places.astype(np.uint64) for _, places, _ in fields])
    widths = np.concatenate([np.full(len(places), width, np.uint64) for _, places, width in fields])
    order = np.argsort(starts, kind="stable")
    starts, widths = starts[order], widths[order]
    if (starts[:-1] + widths[:-1] > starts[1:]).any():
        raise ModuleError("two relocations of the module file overlap")


def _check_lines(lines: LineTable, low: int, high: int) -> None:
    count = len(lines.addresses)
    if len(lines.file_indices) != count or len(lines.lines) != count:
        raise ModuleError("the columns of the module file's line table differ in length")
    if not all(isinstance(name, str) for name in lines.files):
        raise ModuleError("a file name in the module file's line table is not text")
    if not count:
        return
    if not (lines.addresses[1:] >= lines.addresses[:-1]).all():
        raise ModuleError("the module file's line table is not in ascending order")
    if int(lines.addresses[0]) < low or int(lines.addresses[-1]) > high:
        raise ModuleError("the module file's line table leaves the text")
    if int(lines.file_indices.max()) >= len(lines.files):
        raise ModuleError("the module file's line table names a file that it does not list")
