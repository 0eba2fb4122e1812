"""Every form that counts as an access near rsp which surely happens: it faults where there is nothing.

rsp stays in the private part of its window because such accesses hit a guard. So a form that completes though
nothing is there, or that only may store, is a way out. All opcodes of all maps are tried with an operand at
rsp, each in many states of the registers, of x87 and of MXCSR.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, Final

from iced_x86 import Decoder, Instruction

from tests.campaign.candidates import PLAIN, SLOT, Head
from tests.campaign.described import Classify, Description, describe
from tests.campaign.part import Tally
from tests.campaign.part_processor import execute, runs_here
from tests.campaign.processor import Processor
from tests.campaign.quick import tables
from tmebox.verify.forms import classify

STATES: Final = 128
_OPERANDS: Final = ((0x04, "24"), (0x44, "24 08"), (0x84, "24 00 00 f8 ff"), (0x44, "24 f8"))
"""ModRM byte, without its register, and what follows: (%rsp) and displacements."""
_HEADS: Final = sorted(
    (head for head in PLAIN if not {0x2E, 0x65, 0x67} & set(head.prefixes) and head.rest[:1] != b"\x40"),
    key=lambda head: (len(head.prefixes + head.rest), head.nibble != 0xD),
)
"""Those with few prefixes first, so that they are in every short run, and before all the x87 stores: with an
exception unmasked they complete and store nothing."""


def encodings(head: Head, chooser: random.Random) -> Iterator[bytes]:
    """Those with an operand at rsp that some table names, one with each opcode and register field."""
    decoder_of, known, it = Decoder, tables()["known"], Instruction()
    for opcode in range(head.nibble << 4, (head.nibble << 4) + 16):
        for field in range(8) if bytes([opcode]) not in head.escapes else ():
            rest = bytearray(head.rest)
            for place, mask in head.free:
                rest[place] ^= chooser.getrandbits(8) & mask
            if head.rest[:1] in (b"\xc4", b"\xc5"):
                rest[1] |= (
                    0xE0 if rest[0] == 0xC4 else 0x80
                )  # else the operand is at r12, or the register r8 …
            elif rest[:1] and rest[0] >> 4 == 4:
                rest[0] &= 0xFC
            fields, tail = chooser.choice(_OPERANDS)
            data = head.prefixes + bytes(rest) + bytes([opcode, fields | field << 3]) + bytes.fromhex(tail)
            data = (data + chooser.randbytes(8))[:SLOT]
            decoder_of(64, data).decode_out(it)
            if known[it.code]:
                yield data[: it.len]


class Anchors:
    """judge: `classify`, or something else in tests of this part."""

    name = "anchors"

    def __init__(self, judge: Classify = classify) -> None:
        self.judge = judge

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many heads were tried."""
        tally, number = Tally(), state or 0
        with Processor() as processor:
            while not tally.counts or time.monotonic() < deadline_s:
                head = _HEADS[number % len(_HEADS)]
                chooser = random.Random(f"{seed} {number}")
                forms = list(self.forms(encodings(head, chooser), tally))
                execute(processor, forms, seed + number, STATES, tally)
                number += 1
                if number % len(_HEADS) == 0:
                    tally.count("laps")
        return tally, number

    def forms(self, found: Iterator[bytes], tally: Tally) -> Iterator[Description]:
        for encoding in found:
            description = describe(encoding, "gs", self.judge)
            if description and description.form.anchors and runs_here(description, tally):
                yield description


PART = Anchors()
