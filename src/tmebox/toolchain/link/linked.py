"""Reading linked executables and objects in bulk: sections, symbols and relocations as NumPy arrays.

A program has tens of thousands of relocations, so nothing here works on them one by one.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tmebox.errors import CompileError
from tmebox.once import once
from tmebox.records import dataclass

SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
RELOCATION = np.dtype([("place", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])

SHT_PROGBITS, SHT_RELA, SHT_NOBITS, SHT_SYMTAB = 1, 4, 8, 2
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHN_UNDEF, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFFF1, 0xFFF2, 0xFFFF
MAX_SECTIONS = 0xFF00
"""Where there are more, numbers of sections stand elsewhere. No program that we know of has as many."""
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_GNU_IFUNC = 0, 1, 2, 3, 10
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STV_DEFAULT, STV_PROTECTED = 0, 3

MAX_NAMES_BYTES = 1 << 28
"""All names of a file together, each as often as it is asked for."""

_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """The values in order, each once; as np.unique, which imports much more of NumPy."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))] if len(ordered) else ordered


def is_among(values: NDArray[Any], ordered: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value is one of `ordered`, which ascend; as np.isin, which imports as much."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered[places] == values
    return found


@dataclass(frozen=True)
class Section:
    name: str
    type: int
    flags: int
    address: int
    data: memoryview
    size_bytes: int
    link: int
    info: int

    @property
    def loaded(self) -> bool:
        return bool(self.flags & SHF_ALLOC)

    @property
    def executable(self) -> bool:
        return bool(self.flags & SHF_EXECINSTR)


class Elf:
    """An ELF64 file that the toolchain wrote. Raises CompileError where it does not look like one."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._data = memoryview(data)
        self._names_left = MAX_NAMES_BYTES
        try:
            header = _FILE.unpack_from(data)
            if header[0][:6] != b"\x7fELF\x02\x01" or header[2] != 62:
                raise CompileError(f"{name}: not an x86-64 ELF file")
            table, count, names_index = header[6], header[12], header[13]
            if table and (not count or names_index == SHN_XINDEX):
                raise CompileError(f"{name}: it has more than {MAX_SECTIONS:,} sections")
            raw = [_SECTION.unpack_from(data, table + index * _SECTION.size) for index in range(count)]
            names = bytes(self._slice(raw[names_index][4], raw[names_index][5]))
            self.sections = tuple(self._section(fields, names) for fields in raw)
        except (struct.error, IndexError, ValueError, OverflowError) as error:
            raise CompileError(f"{name}: damaged object file ({error})") from None

    def _slice(self, offset: int, size: int) -> memoryview:
        if offset + size > len(self._data):
            raise CompileError(f"{self.name}: truncated object file")
        return self._data[offset : offset + size]

    def _section(self, fields: tuple[int, ...], names: bytes) -> Section:
        name, kind, flags, address, offset, size, link, info, _, _ = fields
        data = memoryview(b"") if kind in (0, SHT_NOBITS) else self._slice(offset, size)
        text = self._name(names, name)
        return Section(text, kind, flags, address, data, size, link, info)

    def _name(self, names: bytes, start: int) -> str:
        """Raises CompileError if all that were asked for are too long: each may be one long text."""
        end = max(names.find(b"\0", start), start)
        self._names_left -= end - start
        if self._names_left < 0:
            raise CompileError(f"{self.name}: its names are too long")
        return names[start:end].decode("utf-8", "surrogateescape")

    @once
    def _by_name(self) -> dict[str, Section]:
        return {section.name: section for section in reversed(self.sections)}

    def section(self, name: str) -> Section | None:
        """The first of its name."""
        return self._by_name.get(name)

    def contents(self, name: str) -> bytes:
        """Bytes of a section; empty if there is none."""
        found = self.section(name)
        return bytes(found.data) if found else b""

    @once
    def symbols(self) -> NDArray[Any]:
        table = next((section for section in self.sections if section.type == SHT_SYMTAB), None)
        if table is None:
            return np.zeros(0, dtype=SYMBOL)
        return np.frombuffer(table.data[: len(table.data) // SYMBOL.itemsize * SYMBOL.itemsize], dtype=SYMBOL)

    @once
    def _strings(self) -> bytes:
        table = next((section for section in self.sections if section.type == SHT_SYMTAB), None)
        if table is None or table.link >= len(self.sections):
            return b""
        return bytes(self.sections[table.link].data)

    def symbol_name(self, index: int) -> str:
        return self._name(self._strings, int(self.symbols["name"][index]))

    def relocations(self) -> list[tuple[Section, NDArray[Any]]]:
        """(section that is patched, its relocations) for loaded sections. Raises CompileError if damaged."""
        found = []
        for section in self.sections:
            if section.type != SHT_RELA or section.info >= len(self.sections):
                continue
            target = self.sections[section.info]
            if target.loaded:
                whole = len(section.data) // RELOCATION.itemsize * RELOCATION.itemsize
                rows = np.frombuffer(section.data[:whole], dtype=RELOCATION)
                if len(rows) and int(rows["symbol"].max()) >= max(len(self.symbols), 1):
                    raise CompileError(f"{self.name}: damaged relocations")
                found.append((target, rows))
        return found
