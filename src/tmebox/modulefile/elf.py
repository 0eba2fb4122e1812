"""The ELF64 container of module files: written for `readelf` and `objdump` to understand, read as hostile.

Only the subset that module files use: little-endian x86-64 executables with PT_LOAD and PT_NOTE headers. The
reader never trusts an offset or a count and copies nothing: what it returns are views of its input.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tmebox.errors import ModuleError

PT_LOAD, PT_NOTE = 1, 4
PF_X, PF_W, PF_R = 1, 2, 4
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOTE, SHT_NOBITS = 1, 2, 3, 7, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4

PAGE = 4096
MAX_HEADERS = 256
"""Program headers, and section headers, that a file may have."""

_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_NOTE = struct.Struct("<III")
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_ET_EXEC, _EM_X86_64 = 2, 62


@dataclass(frozen=True)
class Section:
    """One section to write. `size_bytes` is for SHT_NOBITS, which has no data."""

    name: str
    type: int
    flags: int = 0
    address: int = 0
    data: bytes = b""
    size_bytes: int = 0
    link: str = ""
    info: int = 0
    align: int = 1
    entry_size_bytes: int = 0


@dataclass(frozen=True)
class Load:
    """A PT_LOAD or PT_NOTE header. When writing, `data` is found by the names of its sections instead."""

    flags: int
    address: int
    data: memoryview
    size_bytes: int


@dataclass(frozen=True)
class Container:
    """What `read` found: loadable segments in file order, note bytes, and sections that are not loaded."""

    entry: int
    loads: tuple[Load, ...]
    notes: memoryview
    sections: dict[str, memoryview]


def note(name: str, kind: int, data: bytes) -> bytes:
    """One ELF note, padded to a multiple of four bytes."""
    owner = name.encode() + b"\0"
    return b"".join(
        (_NOTE.pack(len(owner), len(data), kind), owner, bytes(-len(owner) % 4), data, bytes(-len(data) % 4))
    )


def notes(data: memoryview, name: str) -> dict[int, memoryview]:
    """The notes of owner `name` by type. Raises ModuleError if any note is malformed or comes twice."""
    found: dict[int, memoryview] = {}
    position, end = 0, len(data)
    while position < end:
        if end - position < _NOTE.size:
            raise ModuleError("a note of the module file is cut short")
        owner_size, size, kind = _NOTE.unpack_from(data, position)
        owner_start = position + _NOTE.size
        start = owner_start + owner_size + -owner_size % 4
        position = start + size + -size % 4
        if position > end:
            raise ModuleError("a note of the module file is longer than its segment")
        if owner_size != len(name) + 1 or bytes(data[owner_start : owner_start + len(name)]) != name.encode():
            continue
        if kind in found:
            raise ModuleError(f"the module file has two notes of type {kind}")
        found[kind] = data[start : start + size]
    return found


def write(sections: Sequence[Section], loads: Iterable[tuple[int, int, Sequence[str]]], entry: int) -> bytes:
    """Lay out an executable. `loads`: (type, flags, names of consecutive sections) per program header."""
    headers = list(loads)
    position = _FILE.size + _PROGRAM.size * len(headers)
    names = bytearray(b"\0")
    name_offsets: dict[str, int] = {}
    for section in (*sections, Section(".shstrtab", SHT_STRTAB)):
        name_offsets[section.name] = len(names)
        names += section.name.encode() + b"\0"
    every = [*sections, Section(".shstrtab", SHT_STRTAB, data=bytes(names))]
    indices = {section.name: index for index, section in enumerate(every, 1)}
    chunks: list[bytes] = []
    offsets: dict[str, int] = {}
    table = [bytes(_SECTION.size)]
    for section in every:
        # A loaded section's file offset is congruent to its address, as the ELF specification asks.
        align = PAGE if section.flags & SHF_ALLOC and section.type != SHT_NOBITS else max(section.align, 1)
        target = section.address % PAGE if section.flags & SHF_ALLOC and align == PAGE else 0
        if section.type != SHT_NOBITS:
            padding = (target - position) % align
            chunks.append(bytes(padding) + section.data)
            position += padding
        offsets[section.name] = position
        size = section.size_bytes if section.type == SHT_NOBITS else len(section.data)
        table.append(
            _SECTION.pack(
                name_offsets[section.name],
                section.type,
                section.flags,
                section.address,
                position,
                size,
                indices[section.link] if section.link else 0,
                section.info,
                section.align,
                section.entry_size_bytes,
            )
        )
        position += len(section.data)
    padding = -position % 8
    chunks.append(bytes(padding))
    section_table = position + padding
    by_name = {section.name: section for section in every}
    program: list[bytes] = []
    for kind, flags, members in headers:
        parts = [by_name[name] for name in members]
        first = parts[0]
        file_size = sum(len(part.data) for part in parts)
        size = sum(part.size_bytes if part.type == SHT_NOBITS else len(part.data) for part in parts)
        align = PAGE if kind == PT_LOAD else 4
        program.append(
            _PROGRAM.pack(
                kind, flags, offsets[first.name], first.address, first.address, file_size, size, align
            )
        )
    file_header = _FILE.pack(
        _IDENT,
        _ET_EXEC,
        _EM_X86_64,
        1,
        entry,
        _FILE.size if headers else 0,
        section_table,
        0,
        _FILE.size,
        _PROGRAM.size,
        len(headers),
        _SECTION.size,
        len(every) + 1,
        len(every),
    )
    return b"".join((file_header, *program, *chunks, *table))


def read(data: bytes | bytearray | memoryview) -> Container:
    """Parse untrusted bytes; raises ModuleError, and nothing else, if they are damaged."""
    view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
    if len(view) < _FILE.size:
        raise ModuleError("not a module file: too short for an ELF header")
    ident, kind, machine, version, entry, ph, sh, _, eh_size, ph_size, ph_n, sh_size, sh_n, sh_names = (
        _FILE.unpack_from(view)
    )
    if ident[:4] != _IDENT[:4]:
        raise ModuleError("not a module file: no ELF header")
    if ident[4] != 2 or ident[5] != 1 or machine != _EM_X86_64:
        raise ModuleError(f"not a module file: ELF for another machine (class {ident[4]}, machine {machine})")
    if ident[6] != 1 or version != 1 or kind != _ET_EXEC:
        raise ModuleError(f"not a module file: ELF of type {kind}, and modules are executables (type 2)")
    if (eh_size, ph_size, sh_size) != (_FILE.size, _PROGRAM.size, _SECTION.size):
        raise ModuleError("damaged module file: impossible sizes in its ELF header")
    if ph_n > MAX_HEADERS or sh_n > MAX_HEADERS:
        raise ModuleError(f"damaged module file: {ph_n} program and {sh_n} section headers")
    loads: list[Load] = []
    note_bytes = memoryview(b"")
    found_bytes = 0
    for index in range(ph_n):
        fields = _PROGRAM.unpack_from(
            _part(view, ph + index * _PROGRAM.size, _PROGRAM.size, "program header")
        )
        kind, flags, offset, address, _, file_size, size, _ = fields
        content = _part(view, offset, file_size, "segment")
        found_bytes += file_size
        if kind == PT_LOAD:
            if size < file_size:
                raise ModuleError(
                    f"damaged module file: the segment at {address:#x} is smaller than its data"
                )
            loads.append(Load(flags, address, content, size))
        elif kind == PT_NOTE:
            if note_bytes:
                raise ModuleError("damaged module file: two note segments")
            note_bytes = content
    sections = _sections(view, sh, sh_n, sh_names)
    found_bytes += sum(map(len, sections.values()))
    if found_bytes > 2 * len(view):  # notes are both a segment and a section
        raise ModuleError("damaged module file: its segments and sections are parts of each other")
    return Container(entry, tuple(loads), note_bytes, sections)


def _part(view: memoryview, offset: int, size: int, what: str) -> memoryview:
    if offset > len(view) or size > len(view) - offset:
        raise ModuleError(f"truncated module file: a {what} lies beyond its end")
    return view[offset : offset + size]


def _sections(view: memoryview, table: int, count: int, names_index: int) -> dict[str, memoryview]:
    """Sections with contents that are not loaded, by name; the first of a name wins."""
    headers = []
    for index in range(count):
        where = _part(view, table + index * _SECTION.size, _SECTION.size, "section header")
        headers.append(_SECTION.unpack_from(where))
    if not headers:
        return {}
    if names_index >= count:
        raise ModuleError("damaged module file: no section name table")
    names = _part(view, headers[names_index][4], headers[names_index][5], "section")
    found: dict[str, memoryview] = {}
    for name_offset, kind, flags, _, offset, size, *_ in headers:
        if kind in (0, SHT_NOBITS) or flags & SHF_ALLOC:
            continue
        name = bytes(names[name_offset : name_offset + 64]).split(b"\0", 1)[0]
        if not name.isascii():
            raise ModuleError(f"damaged module file: a section is named {name!r}")
        found.setdefault(name.decode("ascii"), _part(view, offset, size, "section"))
    return found
