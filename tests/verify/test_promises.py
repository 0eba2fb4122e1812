"""What the verifier believes of a form because of its bytes, against the processor.

Each promise is run, for every form that makes it, in states of the FPU that a hostile program would choose.
"""

import itertools
import random
from collections.abc import Callable, Iterable

import pytest
from iced_x86 import Code
from verify_processor import (
    ALL_MAPS,
    MXCSR_STATES,
    ONE_BYTE,
    X87_STATES,
    Processor,
    State,
    encodings,
    features,
)

from forked import ChildOutcome
from tmebox.verify import anchors
from tmebox.verify.decoded import decode
from tmebox.verify.forms import classify
from tmebox.verify.tables import TABLES

RSP = 4
OPERAND_AT_RSP = [bytes([0x44 | reg << 3, 0x24, 0x08]) for reg in range(8)]
"""ModRM and SIB: `8(%rsp)`, and every register or opcode extension."""
OPERAND_IN_REGISTER = [bytes([0xC0 | fields]) for fields in range(64)]
TAILS = [bytes(8), b"\x01" * 8, b"\xff" * 8]
"""Immediates."""


def is_anchor(encoding: bytes) -> bool:
    form = classify(encoding, TABLES["gs"])
    return form.anchors and not form.refusals and form.features <= features()


def anchoring(fields: list[bytes], heads: list[bytes]) -> list[bytes]:
    return sorted(filter(is_anchor, set(encodings(fields, TAILS, heads))))


def completing(instructions: Iterable[bytes]) -> list[str]:
    """Those that complete in some state, with nothing where rsp points and near it."""
    processor = Processor()
    chooser = random.Random(10)
    found = set()
    for instruction in instructions:
        for x87, mxcsr in itertools.product(X87_STATES, MXCSR_STATES):
            values = [chooser.choice([0, 1, chooser.getrandbits(64)]) for _ in range(16)]
            values[RSP] = processor.middle
            if processor.run(instruction, State(values, x87, mxcsr)).signal == 0:
                found.add(instruction.hex(" "))
    return sorted(found)


def codes(instructions: Iterable[bytes]) -> set[int]:
    return {decoded.code for decoded in map(decode, instructions) if decoded}


def test_every_anchor_faults_where_nothing_is_mapped(forked: Callable[..., ChildOutcome]) -> None:
    found = anchoring(OPERAND_AT_RSP, ALL_MAPS)
    assert codes(found) >= anchors.WITH_OPERAND
    assert forked(lambda: completing(found)).result() == []


def test_pushes_pops_calls_and_returns_fault_where_nothing_is_mapped(
    forked: Callable[..., ChildOutcome],
) -> None:
    found = anchoring(OPERAND_IN_REGISTER, ONE_BYTE)
    assert codes(found) >= anchors.WITHOUT_OPERAND - {Code.PUSH_RM64, Code.POP_RM64}
    assert forked(lambda: completing(found)).result() == []


VMASKMOVPS = "c4 e2 79 2e 04 24"
NOT_SURE = {
    "prefetcht0 (%rsp)": "0f 18 0c 24",
    "nopl (%rsp)": "0f 1f 04 24",
    "leaq (%rsp), %rax": "48 8d 04 24",
    "vmaskmovps %xmm0, %xmm0, (%rsp)": VMASKMOVPS,
}


def test_the_processor_shows_what_does_not_access_its_operand(forked: Callable[..., ChildOutcome]) -> None:
    runnable = [text for text in NOT_SURE.values() if text != VMASKMOVPS or "avx" in features()]
    assert forked(lambda: completing(map(bytes.fromhex, runnable))).result() == sorted(runnable)


def test_no_x87_instruction_is_an_anchor() -> None:
    """On some processors a store with an unmasked exception completes without it, on others it does not."""
    x87 = [encoding for encoding in encodings(OPERAND_AT_RSP, TAILS, [b""]) if 0xD8 <= encoding[0] <= 0xDF]
    assert len({encoding[:2] for encoding in x87}) > 50
    assert not any(map(is_anchor, x87))


@pytest.mark.parametrize("encoding", NOT_SURE.values(), ids=NOT_SURE)
def test_what_is_not_surely_accessed_is_no_anchor(encoding: str) -> None:
    assert not is_anchor(bytes.fromhex(encoding))
