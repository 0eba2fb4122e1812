"""DWARF's numbers of variable length."""

from __future__ import annotations


def uleb(data: bytes, position: int) -> tuple[int, int]:
    """(unsigned value, position behind it). ValueError beyond 64 bits, IndexError at the data's end."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def sleb(data: bytes, position: int) -> tuple[int, int]:
    """As `uleb`, signed."""
    start = position
    value, position = uleb(data, position)
    bits = 7 * (position - start)
    return (value - (1 << bits) if data[position - 1] & 0x40 else value), position
