"""The part that tries encodings reports what it is there to report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from iced_x86 import Decoder

from tests.campaign.candidates import BLOCK, HOSTILE, LEGACY, MAPS, any_block, plain_block
from tests.campaign.described import Classify, can_run
from tests.campaign.part import Tally
from tests.campaign.part_encodings import Encodings, odd_bytes
from tests.campaign.quick import candidates
from tmebox.verify import rules
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.forms import Form, classify

pytestmark = pytest.mark.slow


def without(*names: str) -> Classify:
    """The verifier without the rules of these names."""

    def judge(encoding: bytes, table: Table) -> Form:
        form = classify(encoding, table)
        return form._replace(refusals=tuple(refusal for refusal in form.refusals if refusal[0] not in names))

    return judge


def found(judge: Classify, *encodings: str) -> list[str]:
    tally = Tally()
    for encoding in encodings:
        Encodings(judge).judge_in_full(bytes.fromhex(encoding), tally, set())
    return tally.findings


def test_a_verifier_without_canonical_encodings_is_found() -> None:
    findings = found(without(rules.CANONICAL_ENCODING), "66 66 89 c8", "2e 74 00", "41 66 89 c8")
    assert len(findings) >= 4
    assert all("accepted" in finding for finding in findings)


def test_a_verifier_that_knows_any_instruction_is_found() -> None:
    findings = found(
        without(rules.KNOWN_INSTRUCTION), "62 f1 7c 48 58 c1", "8f e8 78 c0 c1 00", "0f 0f c1 9e"
    )
    assert len([finding for finding in findings if "byte more" not in finding]) == 3 * len(TABLES)


def test_a_verifier_that_ignores_what_follows_is_found() -> None:
    def judge(encoding: bytes, table: Table) -> Form:
        first = Decoder(64, encoding).decode()
        return classify(encoding[: first.len] if first.len else encoding, table)

    assert any("a byte more or less" in finding for finding in found(judge, "48 89 c8"))


def test_what_only_the_quick_way_refuses_is_found() -> None:
    tally = Tally()
    Encodings().compare(bytes.fromhex("48 89 c8"), tally)
    assert len(tally.findings) == len(TABLES)


def test_good_encodings_are_no_findings() -> None:
    assert found(classify, "48 89 c8", "65 67 48 89 04 18", "f3 aa", "c5 fc 58 c1", "66 2e 0f 1f 04 00") == []


@pytest.mark.parametrize(
    ("encoding", "problem"),
    [
        ("48 89 c8", ""),
        ("66 2e 0f 1f 84 00 00 00 00 00", ""),
        ("66 66 89 c8", "twice"),
        ("2e 74 00", "not gs"),
        ("48 66 89 c8", "where the opcode"),
        ("40 48 89 c8", "where the opcode"),
        ("62 f1 7c 48 58 c1", "EVEX"),
        ("d5 00 89 c8", "REX2"),
        ("8f e8 78 c0 c1 00", "XOP"),
        ("0f 0f c1 9e", "3DNow!"),
        ("66 c5 f8 58 c1", "VEX"),
        ("41 c5 f8 58 c1", "VEX"),
        ("65 67 c5 f8 58 00", ""),
        ("66", "where the opcode"),
    ],
)
def test_what_no_assembler_writes_is_told_from_its_bytes(encoding: str, problem: str) -> None:
    odd = odd_bytes(bytes.fromhex(encoding))
    assert problem in odd
    assert bool(odd) == bool(problem)


def test_blocks_have_every_modrm_byte_for_16_opcodes() -> None:
    block = plain_block(1, 2)
    assert len(np.unique(block.modrm)) == 256
    assert len(block.slots) <= BLOCK


def test_a_lap_has_every_string_of_up_to_two_prefixes_with_every_map() -> None:
    heads = {any_block(1, number).head for number in range(0, 400, 2)}
    assert len(heads) > 150, "different blocks have different heads"
    assert (1 + 11 + 11 * 11) * 17 * len(MAPS) * 16 == HOSTILE


@pytest.mark.parametrize("make", [any_block, plain_block])
def test_the_quick_way_refuses_nothing_that_is_accepted(make: Callable[..., object]) -> None:
    """Many encodings of a few blocks: the part itself compares a few of each block."""
    for number in (*range(12), 31, 61):
        block = any_block(3, number) if make is any_block else plain_block(3, number)
        for row in np.flatnonzero(~candidates(block) & (block.codes != 0))[::53].tolist():
            encoding = block.encoding(row)
            assert not any(can_run(classify(encoding, table)) for table in TABLES.values()), encoding.hex(" ")


def test_a_long_head_has_all_its_prefixes_where_they_are_looked_for() -> None:
    """A REX byte between them ends them, and nothing else does."""
    for number in range(1, 400, 8):
        head = any_block(5, number).head
        if head and head.rest[:1] and head.rest[0] in LEGACY:
            raise AssertionError(f"{head.prefixes.hex()} {head.rest.hex()}")
