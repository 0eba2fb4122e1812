"""Frame tables (.eh_frame and its index): what code in the sandbox unwinds by, when an exception is thrown.

The linker writes places of code relative to the tables. Text moves when a module is loaded, and data does
not: so they become addresses of 32 bits, as which the loader moves them. The tables are the sandbox's data
like any other. What an exception may jump to is the target map's matter.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain.link.debug.leb128 import sleb, uleb
from tmebox.toolchain.link.linked import Elf, Section

TABLES, INDEX = ".eh_frame", ".eh_frame_hdr"
_ABSOLUTE, _RELATIVE = 0x03, 0x1B
"""DW_EH_PE_udata4, and DW_EH_PE_pcrel | DW_EH_PE_sdata4."""
_OMITTED = 0xFF
_INDEX_HEADER = struct.Struct("<4BiI")
_INDEX_ENCODINGS = (1, 0x1B, _ABSOLUTE, 0x3B)
"""Version 1, and how lld writes the tables' place, the number of entries and the entries."""
_INDEX_ENTRY = np.dtype([("code", "<i4"), ("entry", "<i4")])


@dataclass(frozen=True)
class Frames:
    """contents: of the sections, patched. code: addresses of fields that hold addresses of code. functions:
    what those of personality routines hold: functions whose address is taken."""

    contents: dict[str, bytes]
    code: NDArray[np.uint64]
    functions: NDArray[np.uint64]


def absolute(executable: Elf) -> Frames:
    """The frame tables with absolute addresses. Raises CompileError for what no assembler of ours writes."""
    tables, index = executable.section(TABLES), executable.section(INDEX)
    if tables is None or not tables.loaded or not tables.size_bytes:
        return Frames({}, np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint64))
    try:
        reader = _Tables(tables)
        reader.read()
        contents = {TABLES: bytes(reader.data)}
        places = np.array(reader.code, dtype=np.uint64)
        if index is not None and index.size_bytes:
            contents[INDEX], more = _absolute_index(index)
            places = np.concatenate([places, more])
        return Frames(contents, places, np.array(sorted(reader.functions), dtype=np.uint64))
    except (struct.error, IndexError, ValueError) as error:
        raise CompileError(f"{executable.name}: damaged frame tables ({error})") from None


def _absolute_index(index: Section) -> tuple[bytes, NDArray[np.uint64]]:
    *encodings, _, count = _INDEX_HEADER.unpack_from(index.data)
    if tuple(encodings) != _INDEX_ENCODINGS:
        raise ValueError("an index of another kind")
    rows = np.frombuffer(index.data, dtype=_INDEX_ENTRY, count=count, offset=_INDEX_HEADER.size).copy()
    rows["code"] += index.address
    rows["entry"] += index.address
    encodings[3] = _ABSOLUTE
    head = bytes(encodings) + bytes(index.data[4 : _INDEX_HEADER.size])
    first = index.address + _INDEX_HEADER.size
    places = first + np.arange(count, dtype=np.uint64) * np.uint64(_INDEX_ENTRY.itemsize)
    rest = bytes(index.data[_INDEX_HEADER.size + rows.nbytes :])
    return head + rows.tobytes() + rest, places


class _Tables:
    """data: .eh_frame, patched by `read`. code, functions: see `Frames`."""

    def __init__(self, section: Section) -> None:
        self.data = bytearray(section.data)
        self._read_only = bytes(section.data)
        self.code: list[int] = []
        self.functions: set[int] = set()
        self._address = section.address
        self._has_absolute_code: dict[int, bool] = {}
        """Common entries by their place, and whether their code addresses were absolute all along."""

    def read(self) -> None:
        position, data = 0, self.data
        while position + 4 <= len(data):
            (length,) = struct.unpack_from("<I", data, position)
            if length == 0:
                position += 4
                continue
            start, end = position + 4, position + 4 + length
            if length >= 0xFFFF_FFF0 or length < 8 or end > len(data):
                raise ValueError("an entry of impossible length")
            (back,) = struct.unpack_from("<I", data, start)
            if back == 0:
                self._common(position, start + 4, end)
            else:
                self._frame(start - back, start + 4)
            position = end

    def _common(self, place: int, position: int, end: int) -> None:
        """Describes what several frames have in common (CIE)."""
        data = self.data
        after = data.index(0, position + 1)
        augmentation = bytes(data[position + 1 : after])
        position = after + 1
        for skip in (uleb, sleb, uleb):  # alignments of code and data, and the return address's register
            _, position = skip(self._read_only, position)
        was_absolute = True
        if augmentation[:1] != b"z":
            raise ValueError("frames without their encodings")
        _, position = uleb(self._read_only, position)
        for letter in augmentation[1:].decode("latin-1"):
            if letter == "R":
                if data[position] not in (_ABSOLUTE, _RELATIVE):
                    raise ValueError(f"addresses of code in encoding {data[position]:#x}")
                was_absolute = data[position] == _ABSOLUTE
                data[position] = _ABSOLUTE
                position += 1
            elif letter == "P":
                position = self._personality(position)
            elif letter == "L":
                if data[position] not in (_ABSOLUTE, _OMITTED):
                    raise ValueError(f"tables of exceptions in encoding {data[position]:#x}")
                position += 1
            elif letter not in "SB":
                raise ValueError(f"augmentation {letter!r}")
        if position > end:
            raise ValueError("an entry that is too short")
        self._has_absolute_code[place] = was_absolute

    def _personality(self, position: int) -> int:
        if self.data[position] != _ABSOLUTE:
            raise ValueError(f"a personality routine in encoding {self.data[position]:#x}")
        (address,) = struct.unpack_from("<I", self.data, position + 1)
        if address:
            self.code.append(self._address + position + 1)
            self.functions.add(address)
        return position + 5

    def _frame(self, common: int, position: int) -> None:
        """Describes one function's frames (FDE)."""
        was_absolute = self._has_absolute_code.get(common)
        if was_absolute is None:
            raise ValueError("a frame of no kind")
        place = self._address + position
        if not was_absolute:
            (relative,) = struct.unpack_from("<i", self.data, position)
            struct.pack_into("<I", self.data, position, (place + relative) & 0xFFFF_FFFF)
        self.code.append(place)
