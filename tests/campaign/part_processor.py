"""Accepted forms on this CPU: each does what the verifier believes, in whatever state it is run.

Forms come from the blocks of `candidates`, that is from every opcode map with every ModRM byte. Of each kind
of form a few are run, then a few more in the next lap, each in many states.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from iced_x86 import Decoder

from tests.campaign.candidates import PLAIN, Block, Head, any_block, plain_block
from tests.campaign.described import Classify, Description, describe
from tests.campaign.part import Tally
from tests.campaign.part_encodings import shape
from tests.campaign.processor import OUTCOMES, Processor, cpu_features
from tests.campaign.quick import candidates, tables
from tmebox.verify.bases import TABLES
from tmebox.verify.forms import classify

STATES: Final = 128
"""How often each form is run."""
MOST_OF_A_KIND: Final = 3
"""How many forms of a kind are run in a lap."""
MOST_OF_AN_OPCODE: Final = 24
"""How many of a block's 256 encodings with one opcode are looked at."""
UNUSUAL: Final = 5
"""After so many blocks comes one of `any_block`: what is accepted of unusual prefixes is run as well."""


def is_occupied(head: Head) -> bool:
    """There are instructions behind it which a table names, as far as some encodings show."""
    return bool(tables()["known"][_probe(head)].any())


def _probe(head: Head) -> list[int]:
    """iced's Code of some encodings with each opcode of a block."""
    decoder = Decoder(64, b"".join(_probes(head)))
    found = []
    for position in range(0, 16 * 16 * 6, 16):
        decoder.position = position
        found.append(decoder.decode().code)
    return found  # type: ignore[return-value]


def _probes(head: Head) -> Iterator[bytes]:
    rest = bytearray(head.rest)
    if rest[:1] in (b"\xc4", b"\xc5"):  # type: ignore[comparison-overlap]
        for place, mask in head.free:
            rest[place] |= mask  # all ones: no further operand, and none of the upper registers
    start = head.prefixes + bytes(rest)
    for low in range(16):
        for fields in (0xC1, 0xE9, 0x04, 0x14, 0x1C, 0xD0):
            opcode = bytes([head.nibble << 4 | low, fields])
            yield (start + opcode).ljust(16, b"\x24")


class ProcessorOracle:
    """judge: `classify`, or something else in tests of this part."""

    name = "processor"

    def __init__(self, judge: Classify = classify) -> None:
        self.judge = judge

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many blocks were looked at, how many forms of each kind were run, and iced's Codes of
        all that were."""
        state = state or {"first": seed * 977 % len(PLAIN), "blocks": 0, "kinds": {}, "codes": []}
        tally, blocks, codes = Tally(), state["blocks"], set(state["codes"])
        kinds = {int(kind): number for kind, number in state["kinds"].items()}
        with Processor() as processor:
            while not tally.counts or time.monotonic() < deadline_s:
                number = state["first"] + blocks
                blocks += 1
                if is_occupied(PLAIN[number % len(PLAIN)]):
                    forms = list(self._forms(plain_block(seed, number), tally, number, kinds, codes))
                    execute(processor, forms, seed + number, STATES, tally)
                if number % UNUSUAL == 0:
                    forms = list(self._forms(any_block(seed, number), tally, number, kinds, codes))
                    execute(processor, forms, seed + number, STATES, tally)
        tally.count("opcodes (iced's Codes)", len(codes) - len(state["codes"]))
        return tally, {"first": state["first"], "blocks": blocks, "kinds": kinds, "codes": sorted(codes)}

    def _forms(
        self, block: Block, tally: Tally, number: int, kinds: dict[int, int], codes: set[int]
    ) -> Iterator[Description]:
        """Those to run, one by one; what this CPU cannot run is counted."""
        most = MOST_OF_A_KIND * (1 + number // len(PLAIN))
        order = np.random.Generator(np.random.SFC64([number, 5])).permutation(len(block.slots))
        seen: dict[int, int] = {}
        done: set[bytes] = set()
        passes = candidates(block)
        for row in order[passes[order]].tolist():
            opcode = int(block.opcode[row])
            seen[opcode] = seen.get(opcode, 0) + 1
            if seen[opcode] > MOST_OF_AN_OPCODE:
                continue
            encoding = block.encoding(row)
            if encoding in done:
                continue
            done.add(encoding)
            for base in TABLES:
                description = describe(encoding, base, self.judge)
                if description is None:
                    continue
                if description.unexplained:
                    tally.find(f"{encoding.hex(' ')}, base {base}: {description.unexplained}")
                kind = zlib.crc32(f"{base} {shape(encoding, description.form)}".encode())
                if kinds.get(kind, 0) >= most:
                    continue
                if kind not in kinds:
                    tally.count("kinds of forms")
                kinds[kind] = kinds.get(kind, 0) + 1
                if runs_here(description, tally):
                    codes.add(int(block.codes[row]))
                    yield description


def execute(processor: Processor, forms: Sequence[Description], seed: int, states: int, tally: Tally) -> None:
    """Run each of the forms in so many states, and add up what happened."""
    for result in processor.run(forms, seed, states):
        tally.count("forms")
        tally.count("executions", sum(result.outcomes))
        for name, number in zip(OUTCOMES, result.outcomes, strict=True):
            tally.count(f"executions: {name}", number)
        if result.finding:
            tally.find(result.finding)


def runs_here(description: Description, tally: Tally) -> bool:
    """This CPU has the features; else that is counted."""
    missing = sorted(description.form.features - cpu_features())
    if missing:
        tally.count(f"not run: this CPU has no {' '.join(missing)}")
    return not missing


PART = ProcessorOracle()
