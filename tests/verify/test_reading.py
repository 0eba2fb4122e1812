"""Reading a text: what is remembered, skipped or cut changes no verdict."""

import random
import threading
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from iced_x86 import Code, Decoder, OpCodeInfo, OpCodeOperandKind, OpKind

from tests.verify.corpus import ACCEPT, Example
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, reading, rules, verify
from tmebox.verify import instructions as known
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.decoded import Field
from tmebox.verify.forms import Form, classify
from tmebox.verify.representatives import representative


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known about any encoding, as in a new process."""
    monkeypatch.setattr(reading, "_MEMORIES", {})


def accepted(examples: dict[Path, Example]) -> list[Example]:
    return [example for source, example in examples.items() if source.parent == ACCEPT]


def numbered() -> list[bytes]:
    """Encodings that end in a number which no form depends on: direct branches, moves of a constant and sums
    with one, accesses through gs with an address of 32 bits or relative to rip, `lea`, accesses near rsp."""
    chooser = random.Random(7)
    rexes = (b"", *(bytes([rex]) for rex in range(0x40, 0x50)))
    registers = (0, 1, 2, 3, 5, 6, 7)
    heads = [(b"\xe8", 4), (b"\xe9", 4), (b"\xeb", 1)]
    heads += [(bytes([0x0F, 0x80 + condition]), 4) for condition in range(16)]
    heads += [(bytes([0x70 + condition]), 1) for condition in range(16)]
    heads += [(rex + bytes([0xB8 + register]), 4) for rex in (b"", b"\x41") for register in range(8)]
    heads += [
        (rex + bytes([opcode, 0xC0 | field << 3 | low]), 4 if opcode == 0x81 else 1)
        for rex in rexes
        for opcode in (0x81, 0x83)
        for field in (0, 1, 2, 3, 5, 6, 7)
        for low in registers
    ]
    opcodes = [b"\x88", b"\x89", b"\x8a", b"\x8b", b"\x63", b"\x01", b"\x2b", b"\x3a", b"\xdd", b"\xff"]
    opcodes += [b"\x0f" + bytes([low]) for low in (0x10, 0x11, 0x29, 0x58, 0xB6, 0xB7, 0xBE, 0xC1, 0xE7)]
    for opcode, register, rex in product(opcodes, range(8), rexes):
        prefix = chooser.choice((b"", b"", b"\x66", b"\xf2", b"\xf3")) + rex + opcode
        low, field = chooser.choice(registers), register << 3
        heads += [(b"\x65\x67" + prefix + bytes([0x40 | field | low]), 1)]
        heads += [(b"\x65\x67" + prefix + bytes([0x80 | field | low]), 4)]
        heads += [(b"\x65\x67" + prefix + bytes([0x80 | field | 4, 0x24]), 4)]
        heads += [(b"\x65" + prefix + bytes([field | 5]), 4)]
        if not rex or not rex[0] & 3:
            heads += [(prefix + bytes([0x44 | field, 0x24]), 1)]
    for register, rex, low in product((0, 1, 2, 3, 5, 6, 7), rexes, (*registers, 4)):
        sib = b"\x24" if low == 4 else b""
        heads += [(rex + bytes([0x8D, 0x40 | register << 3 | low]) + sib, 1)]
        heads += [(rex + bytes([0x8D, 0x80 | register << 3 | low]) + sib, 4)]
    for group, size in ((0x80, 1), (0x83, 1), (0xC6, 1), (0x6B, 1), (0x81, 4), (0xC7, 4), (0x69, 4)):
        for rex, field, low in product(rexes, range(8), registers):
            heads += [(b"\x65\x67" + rex + bytes([group, 0x40 | field << 3 | low]), 1 + size)]
            heads += [(b"\x65\x67" + rex + bytes([group, field << 3 | low]), size)] if low != 5 else []
    edges = (b"\0", b"\x7f", b"\x80", b"\xff")
    return [
        head + chooser.choice((chooser.choice(edges) * size, chooser.randbytes(size)))
        for head, size in heads
        for _ in range(2)
    ]


def unlike() -> list[bytes]:
    """Encodings that look like those, and have forms that depend on the number."""
    texts = """
    83 e0 7f | 81 e1 ff 00 00 00 | 83 c4 08 | 83 ec 08 | 48 83 c4 08 | 48 81 ec 00 01 00 00 | 48 8d 64 24 08
    8d 64 24 08 | 48 8d a4 24 08 00 00 00 | 41 8b 44 24 08 | 49 8b 44 24 08 | 8b 84 24 08 00 00 00 | 8b 40 08
    65 8b 04 25 08 00 00 00 | 65 8b 40 08 | c1 e8 04 | 48 c1 e8 24 | 24 0f | 42 8b 44 24 08 | 65 c5 7c 28 c8
    c5 f8 28 44 24 08 | 65 67 c5 7c 28 08 | 48 89 44 24 80 | ff 64 24 80
    """
    return [bytes.fromhex(text) for text in texts.replace("\n", "|").split("|") if text.strip()]


def test_every_instruction_with_an_absolute_address_is_known_as_one() -> None:
    """The decoder's own table is not asked: making it takes longer than verifying a small module."""
    codes = [number for name, number in vars(Code).items() if name.isupper()]
    absolute = {code for code in codes if OpCodeOperandKind.MEM_OFFS in OpCodeInfo(code).op_kinds()}
    assert absolute == known.ABSOLUTE


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_forms_do_not_depend_on_the_numbers_that_are_left_out(table: Table) -> None:
    for encoding in numbered():
        if encoding[-2:] == b"\x24\x80" and encoding[0] != 0x65 and 0x8D not in encoding[:2]:
            assert representative(encoding) == encoding  # where a checked target is kept
            continue
        assert representative(encoding).endswith(b"\0"), encoding.hex(" ")
        assert classify(encoding, table) == classify(representative(encoding), table), encoding.hex(" ")
    for encoding in unlike():
        assert representative(encoding) == encoding


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_nothing_is_left_out_of_the_steps_of_sequences(table: Table) -> None:
    for encoding in table.sequences.exact:
        assert representative(encoding) == encoding


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_control_ends_nowhere_within_a_sequence(table: Table) -> None:
    """Otherwise a block could end there."""
    inner = {step for sequence in table.sequences.by_last_step.values() for step in sequence[:-1]}
    for encoding, steps in table.sequences.exact.items():
        assert not (inner & steps and classify(encoding, table).ends)


def field_of(form: Form) -> Field | None:
    return form.target or form.operand


def test_branches_and_operands_lead_where_the_decoder_says(examples: dict[Path, Example]) -> None:
    compared = 0
    for example in accepted(examples):
        theirs: list[int] = []
        for instruction in Decoder(64, example.code, ip=1 << 40):
            if instruction.op_count and instruction.op0_kind == OpKind.NEAR_BRANCH64:
                theirs.append(instruction.near_branch64)
            elif instruction.is_ip_rel_memory_operand and "lea" not in str(instruction):
                theirs.append(instruction.ip_rel_memory_address)
        ours: list[int] = []
        for block in reading.read(example.code, TABLES[example.base]):
            ours += (block.referents(block.where(field_of), field_of) + (1 << 40)).tolist()
        assert ours == theirs
        compared += len(ours)
    assert compared > 50


def outcome(example: Example) -> VerifiedText | set[str]:
    try:
        return verify(**example.arguments())
    except VerificationError as error:
        return {violation.rule for violation in error.violations}


def test_where_a_text_is_cut_into_blocks_does_not_matter(
    examples: dict[Path, Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [example for example in accepted(examples) if len(example.code) < 100_000]
    whole = [outcome(example) for example in small]
    cut = 0
    for most in (1, 2, 3, 5, 8, 13, 40, 100):
        monkeypatch.setattr(reading, "MOST_IN_A_ROW", most)
        for example, expected in zip(small, whole, strict=True):
            found = outcome(example)
            if isinstance(found, set):  # control runs through too many instructions: never accepted otherwise
                assert rules.CONTROL_ENDS_REGULARLY in found
            else:
                assert found == expected
                cut += found.instruction_count > most
    assert cut > 10


def test_rejected_texts_stay_rejected_however_they_are_cut(
    examples: dict[Path, Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_IN_A_ROW", 3)
    for source, example in examples.items():
        if source.parent != ACCEPT:
            assert isinstance(outcome(example), set), source.stem


def test_forgetting_encodings_does_not_matter(
    examples: dict[Path, Example], monkeypatch: pytest.MonkeyPatch, forgotten: None
) -> None:
    expected = [outcome(example) for example in accepted(examples)]
    monkeypatch.setattr(reading, "MOST_ENCODINGS", 3)
    monkeypatch.setattr(reading, "MOST_FORMS", 5)
    monkeypatch.setattr(reading, "_MEMORIES", {})
    assert [outcome(example) for example in accepted(examples)] == expected


@pytest.mark.parametrize("bits", [1, 4])
def test_encodings_that_share_a_slot_keep_their_own_forms(
    examples: dict[Path, Example], monkeypatch: pytest.MonkeyPatch, forgotten: None, bits: int
) -> None:
    small = [example for example in examples.values() if len(example.code) < 100_000]
    expected = [outcome(example) for example in small]
    monkeypatch.setattr(reading, "_SLOT_BITS", bits)
    monkeypatch.setattr(reading, "_MEMORIES", {})
    assert [outcome(example) for example in small + small] == expected + expected


def test_forms_found_many_at_a_time_are_those_found_alone(
    examples: dict[Path, Example], forgotten: None
) -> None:
    """Of encodings that are the beginning of others, too, or others with zeros behind, and of long ones."""
    memory = reading._Memory(TABLES["twin"])
    alone = reading._Memory(TABLES["twin"])
    encodings = [*numbered()[::7], *unlike(), b"\x00\x00", b"\x04\x00", b"\x05\0\0\0\0", b"\x66\x05\0\0"]
    code = b"".join(encodings)
    ends = np.cumsum([len(encoding) for encoding in encodings], dtype=np.uint32)
    assert {len(encoding) for encoding in encodings} >= {2, 5, reading._SHORT, reading._SHORT + 1}
    for _ in range(3):
        found = memory.numbers(code, 0, ends).tolist()
        for encoding, number in zip(encodings, found, strict=True):
            assert memory.forms[number] == alone.forms[alone[encoding]], encoding.hex(" ")


def test_threads_learn_together(examples: dict[Path, Example], forgotten: None) -> None:
    small = [example for example in examples.values() if len(example.code) < 100_000]
    results: list[list[object]] = []

    def work(seed: int) -> None:
        order = list(range(len(small)))
        random.Random(seed).shuffle(order)
        found = {index: outcome(small[index]) for index in order}
        results.append([found[index] for index in range(len(small))])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    work(9)
    assert len(results) == 5
    assert all(result == results[-1] for result in results)
