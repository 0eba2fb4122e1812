"""Line tables out of .debug_line (DWARF 5), for the places in traps and verification errors.

A reader of our own, because programs have hundreds of thousands of rows. It reads what clang and its
assembler write; a unit that it does not understand is left out, since lines only ever inform.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from tmebox.modulefile.file import LineTable
from tmebox.records import dataclass, field
from tmebox.toolchain.link.debug.entries import DAMAGED
from tmebox.toolchain.link.debug.leb128 import sleb, uleb
from tmebox.toolchain.link.debug.work import TooMuchError, Work
from tmebox.toolchain.link.linked import Elf

_SET_FILE_MAX = 65535
_FORM_STRING, _FORM_LINE_STRP, _FORM_STRP, _FORM_UDATA, _FORM_DATA1, _FORM_DATA2, _FORM_DATA16 = (
    0x08, 0x1F, 0x0E, 0x0F, 0x0B, 0x05, 0x1E,
)  # fmt: skip
_PATH, _DIRECTORY = 1, 2
_STEPS = 16
"""Of work, for each value that is read."""


@dataclass
class _Rows:
    """Rows of all units: address → (file, line), and the files by name."""

    work: Work
    addresses: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def file(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))


def read_lines(executable: Elf, low: int, high: int) -> LineTable:
    """The line table of text [low, high). Rows with line 0 say that the code belongs to no line."""
    data = executable.contents(".debug_line")
    strings = {
        _FORM_LINE_STRP: executable.contents(".debug_line_str"),
        _FORM_STRP: executable.contents(".debug_str"),
    }
    rows = _Rows(Work(len(data) + sum(map(len, strings.values()))))
    position = 0
    while position + 4 <= len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        end = position + 4 + length
        if length >= 0xFFFF_FFF0 or end > len(data):
            break
        try:
            _unit(data, position + 4, end, strings, rows, low, high)
        except TooMuchError:
            break
        except DAMAGED:  # a unit of another producer
            pass
        position = end
    return _table(rows, high)


def _table(rows: _Rows, high: int) -> LineTable:
    """Sorted by address; where rows share one, the last of them holds."""
    names = tuple(rows.numbers)
    addresses = np.array(rows.addresses, dtype=np.uint32)
    files = np.array(rows.files, dtype=np.uint32)
    lines = np.array(rows.lines, dtype=np.uint32)
    known = files <= _SET_FILE_MAX
    addresses, files, lines = addresses[known], files[known], lines[known]
    order = np.argsort(addresses, kind="stable")
    addresses, files, lines = addresses[order], files[order], lines[order]
    if len(addresses):
        keep = np.append(addresses[1:] != addresses[:-1], True)
        addresses, files, lines = addresses[keep], files[keep], lines[keep]
        keep = np.append(True, (files[1:] != files[:-1]) | (lines[1:] != lines[:-1]))
        addresses, files, lines = addresses[keep], files[keep], lines[keep]
    return LineTable(addresses, files.astype(np.uint16), lines, names[: _SET_FILE_MAX + 1])


def _string(data: bytes, position: int, work: Work) -> str:
    """Many entries may name one long text."""
    end = data.index(b"\0", position)
    work.spend(end - position)
    return data[position:end].decode("utf-8", "replace")


def _entries(
    data: bytes, position: int, strings: dict[int, bytes], work: Work
) -> tuple[list[dict[int, str | int]], int]:
    """A directory or file table of a DWARF 5 header: one {content type: value} per entry."""
    format_count = data[position]
    position += 1
    formats = []
    for _ in range(format_count):
        content, position = uleb(data, position)
        form, position = uleb(data, position)
        formats.append((content, form))
    count, position = uleb(data, position)
    entries: list[dict[int, str | int]] = []
    value: str | int
    for _ in range(min(count, len(data))):
        entry: dict[int, str | int] = {}
        work.spend(_STEPS * (1 + format_count))
        for content, form in formats:
            if form in strings:
                place = int.from_bytes(data[position : position + 4], "little")
                value = _string(strings[form], place, work)
                position += 4
            elif form == _FORM_STRING:
                value = _string(data, position, work)
                position = data.index(b"\0", position) + 1
            elif form == _FORM_UDATA:
                value, position = uleb(data, position)
            elif form in (_FORM_DATA1, _FORM_DATA2, _FORM_DATA16):
                width = {_FORM_DATA1: 1, _FORM_DATA2: 2, _FORM_DATA16: 16}[form]
                value = int.from_bytes(data[position : position + width], "little")
                position += width
            else:
                raise ValueError(f"form {form:#x} in a line table")
            entry[content] = value
        entries.append(entry)
    return entries, position


def _unit(
    data: bytes, position: int, end: int, strings: dict[int, bytes], rows: _Rows, low: int, high: int
) -> None:
    version, _, _, header_length = struct.unpack_from("<HBBI", data, position)
    if version != 5:
        raise ValueError(f"line table of version {version}")
    program = position + 8 + header_length
    minimum, _, _, line_base, line_range, opcode_base = struct.unpack_from("<BBBbBB", data, position + 8)
    lengths = data[position + 14 : position + 13 + opcode_base]
    directories, position = _entries(data, position + 13 + opcode_base, strings, rows.work)
    files, _ = _entries(data, position, strings, rows.work)
    names: dict[int, int] = {}

    def number(index: int) -> int:
        """Index of the unit's file in the module's list; added when a row first needs it."""
        if index not in names:
            entry = files[index]
            directory = int(entry.get(_DIRECTORY, 0))
            prefix = str(directories[directory][_PATH]) + "/" if directory else ""
            name = str(entry[_PATH])
            name = name if name.startswith("/") else prefix + name
            rows.work.spend(len(name))
            names[index] = rows.file(name)
        return names[index]

    _run(
        data, program, end, (minimum, line_base, line_range, opcode_base, lengths), number, rows, (low, high)
    )


def _run(
    data: bytes,
    position: int,
    end: int,
    header: tuple[int, int, int, int, bytes],
    number: Callable[[int], int],
    rows: _Rows,
    text: tuple[int, int],
) -> None:
    """The line-number state machine of DWARF 5, section 6.2, without the registers that nobody reads."""
    minimum, line_base, line_range, opcode_base, lengths = header
    low, high = text
    address, file, line = 0, 1, 1
    add_address, add_file, add_line = rows.addresses.append, rows.files.append, rows.lines.append

    def row() -> None:
        if low <= address < high:
            add_file(number(file))  # first: it fails if there is none
            add_address(address)
            add_line(line)

    while position < end:
        opcode = data[position]
        position += 1
        if opcode >= opcode_base:
            opcode -= opcode_base
            address += opcode // line_range * minimum
            line = (line + line_base + opcode % line_range) & 0xFFFF_FFFF
            row()
        elif opcode == 0:
            length, position = uleb(data, position)
            code = data[position]
            if code == 1:  # end of a sequence: what follows belongs to no line
                if low <= address < high:
                    add_file(number(file))
                    add_address(address)
                    add_line(0)
                address, file, line = 0, 1, 1
            elif code == 2:
                address = int.from_bytes(data[position + 1 : position + length], "little")
            position += length
        elif opcode == 1:
            row()
        elif opcode == 2:
            value, position = uleb(data, position)
            address += value * minimum
        elif opcode == 3:
            value, position = sleb(data, position)
            line = (line + value) & 0xFFFF_FFFF
        elif opcode == 4:
            file, position = uleb(data, position)
        elif opcode == 8:
            address += (255 - opcode_base) // line_range * minimum
        elif opcode == 9:
            address += int.from_bytes(data[position : position + 2], "little")
            position += 2
        else:
            for _ in range(lengths[opcode - 1]):
                _, position = uleb(data, position)
