"""Call-frame information (.debug_frame, DWARF 2 to 5): where a function keeps what its caller needs.

A reader of our own, because the bytes are a stranger's: it runs a function's instructions up to one address
and keeps one row, so that its memory does not grow with what they say, and each limit below ends it quietly.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

REGISTERS: Final = 17
"""rax to r15 and the return address, as DWARF numbers them; rules for others are read and dropped."""
MAX_ENTRIES: Final = 1 << 20
"""Entries that are looked at; large programs have a hundred thousand. Later ones are as if they were not."""
MAX_STEPS: Final = 1 << 13
"""Instructions that are run for one address: more than a function of a megabyte has."""
MAX_REMEMBERED: Final = 64
"""Rows that a function may remember at a time."""
MAX_NUMBER_BYTES: Final = 10
"""Bytes of a LEB128 number of 64 bits."""

Column = NDArray[np.uint64]

_HEAD: Final = struct.Struct("<IIQQ")
"""Length of what follows it, place of the common entry, first address, size."""
_RESERVED: Final = 0xFFFF_FFF0
"""From here on a length is none."""
_COMMON: Final = 0xFFFF_FFFF
"""In the place of an identity: the entry is a common one."""


class _Unreadable(Exception):
    """Damaged, or of a kind that compilers for this machine do not write."""


@dataclass
class Row:
    """How to find the caller's frame: register `base` plus `offset` is its address (the CFA).

    saved: register → where it is, as an offset from the CFA.
    """

    base: int = -1
    offset: int = 0
    saved: dict[int, int] = field(default_factory=dict)

    def copy(self) -> Row:
        return Row(self.base, self.offset, dict(self.saved))


class CallFrames:
    """The entries of one .debug_frame section, by address. Never raises."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._starts, self._sizes, self._places = _index(data)

    def row(self, address: int) -> Row | None:
        """The row for an address; None if there is none, or none that can be read within the limits."""
        number = int(np.searchsorted(self._starts, np.uint64(address), side="right")) - 1
        if number < 0 or address - int(self._starts[number]) >= int(self._sizes[number]):
            return None
        try:
            return _row(self._data, int(self._places[number]), address)
        except (_Unreadable, struct.error, IndexError, OverflowError):
            return None


def _index(data: bytes) -> tuple[Column, Column, Column]:
    """First address, size and place of each entry for a function, sorted by address."""
    starts, sizes, places = array("Q"), array("Q"), array("Q")
    position = 0
    for _ in range(MAX_ENTRIES):
        if len(data) - position < _HEAD.size:
            break
        length, identity, start, size = _HEAD.unpack_from(data, position)
        if length >= _RESERVED:
            break  # 64-bit DWARF, or damaged
        if identity != _COMMON and length >= _HEAD.size - 4:
            starts.append(start)
            sizes.append(size)
            places.append(position)
        position += 4 + length
    order = np.argsort(np.asarray(starts), kind="stable")
    return np.asarray(starts)[order], np.asarray(sizes)[order], np.asarray(places)[order]


def _row(data: bytes, place: int, address: int) -> Row:
    length, common, start = struct.unpack_from("<IIQ", data, place)
    machine = _common(data, common)
    first = Row()
    machine.run(data, machine.first, machine.end, first, None, MAX_STEPS)
    machine.initial = first.copy()
    end = min(place + 4 + length, len(data))
    return machine.run(data, place + _HEAD.size, end, first, address - start, MAX_STEPS)


def _common(data: bytes, place: int) -> _Machine:
    """The common entry (CIE) at a place."""
    length, identity, version = struct.unpack_from("<IIB", data, place)
    if identity != _COMMON or version not in (1, 3, 4) or data[place + 9] != 0:
        raise _Unreadable  # an augmentation says what else there is, and has no place in .debug_frame
    position = place + 10
    if version == 4:
        if data[position] != 8 or data[position + 1] != 0:
            raise _Unreadable
        position += 2
    code, position = _unsigned(data, position)
    data_factor, position = _signed(data, position)
    if version == 1:
        position += 1
    else:
        _, position = _unsigned(data, position)
    return _Machine(code, data_factor, position, min(place + 4 + length, len(data)))


@dataclass
class _Machine:
    """first, end: places of the instructions that every function of the common entry starts with."""

    code_factor: int
    data_factor: int
    first: int
    end: int
    initial: Row = field(default_factory=Row)

    def run(self, data: bytes, position: int, end: int, row: Row, until: int | None, steps: int) -> Row:
        """Run instructions up to `end`, or as far as they are about the first `until` bytes."""
        at = 0
        remembered: list[Row] = []
        for _ in range(steps):
            if position >= end:
                return row
            opcode = data[position]
            position += 1
            high, low = opcode & 0xC0, opcode & 0x3F
            advance = 0
            if high == 0x40:  # advance_loc
                advance = low
            elif 2 <= opcode <= 4:  # advance_loc1, 2, 4
                size = 1 << opcode - 2
                advance = int.from_bytes(data[position : position + size], "little")
                position += size
            elif high == 0x80:  # offset
                number, position = _unsigned(data, position)
                _save(row, low, number * self.data_factor)
            elif high == 0xC0:  # restore
                self._restore(row, low)
            elif opcode == 0x0A:  # remember_state
                if len(remembered) == MAX_REMEMBERED:
                    raise _Unreadable
                remembered.append(row.copy())
            elif opcode == 0x0B:  # restore_state
                if not remembered:
                    raise _Unreadable
                row = remembered.pop()
            else:
                position = self._other(data, opcode, position, row)
            if advance:
                at += advance * self.code_factor
                if until is not None and at > until:
                    return row
        raise _Unreadable

    def _restore(self, row: Row, register: int) -> None:
        row.saved.pop(register, None)
        if register in self.initial.saved:
            row.saved[register] = self.initial.saved[register]

    def _other(self, data: bytes, opcode: int, position: int, row: Row) -> int:
        """An instruction with one or two numbers; returns the place behind it."""
        if opcode == 0x00:  # nop
            return position
        first, position = _unsigned(data, position)
        if opcode == 0x06:  # restore_extended
            self._restore(row, first)
        elif opcode in (0x07, 0x08):  # undefined, same_value
            row.saved.pop(first, None)
        elif opcode == 0x0D:  # def_cfa_register
            row.base = first
        elif opcode == 0x0E:  # def_cfa_offset
            row.offset = first
        elif opcode == 0x2E:  # GNU_args_size
            pass
        elif opcode in (0x05, 0x09, 0x0C):  # offset_extended, register, def_cfa
            second, position = _unsigned(data, position)
            if opcode == 0x05:
                _save(row, first, second * self.data_factor)
            elif opcode == 0x09:
                row.saved.pop(first, None)
            else:
                row.base, row.offset = first, second
        elif opcode in (0x11, 0x12):  # offset_extended_sf, def_cfa_sf
            factored, position = _signed(data, position)
            if opcode == 0x11:
                _save(row, first, factored * self.data_factor)
            else:
                row.base, row.offset = first, factored * self.data_factor
        else:
            raise _Unreadable  # expressions, which compilers write for other things than functions
        return position


def _save(row: Row, register: int, offset: int) -> None:
    if register < REGISTERS:
        row.saved[register] = offset


def _unsigned(data: bytes, position: int) -> tuple[int, int]:
    """A number in LEB128, and the place behind it."""
    value = 0
    for number in range(MAX_NUMBER_BYTES):
        byte = data[position + number]
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            return value, position + number + 1
    raise _Unreadable


def _signed(data: bytes, position: int) -> tuple[int, int]:
    value, end = _unsigned(data, position)
    bits = 7 * (end - position)
    return value - (1 << bits) if value >> bits - 1 else value, end
