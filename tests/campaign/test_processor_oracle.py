"""The processor oracle reports what it is there to report: forms that are trusted with something untrue."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from iced_x86 import Mnemonic

from tests.campaign import described, processor
from tests.campaign.candidates import PLAIN
from tests.campaign.described import Classify, Description, describe
from tests.campaign.part import Tally
from tests.campaign.part_anchors import Anchors, encodings
from tests.campaign.part_processor import execute, is_occupied
from tests.campaign.processor import FINDINGS, Processor, Result
from tests.forked import ChildOutcome
from tmebox.verify import instructions as known
from tmebox.verify import opcodes
from tmebox.verify.bases import Table
from tmebox.verify.decoded import Decoded, decode
from tmebox.verify.forms import Form, classify
from tmebox.verify.sequences import READS_MAP

pytestmark = pytest.mark.slow

TRUSTED = {"refusals": (), "needs_sequence": None}
"""As if the verifier accepted it anywhere."""

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "x87 store as an anchor": ("dd 1c 24", {"anchors": True}, "surely happens"),
    "masked load as an anchor": ("c4 e2 71 2c 04 24", {"anchors": True}, "surely happens"),
    "rsp written": ("48 89 c4", TRUSTED, "rsp moved"),
    "rsp adjusted further": ("48 83 c4 10", {"adjusts": 8}, "rsp moved"),
    "direction flag": ("fd", TRUSTED, "a flag changed"),
    "base of gs": ("f3 48 0f ae d8", TRUSTED, "segment"),
    "64-bit address": ("65 48 8b 00", TRUSTED, "outside what is promised"),
    "mmx": ("0f 6f c1", {**TRUSTED, "is_x87": False}, "is_x87"),
    "no call": ("e9 10 00 00 00", {"calls": True}, "return address"),
    "no end": ("90", {"ends": True}, "control never goes on"),
    "64 bits left": ("48 89 c7", {"steps": frozenset({"movl %edi, %edi"})}, "more bits"),
    "half a store": ("44 89 1c 24", {"steps": frozenset({"movq %r11, (%rsp)"})}, "load or store"),
    "jump to another register": ("ff e0", {"steps": frozenset({"jmp *%rcx"})}, "load or store"),
    "another flag": ("80 bb 00 00 ff 7f 01", {**TRUSTED, "steps": frozenset({READS_MAP})}, "load or store"),
    "no sum": ("49 8d 3c 33", {"steps": frozenset({"leaq (%r11,%rdi), %rdi"})}, "load or store"),
    "no load": ("4c 8d 1c 24", {"steps": frozenset({"movl (%rsp), %r11d"})}, "load or store"),
    "return is no jump": ("90", {"branches": True, "calls": True}, "return address"),
}


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    processor.program()


def judging(changes: dict[str, Any]) -> Classify:
    """The verifier, wrong about everything in the same way."""

    def judge(encoding: bytes, table: Table) -> Form:
        return classify(encoding, table)._replace(**changes)

    return judge


def run(descriptions: list[Description], count: int = 3000) -> list[Result]:
    with Processor() as running:
        return running.run(descriptions, 7, count)


def form_of(encoding: str, judge: Classify = classify, base: str = "gs") -> Description:
    description = describe(bytes.fromhex(encoding), base, judge)
    if description is None:
        raise ValueError(f"{encoding} is refused")
    return description


WHOLE_TURNS = [
    "c0 18 89", "c0 d0 09", "c0 d0 12", "c0 d8 1b", "66 c1 d8 11", "66 c1 d0 11", "c0 d8 20", "66 c1 d0 20",
]  # fmt: skip
"""rcl and rcr of 8 and 16 bits, by 9, 18, 27, 17, and by what counts as 0."""


def test_turns_by_the_whole_operand_are_no_findings(forked: Callable[..., ChildOutcome]) -> None:
    results = forked(lambda: run([form_of(encoding) for encoding in WHOLE_TURNS])).result()
    assert [result.finding for result in results] == [""] * len(WHOLE_TURNS)


@pytest.mark.parametrize("name", WRONG)
def test_a_form_that_is_trusted_wrongly_is_found(name: str, forked: Callable[..., ChildOutcome]) -> None:
    encoding, changes, expected = WRONG[name]
    [result] = forked(lambda: run([form_of(encoding, judging(changes))])).result()
    assert expected in result.finding
    assert encoding in result.finding


def test_all_of_them_are_found_in_one_run_and_the_good_ones_are_not(
    forked: Callable[..., ChildOutcome],
) -> None:
    """One form's damage does not spread to the next one."""
    good = ["48 01 d8", "50", "65 67 48 89 04 18", "f3 a4", "c5 fc 58 c1", "d9 e8", "4c 89 1c 24", "ff d0"]
    good += [
        "c3",
        "ff 64 24 80",
        "41 f6 83 00 00 ff 7f 03",
        "49 8d 3c 3b",
        "65 48 03 24 25 40 00 01 04",
        "ff 74 24 f8",
        "f3 ab",
    ]
    wrong = [form_of(encoding, judging(changes)) for encoding, changes, _ in WRONG.values()]
    branches = ("ff d0", "c3", "ff 64 24 80")  # which gs has where returns are safe
    right = [form_of(encoding, base="twin" if encoding in branches else "gs") for encoding in good * 2]
    mixed = [description for pair in zip(wrong, right, strict=False) for description in pair]
    results = forked(lambda: run(mixed)).result()
    assert all(result.finding for result in results[::2])
    assert [result.finding for result in results[1::2]] == [""] * len(results[1::2])


@pytest.mark.parametrize("encoding", ["dd c1", "d9 f7", "d9 f6"])
def test_a_mnemonic_that_should_not_be_in_the_table_is_found(
    encoding: str, monkeypatch: pytest.MonkeyPatch, forked: Callable[..., ChildOutcome]
) -> None:
    """ffree, fincstp and fdecstp, accepted without being known to change x87 state."""
    more = known.MNEMONICS | {Mnemonic.FFREE, Mnemonic.FINCSTP, Mnemonic.FDECSTP}
    monkeypatch.setattr(known, "MNEMONICS", more)
    monkeypatch.setattr(opcodes, "_SEEN", {})
    [result] = forked(lambda: run([form_of(encoding)])).result()
    assert "is_x87" in result.finding


def test_a_register_that_the_decoder_forgot_is_found(
    monkeypatch: pytest.MonkeyPatch, forked: Callable[..., ChildOutcome]
) -> None:
    def forgetful(encoding: bytes) -> Decoded | None:
        decoded = decode(encoding)
        if decoded:
            decoded.written = set()
        return decoded

    monkeypatch.setattr(described, "decode", forgetful)
    forms = [form_of(encoding) for encoding in ("48 01 d8", "0f 58 c1")]
    results = forked(lambda: run(forms)).result()
    assert "a register changed" in results[0].finding
    assert "a vector register changed" in results[1].finding


def test_a_write_that_the_decoder_takes_for_a_read_is_found(
    monkeypatch: pytest.MonkeyPatch, forked: Callable[..., ChildOutcome]
) -> None:
    monkeypatch.setattr(described, "_MAY_WRITE", frozenset())
    [result] = forked(lambda: run([form_of("48 89 04 24")])).result()
    assert "wrote other memory" in result.finding


def test_an_access_elsewhere_is_found(
    monkeypatch: pytest.MonkeyPatch, forked: Callable[..., ChildOutcome]
) -> None:
    right = described._ACCESS
    wrong = type(
        "Wrong", (), {"pack": staticmethod(lambda *values: right.pack(*values[:-1], values[-1] + 64))}
    )
    monkeypatch.setattr(described, "_ACCESS", wrong)
    [result] = forked(lambda: run([form_of("65 67 48 8b 00")])).result()
    assert "another address" in result.finding


@pytest.mark.parametrize("length", [2, 4])
def test_another_length_is_found(length: int, forked: Callable[..., ChildOutcome]) -> None:
    description = form_of("0f 1f 00")
    padded = replace(description, fixed=(length, b"\x0f\x1f\x00\x90", *description.fixed[2:]))
    [result] = forked(lambda: run([padded])).result()
    assert "length" in result.finding


def test_an_access_that_no_rule_explains_is_found() -> None:
    assert form_of("64 48 8b 00", judging(TRUSTED)).unexplained


def test_what_this_cpu_does_not_know_is_found(forked: Callable[..., ChildOutcome]) -> None:
    [result] = forked(lambda: run([form_of("0f 0b", judging({"ends": False}))])).result()
    assert "does not know it" in result.finding


def test_a_child_that_dies_is_started_again(forked: Callable[..., ChildOutcome]) -> None:
    def run_all() -> list[Result]:
        with Processor() as running:
            before = running.run([form_of("90")], 1, 10)
            assert running.child is not None
            running.child.kill()
            running.child.wait()
            return before + running.run([form_of("90")], 1, 10)

    results = forked(run_all).result()
    assert [(sum(result.outcomes), result.finding) for result in results] == [(10, "")] * 2


def test_the_same_seed_does_the_same(forked: Callable[..., ChildOutcome]) -> None:
    forms = [
        form_of("48 89 44 24 08"),
        form_of("65 67 48 8b 04 18"),
        form_of("dd 1c 24", judging({"anchors": True})),
    ]
    first, second = (forked(lambda: run(forms)).result() for _ in range(2))
    assert [result.outcomes for result in first] == [result.outcomes for result in second]
    assert first[2].finding == second[2].finding != ""


def test_every_finding_has_a_sentence() -> None:
    source = processor.SOURCE.with_name("processor_forms.h").read_text()
    names = source.partition("enum finding {")[2].partition("}")[0].replace("\n", " ").split(",")
    assert len([name for name in names if name.strip()]) == len(FINDINGS)


def test_the_part_for_anchors_finds_wrong_ones_among_all_forms(forked: Callable[..., ChildOutcome]) -> None:
    """As the verifier was that took every store of the x87 unit for one that surely happens."""

    def judge(encoding: bytes, table: Table) -> Form:
        form = classify(encoding, table)
        is_x87_store = encoding[0] in (0xD9, 0xDB, 0xDD, 0xDF) and encoding[1] >> 3 & 7 in (1, 2, 3, 7)
        return form._replace(anchors=form.anchors or is_x87_store)

    head = next(head for head in PLAIN if (head.prefixes, head.rest, head.nibble) == (b"", b"", 13))

    def run_one() -> list[str]:
        with Processor() as processor:
            tally = Tally()
            forms = list(Anchors(judge).forms(encodings(head, random.Random(1)), tally))
            execute(processor, forms, 1, 400, tally)
            return tally.findings

    findings = forked(run_one).result()
    names = {finding.split("(")[1].split()[0] for finding in findings}
    assert names >= {"fsts", "fstps", "fisttpl", "fistpll"}


@pytest.mark.parametrize("encoding", ["c5 f8 77", "c5 f8 2e c1", "c4 e2 79 58 c1", "0f ae 10", "48 89 c8"])
def test_blocks_with_instructions_are_not_skipped(encoding: str) -> None:
    """Some of these are instructions only if a field that others use is all ones."""
    data = bytes.fromhex(encoding)
    mine = [
        head
        for head in PLAIN
        if len(data) > len(head.rest) >= 1
        and not head.prefixes
        and data[len(head.rest)] >> 4 == head.nibble
        and all(
            byte & ~dict(head.free).get(place, 0) == data[place] & ~dict(head.free).get(place, 0)
            for place, byte in enumerate(head.rest)
        )
    ]
    assert mine
    assert all(map(is_occupied, mine))
