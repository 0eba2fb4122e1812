"""Encodings by the thousand million, each judged as the verifier judges it.

Nearly all are refused by `quick`, which is compared with `classify` on a sample. What may be accepted is
judged by `classify` itself, with both tables, and what is accepted has to be what an assembler writes: by a
reading of its bytes that knows nothing of iced.
"""

from __future__ import annotations

import re
import time
import zlib
from typing import Any, Final

import numpy as np

from tests.campaign.candidates import HOSTILE, any_block
from tests.campaign.described import Classify, can_run
from tests.campaign.part import Tally
from tests.campaign.quick import candidates
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.decoded import decode
from tmebox.verify.forms import Form, classify
from tmebox.verify.representatives import representative

NEAR: Final = 8
"""Of a block's accepted encodings, this share is judged again with a byte more and less: they are alike."""
SAMPLES: Final = 4
"""Of each block's refused encodings, this many are judged by `classify` too."""

_LEGACY: Final = frozenset(bytes.fromhex("26 2e 36 3e 64 65 66 67 f0 f2 f3"))
_USED: Final = frozenset(bytes.fromhex("65 66 67 f0 f2 f3"))
_NOPS: Final = (b"\x90", b"\x0f\x1f")


def odd_bytes(encoding: bytes) -> str:
    """What an assembler would not have written, or "". Reads the bytes without a decoder."""
    count = next((i for i, byte in enumerate(encoding) if byte not in _LEGACY), len(encoding))
    prefixes, rest = encoding[:count], encoding[count:]
    has_rex = rest[:1] and 0x40 <= rest[0] < 0x50
    opcode = rest[1:] if has_rex else rest
    if len(encoding) > 15:
        return "longer than 15 bytes"
    if not opcode or 0x40 <= opcode[0] < 0x50 or opcode[0] in _LEGACY:
        return "a prefix where the opcode should be"
    if opcode.startswith(_NOPS):
        return ""
    if not _USED.issuperset(prefixes):
        return "a segment prefix that is not gs"
    if len(set(prefixes)) < len(prefixes):
        return "a prefix twice"
    if opcode[0] in (0x62, 0xD5) or opcode.startswith(b"\x0f\x0f"):
        return "EVEX, REX2 or 3DNow!"
    if opcode[0] == 0x8F and opcode[1] & 0x38:
        return "XOP"
    if opcode[0] in (0xC4, 0xC5) and (has_rex or not {0x65, 0x67}.issuperset(prefixes)):
        return "a prefix that VEX does not allow"
    return ""


class Encodings:
    """judge: `classify`, or something else in tests of this part."""

    name = "encodings"

    def __init__(self, judge: Classify = classify) -> None:
        self.judge = judge

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many blocks were tried, and what the accepted encodings look like (checksums)."""
        state = state or {"first": seed * 64 % HOSTILE * 2, "blocks": 0, "shapes": []}
        tally, shapes, blocks = Tally(), set(state["shapes"]), state["blocks"]
        while not tally.counts or time.monotonic() < deadline_s:
            self._block(seed, state["first"] + blocks, tally, shapes)
            blocks += 1
        tally.count("kinds of accepted encodings", len(shapes) - len(state["shapes"]))
        return tally, {"first": state["first"], "blocks": blocks, "shapes": sorted(shapes)}

    def _block(self, seed: int, number: int, tally: Tally, shapes: set[int]) -> None:
        block = any_block(seed, number)
        passes = candidates(block)
        tally.count("encodings tried", len(passes))
        tally.count("of these, instructions", int(np.count_nonzero(block.codes)))
        for count, row in enumerate(np.flatnonzero(passes).tolist()):
            self.judge_in_full(block.encoding(row), tally, shapes, is_near=count % NEAR == 0)
        generator = np.random.Generator(np.random.SFC64([seed + 2, number]))
        for row in generator.integers(0, max(len(passes), 1), SAMPLES if len(passes) else 0).tolist():
            if not passes[row] and block.codes[row]:
                self.compare(block.encoding(row), tally)

    def judge_in_full(self, encoding: bytes, tally: Tally, shapes: set[int], is_near: bool = True) -> None:
        """is_near: look at what is nearly this encoding, too."""
        tally.count("judged in full")
        for base, table in TABLES.items():
            form = self.judge(encoding, table)
            if not can_run(form):
                continue
            tally.count(f"accepted ({base})")
            shapes.add(zlib.crc32(f"{base} {shape(encoding, form)}".encode()))
            problems = [odd_bytes(encoding), *(self._problems(encoding, form, table) if is_near else ())]
            for problem in filter(None, problems):
                tally.find(f"{encoding.hex(' ')}, base {base}: accepted, but {problem}")

    def _problems(self, encoding: bytes, form: Form, table: Table) -> list[str]:
        problems = []
        if self.judge(representative(encoding), table) != form:
            problems.append("its representative has another form")
        if can_run(self.judge(encoding[:-1], table)) or can_run(self.judge(encoding + b"\x90", table)):
            problems.append("so is a byte more or less of it")
        return problems

    def compare(self, encoding: bytes, tally: Tally) -> None:
        tally.count("refused by both ways")
        for base, table in TABLES.items():
            if can_run(self.judge(encoding, table)):
                tally.find(f"{encoding.hex(' ')}, base {base}: accepted, and the quick way refuses it")


def shape(encoding: bytes, form: Form) -> str:
    """What distinguishes accepted encodings, but for registers and numbers."""
    decoded = decode(encoding)
    if decoded is None:
        return "nothing"
    operand = decoded.operand
    place = "none"
    if operand:
        place = (
            f"{operand.segment} {operand.has_override} {operand.address_size} {operand.base == operand.index}"
        )
        place += f" {operand.base in (0, 44, 69)} {operand.index != 0} {operand.scale}"
    count = next((i for i, byte in enumerate(encoding) if byte not in _LEGACY), len(encoding))
    steps = sorted({re.sub(r"%\w+", "%r", step) for step in form.steps})
    return f"{decoded.code} {sorted(encoding[:count])} {place} {form.anchors} {bool(form.adjusts)} {steps}"


PART = Encodings()
