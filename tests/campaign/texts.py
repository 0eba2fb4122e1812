"""Random machine code that the verifier may accept: pieces of its accepted examples, combined and bent."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from iced_x86 import Decoder, OpKind

from tests.verify.corpus import ACCEPT, assemble
from tmebox import abi
from tmebox.modulefile.file import Export, LineTable, ModuleFile, Relocations, Segment
from tmebox.verify.bases import TABLES
from tmebox.verify.forms import classify

HLT = b"\xf4"
MAPPED_BYTES = 64 * abi.KIB
INTERESTING = (
    0, 1, 7, 8, 63, 64, 127, 128, 4095, 4096, abi.STACK_REACH - 1, abi.STACK_REACH, abi.STACK_REACH + 1,
    abi.GUARD, abi.IMAGE_START, abi.STACK_TOP, abi.PRIVATE_END - 8, abi.ARENA_START, 0x7FFFFFFF, 0x80000000,
    0xFFFFFFFF, 0xFFFFFFF8,
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """One instruction. branch_bytes: of its number, if it is a direct branch; else 0."""

    encoding: bytes
    branch_bytes: int


@cache
def examples() -> dict[str, tuple[tuple[Piece, ...], ...]]:
    """For each base: the accepted examples, as instructions."""
    found: dict[str, list[tuple[Piece, ...]]] = {"gs": [], "r15": []}
    with tempfile.TemporaryDirectory() as folder:
        assembled = assemble(sorted(ACCEPT.glob("*.s")), Path(folder))
    for example in assembled.values():
        if example.isolation == "code+data" and not example.table_entries:
            found["gs" if example.base == "twin" else example.base].append(tuple(pieces(example.code)))
    return {base: tuple(lists) for base, lists in found.items()}


def pieces(code: bytes) -> list[Piece]:
    found, position = [], 0
    for instruction in Decoder(64, code):
        encoding = code[position : position + instruction.len]
        position += instruction.len
        near = not instruction.is_invalid and instruction.op0_kind == OpKind.NEAR_BRANCH64
        found.append(Piece(encoding, (1 if len(encoding) == 2 else 4) if near else 0))
    return found


def hostile_registers(rng: random.Random, values: list[int], base: str) -> list[Piece]:
    """`movabs` of a number into each register."""
    kept = {"gs": (4,), "r15": (4, 14, 15)}[base]
    made = []
    for register in range(16):
        if register not in kept:
            kind = rng.random()  # memory that is there, most often, or code would not get far
            value = abi.IMAGE_START + 64 * rng.randrange(MAPPED_BYTES // 64)
            value = value if kind < 0.6 else rng.choice(values) if kind < 0.9 else rng.getrandbits(64)
            prefix = bytes([0x49 if register >= 8 else 0x48, 0xB8 + register % 8])
            made.append(Piece(prefix + value.to_bytes(8, "little"), 0))
    return made


def random_text(rng: random.Random, base: str, values: list[int]) -> tuple[bytes, list[int], dict[int, int]]:
    """Code that starts with hostile registers, where its instructions start, and claims about its stack."""
    body: list[Piece] = []
    for _ in range(rng.randint(1, 10)):
        example = rng.choice(examples()[base])
        first = rng.randrange(len(example))
        body += example[first : first + rng.randint(1, 9)]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        bend(rng, body)
    body = hostile_registers(rng, values, base) + body
    code, starts = put_together(rng, body)
    return code, starts, claims(rng, body, starts)


def claims(rng: random.Random, body: list[Piece], starts: list[int]) -> dict[int, int]:
    """The stack's depth at some instructions, as it is if control runs on from the first one, or not."""
    depth, found = 0, {}
    share = rng.random()
    for piece, start in zip(body, starts, strict=False):
        if rng.random() < share and depth >= 0:
            found[start] = depth if rng.random() < 0.9 else rng.choice((0, 8, 16, 24, depth + 8))
            depth = found[start]
        depth += classify(piece.encoding, TABLES["twin"]).deepens
    return found


def bend(rng: random.Random, body: list[Piece]) -> None:
    index = rng.randrange(len(body))
    piece = body[index]
    encoding = bytearray(piece.encoding)
    match rng.randrange(6):
        case 0:
            del body[index]
            if not body:
                body.append(piece)
        case 1:
            encoding[rng.randrange(len(encoding))] ^= 1 << rng.randrange(8)
            body[index] = Piece(bytes(encoding), piece.branch_bytes)
        case 2 if len(encoding) > 5:  # probably a displacement or an immediate
            value = rng.choice(INTERESTING) * rng.choice((1, -1)) & 0xFFFFFFFF
            place = rng.randrange(1, len(encoding) - 3)
            encoding[place : place + 4] = value.to_bytes(4, "little")
            body[index] = Piece(bytes(encoding), piece.branch_bytes)
        case 3:
            other = rng.randrange(len(body))
            body[index], body[other] = body[other], body[index]
        case 4:
            body.insert(
                index, Piece(bytes([rng.choice((0x66, 0x67, 0xF2, 0xF3, 0x65, 0x48))]) + piece.encoding, 0)
            )
            del body[index + 1]
        case _:
            body.insert(index, piece)


def put_together(rng: random.Random, body: list[Piece]) -> tuple[bytes, list[int]]:
    """The pieces in a row, then an hlt. Branches go to that, or to some instruction."""
    starts, position = [], 0
    for piece in body:
        starts.append(position)
        position += len(piece.encoding)
    code = bytearray(b"".join(piece.encoding for piece in body) + HLT)
    for start, piece in zip(starts, body, strict=True):
        if piece.branch_bytes:
            end = start + len(piece.encoding)
            distance = (position if rng.random() < 0.8 else rng.choice(starts)) - end
            limit = 1 << (8 * piece.branch_bytes - 1)
            if -limit <= distance < limit:
                number = distance.to_bytes(piece.branch_bytes, "little", signed=True)
                code[end - piece.branch_bytes : end] = number
    return bytes(code), [*starts, position]


def numbers(values: list[int]) -> np.ndarray:
    return np.array(sorted(set(values)), np.uint32)


def module_file(code: bytes, base: str, labels: list[int], depths: dict[int, int]) -> ModuleFile:
    """A module of one function, `f`, with 64 KiB of writable data. labels, depths: positions in the code, and
    the depth of the stack from there on."""
    address = abi.TEXT_NOMINAL
    none = numbers([])
    return ModuleFile(
        isolation="code+data",
        base=base,
        text_address=address,
        text=code,
        segments=(Segment(abi.IMAGE_START, b"", MAPPED_BYTES, True),),
        exports=(Export("f", address),),
        imports=(),
        functions=numbers([address]),
        labels=numbers([address + label for label in labels]),
        relocations=Relocations(none, none, none, none, none),
        symbols=(),
        lines=LineTable(none, np.array([], np.uint16), none, ()),
        depth_places=numbers([address + place for place in depths]),
        depths=np.array([depths[place] for place in sorted(depths)], np.uint32),
    )
