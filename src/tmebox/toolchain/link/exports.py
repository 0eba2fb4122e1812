"""Which functions of the named objects the host may call."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np

from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain.link import linked
from tmebox.toolchain.link.inputs import require_plain
from tmebox.toolchain.link.linked import Elf
from tmebox.toolchain.link.script import EXPORT_SECTION_PREFIX


@dataclass(frozen=True)
class Exports:
    """symbols: the symbol behind each exported name. roots: symbols that the linker must keep for it (the
    linker script keeps the others). is_command: whether one of the objects defines `main`."""

    symbols: dict[str, str]
    roots: tuple[str, ...]
    is_command: bool


def find_exports(objects: Sequence[Path], asked: Sequence[str] | None) -> Exports:
    """What is `asked` for, else what the sources mark, else every function that is neither static nor hidden;
    of C++'s, those that only one object may define: no inline functions and instances of templates.

    Sources mark functions with TMEBOX_EXPORT (protected visibility) or export_name (a section of its own).
    Raises CompileError for names that cannot be symbols.
    """
    named: dict[str, str] = {}
    marked: dict[str, str] = {}
    every: dict[str, str] = {}
    is_command = False
    for path in objects:
        elf = Elf(path.read_bytes(), str(path))
        for name, binding, visibility, section in _functions(elf):
            is_local = binding == linked.STB_LOCAL
            is_shared = binding == linked.STB_WEAK and name.startswith("_Z")
            if section.startswith(EXPORT_SECTION_PREFIX):
                named[require_plain(section[len(EXPORT_SECTION_PREFIX) :])] = require_plain(name)
            elif visibility == linked.STV_PROTECTED:
                marked[name] = require_plain(name)
            elif not is_local and not is_shared and visibility == linked.STV_DEFAULT:
                every[name] = require_plain(name)
            is_command |= name == "main" and not is_local
    if asked is not None:
        symbols = {name: named.get(name, require_plain(name)) for name in asked}
    else:
        symbols = {**marked, **named} or every
    return Exports(
        symbols, tuple(symbol for name, symbol in symbols.items() if name not in named), is_command
    )


def _functions(elf: Elf) -> list[tuple[str, int, int, str]]:
    """(name, binding, visibility, section) of each function that an object defines."""
    symbols = elf.symbols
    chosen = ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
    rows = []
    for index in np.flatnonzero(chosen).tolist():
        symbol = symbols[index]
        section = int(symbol["section"])
        section_name = elf.sections[section].name if section < len(elf.sections) else ""
        binding = int(symbol["info"]) >> 4
        rows.append((elf.symbol_name(index), binding, int(symbol["other"]) & 3, section_name))
    return rows


def defined_functions(executable: Elf) -> dict[str, int]:
    """Address of each function of a linked executable, by name; a global one hides local ones."""
    symbols = executable.symbols
    chosen = ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
    order = np.flatnonzero(chosen)
    order = order[np.argsort(symbols["info"][order] >> 4, kind="stable")]
    return {executable.symbol_name(index): int(symbols["value"][index]) for index in order.tolist()}


def same_functions(executable: Elf, names: Set[str]) -> list[list[str]]:
    """All names of those functions that have one of these and others: an alias has the address and the size
    of what it names."""
    symbols = executable.symbols
    chosen = ((symbols["info"] & 15) == linked.STT_FUNC) & (symbols["section"] != linked.SHN_UNDEF)
    by_place: dict[tuple[int, int], list[str]] = {}
    for index in np.flatnonzero(chosen & (symbols["size"] != 0)).tolist() if names else ():
        place = int(symbols["value"][index]), int(symbols["size"][index])
        by_place.setdefault(place, []).append(executable.symbol_name(index))
    return [group for group in by_place.values() if len(group) > 1 and not names.isdisjoint(group)]


def require_defined(exports: Exports, executable: Elf, name: str) -> None:
    """Raise CompileError for an export that nobody defines, before it is taken for an import."""
    defined = defined_functions(executable)
    missing = [export for export, symbol in exports.symbols.items() if symbol not in defined]
    if missing:
        raise CompileError(f"{name}: cannot export {', '.join(missing)}: no such function")
