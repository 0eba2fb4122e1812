"""What the verifier believes of a form because of its bytes, against the processor.

Each promise is run, for every form that makes it, in states of the FPU that a hostile program would choose.
"""

import itertools
import random
from collections.abc import Callable, Iterable

import pytest
from iced_x86 import Code, Register

from tests.forked import ChildOutcome
from tests.verify.processor import (
    ALL_MAPS,
    MXCSR_STATES,
    ONE_BYTE,
    TWO_BYTES,
    X87_STATES,
    Processor,
    State,
    encodings,
    features,
)
from tmebox.abi import STACK_REACH
from tmebox.verify import anchors, borrowed, memory_r15
from tmebox.verify.bases import TABLES
from tmebox.verify.borrowed import INDEX_BITS, NAMES, index_into, offset_into
from tmebox.verify.decoded import Decoded, decode
from tmebox.verify.forms import classify

pytestmark = pytest.mark.slow

RSP = 4
DIRECTION_FLAG = 1 << 10
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


# -- what a form leaves in registers -------------------------------------------------------------------------

SOME_REGISTERS = [bytes([0xC0 | fields]) for fields in range(0, 64, 5)]
NUMBERS = [
    b"\0" * 8,
    b"\1" * 8,
    b"\x0f\0",
    b"\x10\0",
    b"\x1f\0",
    b"\x20\0",
    b"\xff\xff\0\0",
    b"\xff" * 8,
    b"\0\0\0\x80",
]
"""Immediates, at the limits of shifts, masks and signs."""
GS, R15 = TABLES["gs"], TABLES["r15"]


def promised_bits(decoded: Decoded) -> dict[int, int]:
    """Registers that the verifier believes hold no more than so many bits afterwards."""
    steps = classify(decoded.encoding, GS).steps
    promised = {}
    for register, name in NAMES.items():
        if offset_into(name) in steps or f"movl SRC, %{name} (32 bits)" in steps:
            promised[register] = 32
        if index_into(name) in steps:
            promised[register] = INDEX_BITS
    form = classify(decoded.encoding, R15)
    if Register.R14 in decoded.written and not form.refusals:
        promised[Register.R14] = 32
    return promised


def is_plain(encoding: bytes) -> bool:
    form = classify(encoding, GS)
    return (
        not (form.refusals or form.needs_sequence or form.branches or form.ends)
        and form.features <= features()
    )


def values_near(processor: Processor, chooser: random.Random) -> list[int]:
    values = [chooser.getrandbits(64) | 1 << 63 for _ in range(16)]
    values[RSP] = processor.mapped
    return values


def too_wide(instructions: list[bytes]) -> list[str]:
    processor, chooser = Processor(), random.Random(5)
    found = []
    for encoding in instructions:
        decoded = decode(encoding)
        assert decoded is not None
        outcome = processor.run(encoding, State(values_near(processor, chooser)))
        for register, bits in promised_bits(decoded).items():
            if outcome.signal or outcome.registers[register - Register.RAX] >> bits:
                found.append(encoding.hex(" "))
    return found


def test_what_is_believed_to_fill_a_register_does(forked: Callable[..., ChildOutcome]) -> None:
    """No count of zero, no condition, no sign leaves or sets a bit of the upper half."""
    fields = [*SOME_REGISTERS, b"\xc6", *OPERAND_AT_RSP]
    heads = [rex + escape for rex in (b"", b"\x41", b"\x45", b"\x48", b"\x49") for escape in (b"", b"\x0f")]
    found = sorted(set(encodings(fields, NUMBERS, heads)))
    filling = [encoding for encoding in found if is_plain(encoding) and promised_bits(decode(encoding))]  # type: ignore[arg-type]
    kept = {decode(encoding).code for encoding in filling}  # type: ignore[union-attr]
    assert kept >= borrowed._OFFSETS | borrowed._EXTENSIONS | {Code.SHR_RM32_IMM8, Code.AND_RM32_IMM32}
    assert kept >= memory_r15._WRITES_OFFSET
    assert forked(lambda: too_wide(filling)).result() == []


def changing_others(
    instructions: list[bytes], written: Callable[[Decoded], set[int]] = lambda decoded: decoded.written
) -> list[str]:
    """Those that change a register that the decoder does not say they write, or the direction flag."""
    processor, chooser = Processor(), random.Random(6)
    found = set()
    for encoding in instructions:
        decoded = decode(encoding)
        assert decoded is not None
        for x87, mxcsr in (("as reset", "masked"), ("unmasked and full", "unmasked")):
            values = values_near(processor, chooser)
            outcome = processor.run(encoding, State(values, x87, mxcsr))
            if outcome.signal:
                continue
            changed = {Register.RAX + n for n in range(16) if outcome.registers[n] != values[n]}
            if changed - written(decoded) or outcome.flags & DIRECTION_FLAG:
                found.add(encoding.hex(" "))
    return sorted(found)


def test_no_register_changes_that_is_not_said_to_be_written(forked: Callable[..., ChildOutcome]) -> None:
    """rsp, r14 and r15 are kept because no accepted form is said to write them."""
    chooser = random.Random(7)
    heads = [*chooser.sample(ALL_MAPS, 40), b"", b"\x48", b"\x0f"]
    fields = [*SOME_REGISTERS, *chooser.sample(OPERAND_IN_REGISTER, 8), *OPERAND_AT_RSP[::3]]
    found = filter(is_plain, sorted(set(encodings(fields, [b"\x07" * 8], heads))))
    plain = [encoding for encoding in found if not classify(encoding, GS).adjusts and not moves_rsp(encoding)]
    assert len(plain) > 5000
    assert forked(lambda: changing_others(plain)).result() == []


def moves_rsp(encoding: bytes) -> bool:
    decoded = decode(encoding)
    return decoded is None or Register.RSP in decoded.written


def test_the_processor_shows_a_register_that_is_not_said_to_be_written(
    forked: Callable[..., ChildOutcome],
) -> None:
    moved = bytes.fromhex("48 89 c8")  # mov %rcx, %rax
    assert forked(lambda: changing_others([moved])).result() == []
    assert forked(lambda: changing_others([moved], lambda decoded: set())).result() == [moved.hex(" ")]


def moving_further(instructions: list[bytes]) -> list[str]:
    processor, chooser = Processor(), random.Random(8)
    found = []
    for encoding in instructions:
        for _ in range(8):
            values = [chooser.getrandbits(64) for _ in range(16)]
            outcome = processor.run(encoding, State(values))
            distance = (outcome.registers[RSP] - values[RSP] + (1 << 63)) % (1 << 64) - (1 << 63)
            if outcome.signal or abs(distance) > classify(encoding, GS).adjusts:
                found.append(encoding.hex(" "))
    return found


def test_adjustments_move_rsp_no_further_than_believed(forked: Callable[..., ChildOutcome]) -> None:
    numbers = [
        (sign << bit).to_bytes(4, "little", signed=True) for bit in (0, 3, 7, 18, 19) for sign in (1, -1)
    ]
    fields = [
        *SOME_REGISTERS,
        *OPERAND_IN_REGISTER[4::8],
        *(bytes([mod | reg << 3, 0x24]) for mod in (0x44, 0x84) for reg in range(8)),
    ]
    found = sorted(
        set(encodings(fields, [number + bytes(4) for number in numbers], [b"\x48", b"\x49", b"\x4c"]))
    )
    adjusting = [
        encoding
        for encoding in found
        if is_plain(encoding) and 0 < classify(encoding, GS).adjusts <= STACK_REACH
    ]
    # add, sub, and: 8 or 32 bits; lea
    assert len({decode(encoding).code for encoding in adjusting}) == 7  # type: ignore[union-attr]
    assert forked(lambda: moving_further(adjusting)).result() == []


def test_what_ends_control_without_a_jump_faults(forked: Callable[..., ChildOutcome]) -> None:
    found = [
        encoding
        for encoding in sorted(set(encodings(SOME_REGISTERS, TAILS, [*ONE_BYTE, *TWO_BYTES])))
        if (form := classify(encoding, GS)).ends and not form.refusals and not form.branches
    ]
    assert codes(found) == {Code.HLT, Code.UD2}
    assert forked(lambda: completing(found)).result() == []
