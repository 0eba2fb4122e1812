"""Every form that has to do with rsp, on this CPU: rsp moves by what the verifier believes, to the byte.

Where the depth of the stack is known, a return needs no check: so nothing may move rsp by another number than
`deepens` says, and no write through it may end further up than `writes_stack` says. All opcodes of all maps
are tried with rsp in each operand, behind prefixes that change an operand's size, and a few numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from iced_x86 import Decoder, Instruction

from tests.campaign.described import Classify, Description, describe
from tests.campaign.part import Tally
from tests.campaign.part_processor import execute, runs_here
from tests.campaign.processor import Processor
from tests.campaign.quick import tables
from tmebox.verify.forms import classify

STATES: Final = 64
_REX: Final = (b"", b"\x40", b"\x41", b"\x44", b"\x48", b"\x49", b"\x4c")
_PREFIXES: Final = (b"", b"\x66", b"\xf3", b"\xf2", b"\xf0", b"\x67", b"\x65\x67", b"\x66\xf0", b"\x66\xf3")
_VEX: Final = tuple(
    bytes([0xC4, 0xE0 | opcodes, fields])
    for opcodes in (1, 2, 3)
    for fields in (0x78, 0x79, 0x7A, 0x7B, 0x7D, 0xF8, 0xF9, 0xFB, 0x58, 0x5B, 0xDB)
)
"""Without a second source, and with r12's or rsp's place in it, which for some is a target."""
HEADS: Final = (
    *(prefix + rex for prefix in _PREFIXES for rex in _REX),
    *(prefix + rex + b"\x0f" for prefix in _PREFIXES for rex in _REX),
    *(prefix + rex + escape for escape in (b"\x0f\x38", b"\x0f\x3a") for prefix in _PREFIXES for rex in _REX),
    *_VEX,
)
"""What stands before an opcode."""
_FIELDS: Final = (
    *(bytes([0xE0 | register]) for register in range(8)),  # rsp in ModRM's reg
    *(bytes([0xC4 | register << 3]) for register in range(8)),  # rsp in its r/m
    *(bytes([0x04 | register << 3, 0x24]) for register in range(8)),  # (%rsp)
    *(bytes([0x44 | register << 3, 0x24, 0xF8]) for register in range(8)),  # -8(%rsp)
    *(bytes([0x84 | register << 3, 0x24, 0x40, 0, 0, 0]) for register in range(8)),  # 64(%rsp)
    bytes([0x64, 0x04, 0x08]),  # 8(%rsp,%rax), rsp in reg
    bytes([0x65, 0x08]),  # 8(%rbp), rsp in reg
)
_NUMBERS: Final = tuple(
    bytes.fromhex(text)
    for text in ("08 00 00 00 00 00 00 00", "f8 ff ff ff ff ff ff ff", "80 7f f8 ff 00 00 00 00")
)
"""What follows as immediates: 8, -8, and -128 or -491,648."""


def encodings(head: bytes) -> Iterator[bytes]:
    """Those that some table names, once each."""
    decoder_of, known, it = Decoder, tables()["known"], Instruction()
    seen: set[bytes] = set()
    for opcode in range(256):
        for fields in _FIELDS:
            for tail in _NUMBERS:
                candidate = head + bytes([opcode]) + fields + tail
                decoder_of(64, candidate).decode_out(it)
                if not known[it.code]:
                    break
                encoding = candidate[: it.len]
                if encoding not in seen:
                    seen.add(encoding)
                    yield encoding


class Depth:
    """judge: `classify`, or something else in tests of this part."""

    name = "depth"

    def __init__(self, judge: Classify = classify) -> None:
        self.judge = judge

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many heads were tried."""
        tally, number = Tally(), state or 0
        with Processor() as processor:
            while not tally.counts or time.monotonic() < deadline_s:
                forms = list(self.forms(encodings(HEADS[number % len(HEADS)]), tally))
                execute(processor, forms, seed + number, STATES, tally)
                number += 1
                if number % len(HEADS) == 0:
                    tally.count("laps")
        return tally, number

    def forms(self, found: Iterator[bytes], tally: Tally) -> Iterator[Description]:
        for encoding in found:
            description = describe(encoding, "twin", self.judge)
            if description and runs_here(description, tally):
                if description.unexplained:
                    tally.find(f"{encoding.hex(' ')}: {description.unexplained}")
                if description.form.deepens:
                    tally.count("forms that move rsp")
                if description.form.writes_stack is not None:
                    tally.count("forms that write through rsp")
                yield description


PART = Depth()
