"""Encodings to try, 4096 at a time: each block is 16 opcodes with every ModRM byte behind some prefixes.

Blocks are numbered. A number always stands for the same block (with one seed), and counting up goes through
everything that `PLAIN` and `HOSTILE` list; what is not listed (SIB, displacement, immediate) is random.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

import numpy as np
from iced_x86 import Decoder, Instruction

from tmebox import abi

SLOT: Final = 16
BLOCK: Final = 4096
"""Encodings in a block: a ModRM byte for each of 16 opcodes."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Codes = np.ndarray[Any, np.dtype[np.int64]]

MAPS: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
LEGACY: Final = bytes.fromhex("26 2e 36 3e 64 65 66 67 f0 f2 f3")
ESCAPES: Final = {
    b"": LEGACY + bytes(range(0x40, 0x50)) + b"\x0f\x62\xc4\xc5\xd5",
    b"\x0f": b"\x0f\x38\x3a",
}
_MANDATORY: Final = ("", "66", "f2", "f3", "f0", "66 f2", "66 f3", "66 f0")
_SEGMENTS: Final = ("", "65", "65 67", "67", "2e")


@dataclass(frozen=True)
class Head:
    """What comes before the opcode. prefixes: legacy ones. rest: REX, VEX and the like, and the opcode's map.

    free: positions in `rest` whose bits in the mask are chosen at random for each encoding.
    nibble: the opcode's upper half. escapes: bytes that are no opcode here but begin something else, which
    other blocks try.
    """

    prefixes: bytes
    rest: bytes
    free: tuple[tuple[int, int], ...]
    nibble: int
    escapes: bytes = b""


def _legacy(prefixes: bytes, rex: str, opcode_map: bytes, nibble: int) -> Head:
    rest = bytes.fromhex(rex) + opcode_map
    return Head(prefixes, rest, ((0, 0x07),) if rex else (), nibble, ESCAPES.get(opcode_map, b""))


def _vex(prefixes: bytes, opcode_map: int, last: int, nibble: int) -> Head:
    return Head(prefixes, bytes([0xC4, opcode_map, last]), ((1, 0xE0), (2, 0x78)), nibble)


def _plain_heads() -> list[Head]:
    """Those that an assembler might emit."""
    prefixes = [
        bytes.fromhex(f"{segment} {mandatory}") for segment, mandatory in product(_SEGMENTS, _MANDATORY)
    ]
    rexes = ("", "40", "48")
    heads = [_legacy(*parts) for parts in product(prefixes, rexes, MAPS, range(16))]
    addresses = [bytes.fromhex(segment) for segment in _SEGMENTS]
    lasts = [w << 7 | length << 2 | pp for w in (0, 1) for length in (0, 1) for pp in range(4)]
    heads += [_vex(*parts) for parts in product(addresses, (1, 2, 3), lasts, range(16))]
    for segment, pp, length, nibble in product(addresses, range(4), (0, 1), range(16)):
        heads.append(Head(segment, bytes([0xC5, length << 2 | pp]), ((1, 0xF8),), nibble))
    random.Random(1).shuffle(heads)  # so that a short run sees a bit of everything
    return heads


PLAIN: Final = _plain_heads()

_PREFIX_STRINGS: Final = [bytes(string) for length in range(3) for string in product(LEGACY, repeat=length)]
_REXES: Final = [b"", *(bytes([rex]) for rex in range(0x40, 0x50))]
HOSTILE: Final = len(_PREFIX_STRINGS) * len(_REXES) * len(MAPS) * 16
"""How many blocks there are with every string of up to two legacy prefixes, REX byte and map."""


def _hostile_head(number: int) -> Head:
    number = number * 0x9E37_79B1 % HOSTILE  # coprime: every one in some order
    number, nibble = divmod(number, 16)
    number, opcode_map = divmod(number, len(MAPS))
    number, rex = divmod(number, len(_REXES))
    escapes = ESCAPES.get(MAPS[opcode_map], b"")
    return Head(_PREFIX_STRINGS[number], _REXES[rex] + MAPS[opcode_map], (), nibble, escapes)


def _long_prefix_head(chooser: random.Random) -> Head:
    """Three to six prefixes, a REX byte before, between or behind them, and perhaps a second one."""
    count = chooser.randint(3, 6)
    prefixes = bytes(chooser.choice(LEGACY) for _ in range(count))
    rexes = bytes(chooser.randrange(0x40, 0x50) for _ in range(chooser.choice((0, 1, 1, 2))))
    place = chooser.choice((count, count, chooser.randrange(count))) if rexes else count
    rest = prefixes[place:] + rexes if place == count else rexes + prefixes[place:]
    opcode_map = chooser.choice(MAPS)
    escapes = ESCAPES.get(opcode_map, b"")
    return Head(prefixes[:place], rest + opcode_map, (), chooser.randrange(16), escapes)


def _other_map_head(chooser: random.Random) -> Head:
    """EVEX, VEX with reserved fields, XOP, REX2, 3DNow!, and prefixes that these do not allow."""
    prefixes = bytes(chooser.choice(LEGACY) for _ in range(chooser.choice((0, 0, 0, 1, 2))))
    prefixes += bytes(chooser.randrange(0x40, 0x50) for _ in range(chooser.choice((0, 0, 0, 1))))
    nibble = chooser.randrange(16)
    kind = chooser.randrange(8)
    if kind < 3:
        return Head(prefixes, b"\x62\x01\x04\x00", ((1, 0xF7), (2, 0xFB), (3, 0xFF)), nibble)
    if kind == 3:
        return Head(prefixes, b"\xc4\x00\x00", ((1, 0xFF), (2, 0xFF)), nibble)
    if kind == 4:
        return Head(prefixes, b"\xc5\x00", ((1, 0xFF),), nibble)
    if kind == 5:
        return Head(prefixes, b"\x8f\x08\x00", ((1, 0xE7), (2, 0xFF)), nibble)
    if kind == 6:
        return Head(prefixes, b"\xd5\x00", ((1, 0xFF),), nibble)
    return Head(prefixes, b"\x0f\x0f", (), nibble)


# -- blocks ------------------------------------------------------------------------------------------------

_NUMBERS: Final = [
    number & 0xFFFF_FFFF
    for number in (
        0, 8, 0x10, -8, -1, 1, abi.STACK_REACH, abi.STACK_REACH + 1, -abi.STACK_REACH, abi.STACK_REACH - 8,
        0x0020_0000, 0x0020_0FF0, 0x7FFF_F100, abi.CONTROL_WINDOW_BASE, abi.TARGET_MAP, abi.SPILL_TARGET,
        abi.SPILL_REGISTER, abi.CONTROL_RSP_MASK, abi.CONTROL_RSP_START, abi.RSP_MASK, 0x7FFF_FFFF,
        0x8000_0000, 0xFFFF, 0x1_0000, 16, 31, 32,
        0x0020_0000 - 0x5000_0800,
    )
]  # fmt: skip
"""Displacements and immediates at the edges of what the rules allow."""


@dataclass(frozen=True)
class Block:
    """head: None where all bytes are random. slots: one encoding a row, each with more bytes than it has."""

    head: Head | None
    slots: Bytes

    def _column(self, after_head: int) -> Bytes:
        before = len(self.head.prefixes) + len(self.head.rest) if self.head else 0
        return self.slots[:, before + after_head]

    @cached_property
    def opcode(self) -> Bytes:
        return self._column(0)

    @cached_property
    def modrm(self) -> Bytes:
        return self._column(1)

    @cached_property
    def sib(self) -> Bytes:
        return self._column(2)

    @cached_property
    def codes(self) -> Codes:
        """iced's Code of each, 0 for what is no instruction."""
        decoder, instruction = Decoder(64, self.slots.tobytes()), Instruction()
        decode, found = decoder.decode_out, []
        for position in range(0, len(self.slots) * SLOT, SLOT):
            decoder.position = position
            decode(instruction)
            found.append(instruction.code)
        return np.array(found, np.int64)

    def encoding(self, row: int) -> bytes:
        """The bytes of the instruction in a row."""
        data = self.slots[row].tobytes()
        return data[: Decoder(64, data).decode().len]


def block_of(head: Head, chooser: np.random.Generator) -> Block:
    slots = chooser.integers(0, 256, (BLOCK, SLOT), np.uint8)
    for place, byte in enumerate(head.prefixes):
        slots[:, place] = byte
    at = len(head.prefixes)
    for place, byte in enumerate(head.rest):
        mask = dict(head.free).get(place, 0)
        slots[:, at + place] = (slots[:, at + place] & mask) | (byte & ~mask & 0xFF) if mask else byte
    at += len(head.rest)
    slots[:, at] = head.nibble << 4 | np.arange(BLOCK, dtype=np.uint16) >> 8
    slots[:, at + 1] = np.arange(BLOCK, dtype=np.uint16) & 0xFF
    _choose_tails(slots, at + 1, chooser)
    return Block(head, slots[~np.isin(slots[:, at], list(head.escapes))] if head.escapes else slots)


def _choose_tails(slots: Bytes, modrm: int, chooser: np.random.Generator) -> None:
    """A number from the list where a displacement would be, for most encodings, and after one."""
    fields = slots[:, modrm]
    has_sib = (fields & 7 == 4) & (fields < 0xC0)
    if modrm + 2 + 8 > SLOT:
        return
    plain_stack = has_sib & (chooser.integers(0, 4, BLOCK) == 0)
    slots[plain_stack, modrm + 1] = 0x24
    numbers = np.array(_NUMBERS, "<u4")
    for first in (modrm + 1, modrm + 2):
        rows = np.flatnonzero((has_sib == (first == modrm + 2)) & (chooser.integers(0, 8, BLOCK) != 0))
        chosen = numbers[chooser.integers(0, len(numbers), (len(rows), 2))]
        size = np.where((fields[rows] >= 0x40) & (fields[rows] < 0x80), 1, 4)
        data = chosen.view(np.uint8).reshape(len(rows), 8)
        slots[rows, first : first + 4] = data[:, :4]
        for width in (1, 4):
            here = size == width
            slots[rows[here], first + width : first + width + 4] = data[here, 4:]


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64([seed, number]))


def plain_block(seed: int, number: int) -> Block:
    """The block with that number of those that an assembler might emit."""
    return block_of(PLAIN[number % len(PLAIN)], _generator(seed, number))


MIX: Final[Sequence[str]] = ("hostile", "long", "hostile", "other", "hostile", "long", "hostile", "long")


def any_block(seed: int, number: int) -> Block:
    """Half of them hostile prefixes, and now and then random bytes or a plain one."""
    generator = _generator(seed + 1, number)
    if number % 64 == 63:
        return plain_block(seed, number // 64)
    if number % 256 == 31:
        return Block(None, generator.integers(0, 256, (BLOCK, SLOT), np.uint8))
    kind = MIX[number % len(MIX)]
    chooser = random.Random(f"{seed} {number}")
    if kind == "hostile":
        return block_of(_hostile_head(number // 2), generator)
    return block_of(_long_prefix_head(chooser) if kind == "long" else _other_map_head(chooser), generator)
