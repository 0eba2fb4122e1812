"""DRAM as a physical attacker has it: cipher text and, beside each line, what the memory controller keeps.

Nothing here goes through a cache, and no key is known. Addresses are DRAM's: they have no KeyID.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import index
from typing import Any, Protocol, overload

LINE = 64
MAC_MASK = (1 << 28) - 1
TD_BIT = 1 << 28
POISON_BIT = 1 << 29


class HasDram(Protocol):
    def _dram(self) -> memoryview: ...
    def _side(self, line: int, value: int = -1, /) -> int: ...


def _bytes_from(value: Any) -> bytes:
    """A number, also one of NumPy's, is one byte; anything else is bytes."""
    try:
        return bytes([index(value)])
    except TypeError:
        return bytes(value)


@dataclass(frozen=True)
class DramLine:
    """A line as it lies in DRAM. `address` is where it was read."""

    address: int
    ciphertext: bytes
    mac: int
    td: bool
    poisoned: bool

    @property
    def side(self) -> int:
        return self.mac | (TD_BIT if self.td else 0) | (POISON_BIT if self.poisoned else 0)


class Dram:
    """`dram[address]` is a byte, `dram[start:end]` bytes; both can be assigned. Slices have no step.

    flip, record and replay are what an interposer or a fault does. An attacker who cannot write MACs and TD
    bits, which on many parts are kept apart, uses the bytes only.
    """

    def __init__(self, machine: HasDram) -> None:
        self._machine = machine

    def __len__(self) -> int:
        return len(self._machine._dram())

    def __repr__(self) -> str:
        return f"<DRAM of {len(self)} bytes>"

    @overload
    def __getitem__(self, where: int) -> int: ...
    @overload
    def __getitem__(self, where: slice) -> bytes: ...
    def __getitem__(self, where: int | slice) -> int | bytes:
        start, end = self._range(where)
        data = bytes(self._machine._dram()[start:end])
        return data if isinstance(where, slice) else data[0]

    def __setitem__(self, where: int | slice, value: int | bytes | bytearray | memoryview) -> None:
        start, end = self._range(where)
        data = _bytes_from(value)
        if len(data) != end - start:
            raise ValueError(f"{end - start} bytes are replaced by as many, not by {len(data)}")
        self._machine._dram()[start:end] = data

    def _range(self, where: int | slice) -> tuple[int, int]:
        if isinstance(where, slice):
            if where.step not in (None, 1):
                raise ValueError("DRAM has no slices with a step")
            start = 0 if where.start is None else index(where.start)
            end = len(self) if where.stop is None else index(where.stop)
        else:
            start = index(where)
            end = start + 1
        if not 0 <= start <= end <= len(self):
            raise IndexError(f"{start:#x} to {end:#x} is not in the {len(self):#x} bytes of DRAM")
        return start, end

    def _line_number(self, address: int) -> int:
        return self._range(address)[0] // LINE

    def line(self, address: int) -> DramLine:
        """The line that holds `address`."""
        start = self._line_number(address) * LINE
        side = self._machine._side(start // LINE)
        return DramLine(
            start, self[start : start + LINE], side & MAC_MASK, bool(side & TD_BIT), bool(side & POISON_BIT)
        )

    def flip(self, address: int, bit: int) -> None:
        """Flip one bit of the byte at `address`: a fault, or Rowhammer."""
        if not 0 <= bit < 8:
            raise ValueError(f"bit={bit}: a byte has 8 bits")
        self[address] ^= 1 << bit

    def flip_mac(self, address: int, bit: int) -> None:
        """Flip one of the 28 bits of the line's MAC."""
        if not 0 <= bit < 28:
            raise ValueError(f"bit={bit}: a MAC has 28 bits")
        line = self._line_number(address)
        self._machine._side(line, self._machine._side(line) ^ 1 << bit)

    def flip_td(self, address: int) -> None:
        """Flip the TD bit of a line."""
        line = self._line_number(address)
        self._machine._side(line, self._machine._side(line) ^ TD_BIT)

    def record(self, address: int, size: int = 1) -> tuple[DramLine, ...]:
        """The lines of a range, or the one that holds `address`, as they are now: to replay them later."""
        if size < 1:
            raise ValueError(f"size={size}: at least one byte")
        first, last = self._line_number(address), self._line_number(address + size - 1)
        return tuple(self.line(line * LINE) for line in range(first, last + 1))

    def replay(self, lines: tuple[DramLine, ...], address: int | None = None) -> None:
        """Put recorded lines back, MACs and all: where they were, or, spliced, from `address` on."""
        start = None if address is None else self._line_number(address) * LINE
        places = [
            line.address if start is None else start + number * LINE for number, line in enumerate(lines)
        ]
        for place in places:  # all or nothing
            self._range(slice(place, place + LINE))
        for place, line in zip(places, lines, strict=True):
            self[place : place + LINE] = line.ciphertext
            self._machine._side(place // LINE, line.side)
