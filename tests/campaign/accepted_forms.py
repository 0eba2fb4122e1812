"""Encodings that the verifier's tables accept: each shape of each instruction, found by looking at all of
them.

The walk goes over opcode maps, prefixes and ModRM shapes and keeps what `classify` does not refuse. Nothing
here is a list of instructions, so what is added to the verifier's tables is found without a change here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final, NamedTuple

from iced_x86 import Code, Decoder, Encoder, Instruction

from tmebox import abi
from tmebox.verify.bases import TABLES
from tmebox.verify.decoded import Decoded, decode
from tmebox.verify.forms import Form, classify
from tmebox.verify.opcodes import opcode_of

_PADDING: Final = bytes.fromhex("30 00 00 00 00 00 00 00")
"""What immediates come out as: 48, in any size. As a fifth register operand it is the third register."""
_PREFIXES: Final = (b"", b"\x66", b"\xf3", b"\xf2", b"\xf0", b"\x67", b"\x66\xf2", b"\x66\xf3", b"\x66\xf0")
_REX: Final = (b"", b"\x40", b"\x48", b"\x4d")
_MAPS: Final = (b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a")
_NO_OPCODES: Final = {
    b"": {
        *(0x0F, 0x26, 0x2E, 0x36, 0x3E, 0x62, 0xC4, 0xC5, 0xF0, 0xF2, 0xF3),
        *range(0x40, 0x50),
        *range(0x64, 0x68),
    },
    b"\x0f": {0x38, 0x3A},
}
"""Bytes that are prefixes or lead to another map."""


class Accepted(NamedTuple):
    decoded: Decoded
    form: Form


class _Memory(NamedTuple):
    """A memory operand. prefixes: before REX. modrm: without its reg field. rest: SIB and displacement.

    extension: the bits of REX (or VEX, inverted) that its base register needs.
    """

    prefixes: bytes
    modrm: int
    rest: bytes
    extension: int = 0


_STACK: Final = _Memory(b"", 0x44, b"\x24\x08")
_OPERANDS: Final = {
    "gs": (_STACK, _Memory(b"\x65\x67", 0x40, b"\x08")),
    "r15": (_STACK, _Memory(b"", 0x47, b"\x08", extension=1)),
}
"""disp(%rsp), which is the same for all bases, and one that is confined by the window's base."""


def codes_by_name() -> dict[int, str]:
    return {number: name for name, number in vars(Code).items() if name.isupper() and isinstance(number, int)}


def accepted_codes() -> set[int]:
    """The codes that no table of the verifier refuses whatever their operands are."""
    codes = set()
    for code in codes_by_name():
        instruction = Instruction()
        instruction.code = code  # type: ignore[assignment]
        if code and opcode_of(instruction).refusal is None:
            codes.add(code)
    return codes


@cache
def accepted(base: str = "gs") -> tuple[Accepted, ...]:
    """One encoding of every shape of every accepted instruction, in a fixed order."""
    found: dict[tuple[object, ...], Accepted] = {}
    for candidate in (*_legacy(base), *_vex(base)):
        instruction = Decoder(64, candidate).decode()
        if instruction.is_invalid or opcode_of(instruction).refusal is not None:
            continue
        shape = (
            instruction.code,
            instruction.memory_base,
            instruction.op0_register,
            _prefixes_of(instruction),
        )
        if shape in found:
            continue
        encoding = _canonical(instruction)
        decoded = decode(encoding) if encoding else None
        if encoding is None or decoded is None:
            continue
        form = classify(encoding, TABLES[base])
        if not form.refusals:
            found[shape] = Accepted(decoded, form)
    return tuple(found.values())


def _canonical(instruction: Instruction) -> bytes | None:
    """Its encoding as an assembler would choose it."""
    encoder = Encoder(64)
    try:
        encoder.encode(instruction, 0)
    except ValueError:
        return None
    return encoder.take_buffer()


def _tails(base: str, registers: tuple[int, ...]) -> Iterator[tuple[_Memory, bytes]]:
    """ModRM and what follows: each reg field with each operand in memory, and with these in registers."""
    for field in range(8):
        for memory in _OPERANDS[base]:
            yield memory, bytes([memory.modrm | field << 3]) + memory.rest
        for register in registers:
            yield _Memory(b"", 0, b""), bytes([0xC0 | field << 3 | register])


def _legacy(base: str) -> Iterator[bytes]:
    few, all_of_them = list(_tails(base, (0, 3, 4, 7))), list(_tails(base, tuple(range(8))))
    seen: set[tuple[object, ...]] = set()
    for prefix, opcode_map, opcode in product(_PREFIXES, _MAPS, range(256)):
        if opcode in _NO_OPCODES.get(opcode_map, ()):
            continue
        is_grouped = (opcode_map != b"\x0f" and opcode >= 0xD8) or opcode in (0x01, 0xAE, 0x1E)
        kinds = _kinds(prefix, opcode_map + bytes([opcode]), is_grouped)
        if kinds <= seen:  # nothing there, or a prefix that makes no difference
            continue
        seen |= kinds
        for rex in _REX:
            for memory, tail in all_of_them if is_grouped else few:
                extension = bytes([rex[0] | memory.extension]) if rex else bytes([0x41] * memory.extension)
                yield memory.prefixes + prefix + extension + opcode_map + bytes([opcode]) + tail + _PADDING


def _kinds(prefix: bytes, opcode: bytes, is_grouped: bool) -> set[tuple[object, ...]]:
    """What begins so, as far as a prefix changes it."""
    registers = range(0xC0, 0x100) if is_grouped else range(0xC0, 0x100, 8)
    tails = [bytes([modrm]) for modrm in registers]
    tails += [bytes([0x44 | field << 3, 0x24, 0x08]) for field in range(8)]
    kinds = set()
    for rex, tail in product((b"", b"\x48"), tails):
        instruction = Decoder(64, prefix + rex + opcode + tail + _PADDING).decode()
        if not instruction.is_invalid:
            kinds.add((instruction.code, *_prefixes_of(instruction)))
    return kinds  # type: ignore[return-value]


def _prefixes_of(instruction: Instruction) -> tuple[bool, ...]:
    """Those that mean something with the same code."""
    return instruction.has_lock_prefix, instruction.has_rep_prefix, instruction.has_repne_prefix


def _vex(base: str) -> Iterator[bytes]:
    tails = list(_tails(base, (0, 3)))
    for number, w, source, long, prefix, opcode in product(
        (1, 2, 3), (0, 1), (15, 12), (0, 1), range(4), range(256)
    ):
        third = w << 7 | source << 3 | long << 2 | prefix
        if not any(
            Decoder(64, bytes([0xC4, 0xE0 | number, third, opcode]) + tail + _PADDING).decode().code
            for _, tail in tails
        ):
            continue
        for memory, tail in tails:
            second = (0xE0 & ~(memory.extension << 5)) | number
            yield memory.prefixes + bytes([0xC4, second, third, opcode]) + tail + _PADDING


def numbers_around() -> list[int]:
    """Signed numbers at which what a rule accepts may end: powers of two and the contract's, and one
    beside."""
    centres = {0, *(1 << bit for bit in range(32)), abi.STACK_REACH, abi.R15_REACH, abi.GUARD, abi.TARGET_MAP}
    centres |= {-centre for centre in centres} | {abi.SPILL_REGISTER, abi.SPILL_TARGET}
    near = {centre + step for centre in centres for step in (-1, 0, 1)}
    return sorted(number for number in near if -(1 << 31) <= number < 1 << 31)
