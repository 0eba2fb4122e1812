"""DRAM as a physical attacker has it: cipher text and, beside each line, what the memory controller keeps.

Nothing here goes through a cache, and no key is known. Addresses are DRAM's: they have no KeyID.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, overload

LINE = 64
MAC_MASK = (1 << 28) - 1
TD_BIT = 1 << 28
POISON_BIT = 1 << 29


class HasDram(Protocol):
    def _dram(self) -> memoryview: ...
    def _side(self, line: int, value: int = -1, /) -> int: ...


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
        data = bytes([value]) if isinstance(value, int) else bytes(value)
        if len(data) != end - start:
            raise ValueError(f"{end - start} bytes are replaced by as many, not by {len(data)}")
        self._machine._dram()[start:end] = data

    def _range(self, where: int | slice) -> tuple[int, int]:
        if isinstance(where, slice):
            if where.step not in (None, 1):
                raise ValueError("DRAM has no slices with a step")
            start = 0 if where.start is None else where.start
            end = len(self) if where.stop is None else where.stop
        else:
            start, end = where, where + 1
        if not 0 <= start <= end <= len(self):
            raise IndexError(f"{start:#x} to {end:#x} is not in the {len(self):#x} bytes of DRAM")
        return start, end

    def line(self, address: int) -> DramLine:
        """The line that holds `address`."""
        start = address - address % LINE
        side = self._machine._side(start // LINE)
        return DramLine(
            start, self[start : start + LINE], side & MAC_MASK, bool(side & TD_BIT), bool(side & POISON_BIT)
        )

    def flip(self, address: int, bit: int) -> None:
        """Flip one bit of the byte at `address`: a fault, or Rowhammer."""
        self[address] ^= 1 << bit

    def flip_mac(self, address: int, bit: int) -> None:
        """Flip one of the 28 bits of the line's MAC."""
        if not 0 <= bit < 28:
            raise ValueError(f"bit={bit}: a MAC has 28 bits")
        line = address // LINE
        self._machine._side(line, self._machine._side(line) ^ 1 << bit)

    def flip_td(self, address: int) -> None:
        """Flip the TD bit of a line."""
        line = address // LINE
        self._machine._side(line, self._machine._side(line) ^ TD_BIT)

    def record(self, address: int, size: int = 1) -> tuple[DramLine, ...]:
        """The lines of a range, or the one that holds `address`, as they are now: to replay them later."""
        first, last = address // LINE, (address + size - 1) // LINE
        return tuple(self.line(line * LINE) for line in range(first, last + 1))

    def replay(self, lines: tuple[DramLine, ...], address: int | None = None) -> None:
        """Put recorded lines back, MACs and all: where they were, or, spliced, from `address` on."""
        for index, line in enumerate(lines):
            place = line.address if address is None else address - address % LINE + index * LINE
            self[place : place + LINE] = line.ciphertext
            self._machine._side(place // LINE, line.side)
