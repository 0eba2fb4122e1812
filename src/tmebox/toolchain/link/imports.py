"""Imports: which undefined symbols are functions for the host to provide, and the stubs that call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import numpy as np

from tmebox import abi
from tmebox.abi import SYSCALL_IMPORT
from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain.link import linked
from tmebox.toolchain.link.inputs import require_plain
from tmebox.toolchain.link.linked import Elf, is_among
from tmebox.toolchain.link.relocate import ABS32S, PC32, PLT32
from tmebox.toolchain.link.script import quote

INSTRUCTION_MAX_BYTES = 15
_STUB = "__tmebox_stub_of."
"""What begins the name of a label in a stub: no C name is like it, and it is there if the stub is."""


def undefined_functions(executable: Elf, name: str) -> list[str]:
    """Names that nobody defines, sorted. Raises CompileError if one of them is data or there are too many.

    Assembly does not say what an undefined symbol is, so its uses do: what is called is a function, what
    is read or written is data. Where only its address is taken it is held to be a function.
    """
    symbols = executable.symbols
    undefined = (symbols["section"] == linked.SHN_UNDEF) & ((symbols["info"] >> 4) == linked.STB_GLOBAL)
    names = {
        index: require_plain(executable.symbol_name(index)) for index in np.flatnonzero(undefined).tolist()
    }
    if len(names) > abi.MAX_IMPORTS:
        raise CompileError(
            f"{name}: {len(names)} undefined functions; at most {abi.MAX_IMPORTS} can be imported"
        )
    accessed = _accessed(executable, set(names))
    if accessed:
        found = [
            Diagnostic(f"undefined variable: {names[index]} (only functions can be imported)")
            for index in accessed
        ]
        raise CompileError(f"{name} does not link", tuple(found))
    return sorted(names.values())


def _accessed(executable: Elf, candidates: set[int]) -> list[int]:
    """Those of the symbols that instructions use as memory, and never call."""
    called: set[int] = set()
    accessed: set[int] = set()
    ordered = np.array(sorted(candidates), dtype=np.int64)
    for section, rows in executable.relocations():
        uses = rows[is_among(rows["symbol"], ordered)]
        called.update(uses["symbol"][uses["type"] == PLT32].tolist())
        accessed.update(uses["symbol"][(uses["type"] == PC32) & section.executable].tolist())
        maybe = uses[(uses["type"] == ABS32S) & section.executable]
        for place, symbol in zip(maybe["place"].tolist(), maybe["symbol"].tolist(), strict=True):
            if symbol not in called | accessed and _is_displacement(executable, section, place):
                accessed.add(symbol)
    return sorted(accessed - called)


def _is_displacement(executable: Elf, section: linked.Section, place: int) -> bool:
    """Whether the field at `place` is part of a memory operand: decode its function up to there."""
    symbols = executable.symbols
    functions = symbols["value"][(symbols["info"] & 15) == linked.STT_FUNC]
    before = functions[(functions <= place) & (functions >= section.address)]
    start = int(before.max()) if len(before) else section.address
    code = bytes(section.data[start - section.address : place - section.address + INSTRUCTION_MAX_BYTES])
    from iced_x86 import Decoder  # rarely needed, and slow to import

    decoder = Decoder(64, code, ip=start)
    for instruction in decoder:
        if instruction.next_ip > place:
            offsets = decoder.get_constant_offsets(instruction)
            return offsets.has_displacement and instruction.ip + offsets.displacement_offset == place
    return False


def marked_imports(objects: Sequence[Path]) -> frozenset[str]:
    """What sources mark with TMEBOX_IMPORT: a protected name that the objects refer to, and none defines."""
    marked: set[str] = set()
    defined: set[str] = set()
    for path in objects:
        elf = Elf(path.read_bytes(), str(path))
        symbols = elf.symbols
        is_defined = symbols["section"] != linked.SHN_UNDEF
        for index in np.flatnonzero(symbols["other"] & 3 == linked.STV_PROTECTED).tolist():
            (defined if is_defined[index] else marked).add(require_plain(elf.symbol_name(index)))
        for index in np.flatnonzero(is_defined & (symbols["info"] >> 4 != linked.STB_LOCAL)).tolist():
            defined.add(elf.symbol_name(index))
    return frozenset(marked - defined)


def stubbed(executable: Elf) -> frozenset[str]:
    """The imports whose stubs the linker has kept, because something refers to them."""
    symbols = executable.symbols
    indices = np.flatnonzero(symbols["info"] == linked.STT_NOTYPE).tolist()  # and STB_LOCAL
    names = (executable.symbol_name(index) for index in indices)
    return frozenset(name[len(_STUB) :] for name in names if name.startswith(_STUB))


def numbered(names: Set[str], executable: Elf) -> list[str]:
    """Imports in the order of their numbers. libc brings the first one's stub, if it is linked."""
    symbols = executable.symbols
    is_defined = (symbols["section"] != linked.SHN_UNDEF) & (symbols["info"] >> 4 != linked.STB_LOCAL)
    brought = any(
        executable.symbol_name(index) == SYSCALL_IMPORT for index in np.flatnonzero(is_defined).tolist()
    )
    return [*([SYSCALL_IMPORT] if brought else []), *sorted(names - {SYSCALL_IMPORT} if brought else names)]


def stubs(imports: Mapping[str, int]) -> str:
    """One stub per import, as assembly: its index in r11d, then the host-call gate."""
    lines = []
    for name, index in imports.items():
        quoted = quote(name)
        lines += [
            f'\t.section ".text.tmebox_import.{index}","ax",@progbits',
            f"\t.globl {quoted}",
            f"\t.type {quoted},@function",
            f"{quoted}:",
            f"{quote(_STUB + name)}:",
            f"\tmovl ${index}, %r11d",
            "\tjmp __tmebox_gate_hostcall",
            f"\t.size {quoted}, .-{quoted}",
        ]
    return "\n".join(lines) + "\n"
