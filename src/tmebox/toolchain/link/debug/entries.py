"""Debugging information entries (.debug_info, DWARF 5, sections 7.5 and 7.6) of a linked executable.

Units of version 4, which gcc writes for us, differ in their header only, as far as anything here looks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tmebox.records import dataclass
from tmebox.toolchain.link.debug.leb128 import sleb, uleb
from tmebox.toolchain.link.debug.work import Work
from tmebox.toolchain.link.linked import Elf

AT_NAME, AT_LINKAGE_NAME, AT_STR_OFFSETS_BASE = 0x03, 0x6E, 0x72
_UNIT_COMPILE = 1
_UNIT = struct.Struct("<IHBBI")
_UNIT_4 = struct.Struct("<IHIB")
_FLAG_PRESENT, _IMPLICIT_CONST, _STRING, _STRP, _STRX, _SDATA = 0x19, 0x21, 0x08, 0x0E, 0x1A, 0x0D

FIXED = {
    0x01: 8, 0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x0E: 4, 0x10: 4, 0x11: 1, 0x12: 2, 0x13: 4,
    0x14: 8, 0x17: 4, 0x19: 0, 0x1C: 4, 0x1D: 4, 0x1E: 16, 0x1F: 4, 0x20: 8, 0x21: 0, 0x24: 8, 0x25: 1,
    0x26: 2, 0x27: 3, 0x28: 4, 0x29: 1, 0x2A: 2, 0x2B: 3, 0x2C: 4,
}  # fmt: skip
"""Forms of a fixed size, in bytes."""
LEB = {0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23}
"""Forms that are one LEB128 number."""
BLOCK = {0x03: 2, 0x04: 4, 0x0A: 1, 0x09: 0, 0x18: 0}
"""Forms with a length before them: its size, 0 for LEB128."""
_NAMESPACE, _LANGUAGE, _SPECIFICATION = 0x39, 0x13, 0x47
CXX = {0x04, 0x1A, 0x21, 0x2B, 0x31}
"""Languages that are C++, of one standard or another."""
_STEPS = 16
"""Of work, for each attribute that is read."""
_NAMES = (AT_NAME, AT_LINKAGE_NAME)
_STRX_FORMS = {_STRX, 0x25, 0x26, 0x27, 0x28}


DAMAGED = (ArithmeticError, LookupError, ValueError, struct.error)
"""What reading raises where the bytes make no sense."""


@dataclass(frozen=True)
class _Abbreviation:
    """`steps`: runs of fixed size as positive numbers; 0 is a LEB128 number; a negative form is a block."""

    tag: int
    has_children: bool
    attributes: tuple[tuple[int, int, int], ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One entry: attribute values by number (integers; blocks are left out), and where its children start.
    `symbol`: the name that the assembler knows it by."""

    tag: int
    name: str
    symbol: str
    values: dict[int, int]
    children: int


def units(executable: Elf) -> Iterator[Unit]:
    """Compilation units of DWARF 4 and 5; what follows a damaged one is left out."""
    data = executable.contents(".debug_info")
    sections = _Sections(
        data,
        executable.contents(".debug_abbrev"),
        executable.contents(".debug_str"),
        executable.contents(".debug_str_offsets"),
    )
    position = 0
    while position + _UNIT.size <= len(data):
        length, version, kind, address_size, abbreviations = _UNIT.unpack_from(data, position)
        end = position + 4 + length
        if length >= 0xFFFF_FFF0 or end > len(data):
            return
        if version == 5 and kind == _UNIT_COMPILE and address_size == 8:
            yield Unit(sections, position, _UNIT.size, end, abbreviations)
        elif version == 4:
            _, _, abbreviations, address_size = _UNIT_4.unpack_from(data, position)
            if address_size == 8:
                yield Unit(sections, position, _UNIT_4.size, end, abbreviations)
        position = end


class _Sections:
    """The debug sections, and abbreviation tables by their offset."""

    def __init__(self, info: bytes, abbreviations: bytes, strings: bytes, string_offsets: bytes) -> None:
        self.info = info
        self.strings = strings
        self.string_offsets = string_offsets
        self._abbreviations = abbreviations
        self._tables: dict[int, dict[int, _Abbreviation]] = {}
        self._places: dict[bytes, int] | None = None
        self._named: dict[frozenset[str], frozenset[int]] = {}
        self._mentioned: dict[int, frozenset[int]] = {}
        self.work = Work(len(info) + len(abbreviations) + len(strings) + len(string_offsets))

    def string(self, offset: int) -> str:
        """Many names may be one long text."""
        end = max(self.strings.find(b"\0", offset), offset)
        self.work.spend(end - offset)
        return self.strings[offset:end].decode("utf-8", "replace")

    def places(self, names: frozenset[str]) -> frozenset[int]:
        """Where these stand in .debug_str."""
        if names not in self._named:
            self._named[names] = frozenset({self._place(name) for name in names} - {-1})
        return self._named[names]

    def _place(self, name: str) -> int:
        """Offset of `name` in .debug_str, or -1: the linker merges equal strings, so there is one."""
        if self._places is None:
            self._places = {}
            position = 0
            for string in self.strings.split(b"\0"):
                self._places[string] = position
                position += len(string) + 1
        return self._places.get(name.encode("utf-8", "surrogateescape"), -1)

    def mentioned(self, base: int) -> frozenset[int]:
        """The strings of the string table at `base`, as offsets in .debug_str."""
        if base not in self._mentioned:
            length = int.from_bytes(self.string_offsets[base - 8 : base - 4], "little")
            own = self.string_offsets[base : base - 4 + length]
            self.work.spend(len(own))
            whole = len(own) // 4
            self._mentioned[base] = frozenset(struct.unpack(f"<{whole}I", own[: whole * 4]))
        return self._mentioned[base]

    def table(self, offset: int) -> dict[int, _Abbreviation]:
        if offset not in self._tables:
            self._tables[offset] = _parse_abbreviations(self._abbreviations, offset, self.work)
        return self._tables[offset]


def _parse_abbreviations(data: bytes, position: int, work: Work) -> dict[int, _Abbreviation]:
    """Each unit may start to read one long table at another place."""
    table: dict[int, _Abbreviation] = {}
    while True:
        code, position = uleb(data, position)
        if code == 0:
            return table
        work.spend(_STEPS)
        tag, position = uleb(data, position)
        has_children = bool(data[position])
        position += 1
        attributes: list[tuple[int, int, int]] = []
        steps: list[int] = []
        while True:
            attribute, position = uleb(data, position)
            form, position = uleb(data, position)
            constant = 0
            if form == _IMPLICIT_CONST:
                constant, position = sleb(data, position)
            if attribute == form == 0:
                break
            work.spend(_STEPS)
            attributes.append((attribute, form, constant))
            if form not in FIXED:
                steps.append(0 if form in LEB else -form)
            elif steps and steps[-1] > 0:
                steps[-1] += FIXED[form]
            elif FIXED[form]:
                steps.append(FIXED[form])
        table[code] = _Abbreviation(tag, has_children, tuple(attributes), tuple(steps))


class Unit:
    """One compilation unit. Methods raise what DAMAGED names if its bytes make no sense."""

    def __init__(
        self, sections: _Sections, start: int, header_size: int, end: int, abbreviations: int
    ) -> None:
        self._sections = sections
        self.work = sections.work
        self._info = sections.info
        self._start = start
        self._end = end
        self._table = sections.table(abbreviations)
        self._string_base = 8
        root = self._read(start + header_size)
        self._string_base = root.values.get(AT_STR_OFFSETS_BASE, 8)
        self._root = root

    def find(self, tag: int, names: frozenset[str]) -> Iterator[Entry]:
        """Entries of `tag` outside of functions and types whose symbol is in `names`."""
        if not self._may_mention(names):
            return
        for position in self._walk(self._root.children, tag, _NAMESPACE if self.is_cxx else 0):
            entry = self._whole(self._read(position))
            if entry.symbol in names:
                yield entry

    @property
    def is_cxx(self) -> bool:
        return self._root.values.get(_LANGUAGE, 0) in CXX

    def _whole(self, entry: Entry) -> Entry:
        """With what its declaration says, where that stands elsewhere, as members of classes are declared."""
        reference = entry.values.get(_SPECIFICATION)
        if reference is None:
            return entry
        declared = self.entry(int(reference))
        values = {**declared.values, **entry.values}
        return Entry(
            entry.tag, entry.name or declared.name, entry.symbol or declared.symbol, values, entry.children
        )

    def entry(self, offset: int) -> Entry:
        """The entry at `offset` from the unit's start, as references have it."""
        return self._read(self._start + offset)

    def children(self, entry: Entry) -> Iterator[Entry]:
        if entry.children >= 0:
            for position in self._walk(entry.children, 0):
                yield self._read(position)

    def _may_mention(self, names: frozenset[str]) -> bool:
        """Whether the unit's string table has any of these: most units of a program do not. gcc's units have
        no such table, and short strings in place."""
        if AT_STR_OFFSETS_BASE not in self._root.values:
            return True
        places, base = self._sections.places(names), self._string_base
        if not 8 <= base <= len(self._sections.string_offsets):
            return False
        mentioned = self._sections.mentioned(base)
        self.work.spend(min(len(places), len(mentioned)))
        return not places.isdisjoint(mentioned)

    def _walk(self, position: int, tag: int, opened: int = 0) -> Iterator[int]:
        """Positions of the siblings from `position` on with this tag (0: any), without what is in them; also
        of what is in those with the tag `opened`, in whatever of these that is."""
        data, table, end = self._info, self._table, self._end
        depth = level = 0
        counted = position
        while 0 <= position < end:
            start = position
            code = data[position]
            position += 1
            if code >= 0x80:
                code, position = uleb(data, start)
            if code == 0:
                if depth == 0:
                    break
                depth -= 1
                level = min(level, depth)
                continue
            abbreviation = table[code]
            if depth == level and tag in (0, abbreviation.tag):
                self.work.spend(start - counted)
                counted = start
                yield start
            for step in abbreviation.steps:
                if step > 0:
                    position += step
                elif step == 0:
                    while data[position] >= 0x80:
                        position += 1
                    position += 1
                else:
                    size, position = self._block(-step, position)
                    position += size
            if abbreviation.has_children:
                level += depth == level and opened == abbreviation.tag
                depth += 1
        self.work.spend(max(min(position, end) - counted, 0))

    def _block(self, form: int, position: int) -> tuple[int, int]:
        """(size, position of the contents) of a block."""
        if form == _STRING:
            return self._info.index(b"\0", position) + 1 - position, position
        if form not in BLOCK:
            raise ValueError(f"form {form:#x}")
        width = BLOCK[form]
        if width == 0:
            return uleb(self._info, position)
        return int.from_bytes(self._info[position : position + width], "little"), position + width

    def _read(self, position: int) -> Entry:
        data = self._info
        if not self._start <= position < self._end:
            raise ValueError("a reference leaves its unit")
        code, position = uleb(data, position)
        abbreviation = self._table.get(code)
        if abbreviation is None:
            raise ValueError("unknown abbreviation")
        self.work.spend(_STEPS * (1 + len(abbreviation.attributes)))
        values: dict[int, int] = {}
        texts: dict[int, str] = {}
        for attribute, form, constant in abbreviation.attributes:
            value: int | None
            if form == _IMPLICIT_CONST:
                value = constant
            elif form == _FLAG_PRESENT:
                value = 1
            elif form == _SDATA:
                value, position = sleb(data, position)
            elif form in LEB:
                value, position = uleb(data, position)
            elif form in FIXED:
                value = int.from_bytes(data[position : position + FIXED[form]], "little")
                position += FIXED[form]
            else:
                size, position = self._block(form, position)
                self.work.spend(min(size, len(data)))
                value = None
                if attribute in _NAMES and form == _STRING:
                    texts[attribute] = data[position : position + size - 1].decode("utf-8", "replace")
                position += size
            if value is None:
                continue
            values[attribute] = value
            if attribute in _NAMES and form in _STRX_FORMS:
                place = self._string_base + 4 * value
                texts[attribute] = self._sections.string(
                    int.from_bytes(self._sections.string_offsets[place : place + 4], "little")
                )
            elif attribute in _NAMES and form == _STRP:
                texts[attribute] = self._sections.string(value)
        name = texts.get(AT_NAME, "")
        symbol = texts.get(AT_LINKAGE_NAME) or name
        return Entry(abbreviation.tag, name, symbol, values, position if abbreviation.has_children else -1)
