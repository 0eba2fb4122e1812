"""What the verifier believes of each form that it accepts, against a description of x86 that is not
iced's."""

from __future__ import annotations

import re
from functools import cache

import pytest
from iced_x86 import Mnemonic

from tests.campaign.accepted_forms import Accepted, accepted, accepted_codes, codes_by_name
from tests.campaign.facts_believed import EXPLAINED, MNEMONICS, differences, disagreements
from tests.campaign.x86_facts_table import TABLE, Fact, facts_of, read_table
from tmebox.verify import instructions, opcodes
from tmebox.verify.bases import TABLES
from tmebox.verify.decoded import decode
from tmebox.verify.forms import classify

pytestmark = pytest.mark.slow

REFUSED = {
    r".*(^|_)MMM?\d*(_.*|$)": "MMX registers: no table names them",
    r"MOV_(SREG_.*|.*_SREG)": "segment registers",
    r"MOV_(MOFFS.*|.*_MOFFS\d+)": "a 64-bit address in the encoding",
    r".*_RM8_IMM8_82|(INC|DEC)_R(16|32)": "only in 32-bit code",
    r"CMPSD_M32_M32": "reads through rsi and rdi; its name is that of a vector comparison",
}
"""Codes that no table refuses by themselves although nothing of them is accepted, and why."""


@cache
def table() -> dict[str, list[Fact]]:
    return read_table()


def test_every_accepted_form_is_in_the_table_and_they_agree() -> None:
    assert not [text for form in accepted() for text in disagreements(form, table())]


def test_every_code_that_no_table_refuses_is_reached_or_explained() -> None:
    names = codes_by_name()
    unreached = accepted_codes() - {form.decoded.code for form in accepted()}
    unexplained = [
        names[code]
        for code in unreached
        if not any(re.fullmatch(pattern, names[code]) for pattern in REFUSED)
    ]
    assert not unexplained
    for pattern in REFUSED:
        assert any(re.fullmatch(pattern, names[code]) for code in unreached), (
            f"explained for nothing: {pattern}"
        )


def test_every_trusted_mnemonic_has_an_accepted_form() -> None:
    reached = {form.decoded.instruction.mnemonic for form in accepted()}
    assert not {MNEMONICS[number] for number in instructions.MNEMONICS - reached}


@pytest.mark.parametrize(("mnemonics", "what", "reason"), EXPLAINED, ids=[what for _, what, _ in EXPLAINED])
def test_every_explanation_explains_something(mnemonics: str, what: str, reason: str) -> None:
    assert reason
    assert any(
        re.fullmatch(what, difference)
        for form in accepted()
        if re.fullmatch(mnemonics, MNEMONICS[form.decoded.instruction.mnemonic])
        for difference in differences(form, table())
    )


def form_of(text: str) -> Accepted:
    decoded = decode(bytes.fromhex(text))
    assert decoded is not None
    return Accepted(decoded, classify(decoded.encoding, TABLES["gs"]))


MULTIPLY, EXCHANGE, PUSH, LOAD, CALL = "48 f7 e1", "48 87 4c 24 08", "50", "48 8b 4c 24 08", "e8 00 00 00 00"
COMPARE_AND_STORE, STORE = "f0 48 0f b1 4c 24 08", "48 89 4c 24 08"


@pytest.mark.parametrize(
    ("encoding", "fact", "changed"),
    [
        (MULTIPLY, "rdx:w", ""),
        (MULTIPLY, "rax:rw", "rax:r"),
        (MULTIPLY, "rdx:w", "rdx:w rsp:w"),
        (EXCHANGE, "gpr.reg:rw", "gpr.reg:r"),
        (EXCHANGE, "operand:rw", "operand:r"),
        (PUSH, "stackpush:rw", ""),
        (PUSH, "gpr.srm:r", "gpr.srm:rw"),
        (LOAD, "operand:r", "operand:cr"),
        (LOAD, "operand:r", "operand:w"),
        (LOAD, "operand:r:8", "operand:r:512"),
        (LOAD, "mov |", "movbe |"),
        (LOAD, "mod!=3", "mod=3"),
        (LOAD, "gpr.reg:w", "gpr.rm:w"),
        (STORE, "operand:w", "operand:cw"),
        (STORE, "|  |", "| w:df |"),
        (CALL, "| call", "|"),
        (CALL, "| call", "| jump"),
        (COMPARE_AND_STORE, "rax:rcw", "rax:r"),
    ],
)
def test_a_changed_fact_is_a_disagreement(encoding: str, fact: str, changed: str) -> None:
    form = form_of(encoding)
    assert not disagreements(form, table())
    (found,) = facts_of(form.decoded.encoding, table())
    assert fact in found.line
    lines = [found.line.replace(fact, changed) if line == found.line else line for line in text()]
    assert disagreements(form, read_table(lines))


def test_a_removed_fact_is_a_disagreement_whichever_it_is() -> None:
    used = {fact.line: form for form in accepted() for fact in facts_of(form.decoded.encoding, table())}
    assert len(used) > 1500
    for line in sorted(used)[::97]:
        assert disagreements(used[line], read_table(other for other in text() if other != line))


def test_a_mnemonic_that_is_added_to_the_trusted_ones_has_no_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "MNEMONICS", instructions.MNEMONICS | {Mnemonic.GF2P8MULB})
    monkeypatch.setattr(instructions, "FEATURES", {**instructions.FEATURES, **FEATURES_OF_ALL})
    monkeypatch.setattr(opcodes, "_SEEN", {})
    form = form_of("66 0f 38 cf c1")
    assert not form.form.refusals
    assert disagreements(form, table()) == ["66 0f 38 cf c1 gf2p8mulb: no fact"]


FEATURES_OF_ALL = dict.fromkeys(range(1000))


@cache
def text() -> list[str]:
    return TABLE.read_text().splitlines()


def test_the_table_says_where_it_is_from_and_is_sorted() -> None:
    header = [line for line in text() if line.startswith("#")]
    assert re.search(r"intelxed/xed, commit [0-9a-f]{40}", "\n".join(header))
    assert any("Apache License 2.0" in line for line in header)
    rows = text()[len(header) :]
    assert rows == sorted(set(rows))
