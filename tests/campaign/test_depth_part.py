"""What the processor says about rsp: it agrees with the verifier, and what is believed wrongly is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.campaign import processor
from tests.campaign.described import Classify, Description, describe
from tests.campaign.part_depth import HEADS, encodings
from tests.campaign.processor import Processor, Result
from tests.forked import ChildOutcome
from tmebox.verify.bases import TABLES, Table
from tmebox.verify.depth import Writes
from tmebox.verify.forms import Form, classify

pytestmark = pytest.mark.slow

WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "push that moves nothing": ("50", {"deepens": 0}, "another number"),
    "push of two bytes": ("6a 08", {"deepens": 2}, "another number"),
    "pop": ("58", {"deepens": 8}, "another number"),
    "sub": ("48 83 ec 18", {"deepens": 0x10}, "another number"),
    "sub that is an add": ("48 83 ec 18", {"deepens": -0x18}, "another number"),
    "lea": ("48 8d 64 24 08", {"deepens": 8}, "another number"),
    "and": ("48 83 e4 f0", {"deepens": 0, "refusals": ()}, "another number"),
    "write of esp": ("83 ec 08", {"deepens": 8, "refusals": ()}, "another number"),
    "push of 16 bits": ("66 50", {"deepens": 8, "refusals": ()}, "another number"),
    "pushf": ("9c", {"deepens": 0, "refusals": (), "writes_stack": Writes(None, 0)}, "another number"),
    "enter": ("c8 10 00 00", {"deepens": 0x10, "refusals": ()}, "another number"),
    "return that pops arguments": (
        "c2 10 00",
        {
            "refusals": (),
            "needs_sequence": None,
            "branches": True,
            "returns": True,
            "steps": frozenset({"ret"}),
        },
        "another number",
    ),
    "return that is none": ("c3", {"returns": False, "steps": frozenset({"ret"})}, "another number"),
    "call that is none": ("e8 10 00 00 00", {"calls": False}, "another number"),
    "exchange": ("48 87 e0", {"deepens": 0, "refusals": ()}, "another number"),
    "store that is none": ("48 89 44 24 08", {"writes_stack": None}, "beyond the known end"),
    "store of 4 bytes": ("48 89 44 24 08", {"writes_stack": Writes(None, 12)}, "beyond the known end"),
    "store of 16 bytes": ("0f 11 44 24 08", {"writes_stack": Writes(None, 16)}, "beyond the known end"),
    "store of 10 bytes": ("db 7c 24 08", {"writes_stack": Writes(None, 16)}, "beyond the known end"),
    "push that stores higher": ("50", {"writes_stack": Writes(None, -8)}, "beyond the known end"),
    "addition to memory": ("48 01 04 24", {"writes_stack": None}, "beyond the known end"),
    "one bit set": ("0f ba 6c 24 08 09", {"writes_stack": None}, "beyond the known end"),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    processor.program()


def judging(changes: dict[str, Any]) -> Classify:
    def judge(encoding: bytes, table: Table) -> Form:
        return classify(encoding, table)._replace(**changes)

    return judge


def form_of(encoding: str, judge: Classify = classify) -> Description:
    description = describe(bytes.fromhex(encoding), "twin", judge)
    if description is None:
        raise ValueError(f"{encoding} is refused")
    return description


def run(descriptions: list[Description], count: int) -> list[Result]:
    with Processor() as running:
        return running.run(descriptions, 7, count)


def test_what_is_believed_wrongly_about_rsp_is_found(forked: Callable[..., ChildOutcome]) -> None:
    wrong = [form_of(encoding, judging(changes)) for encoding, changes, _ in WRONG.values()]
    found = {
        name: result.finding
        for name, result in zip(WRONG, forked(lambda: run(wrong, 3000)).result(), strict=True)
    }
    assert [name for name, (_, _, expected) in WRONG.items() if expected not in found[name]] == [], found


MOVING = (*range(0x50, 0x60), 0x68, 0x6A, 0x81, 0x83, 0x8D, 0x8F, 0xC3, 0xE8, 0xFF)


def test_each_accepted_move_of_rsp_does_what_is_believed(forked: Callable[..., ChildOutcome]) -> None:
    forms = []
    for head in HEADS:
        for encoding in encodings(head) if b"\x0f" not in head and head[:1] != b"\xc4" else ():
            description = describe(encoding, "twin") if encoding[len(head)] in MOVING else None
            form = description and description.form
            if form and (form.deepens or form.calls or form.returns or form.writes_stack is not None):
                forms.append(description)
    results = forked(lambda: run(forms, 128)).result()
    assert len(forms) > 150
    assert [result.finding for result in results if result.finding] == []


REFUSED = """
66 50 | 66 58 | 66 6a 08 | 66 68 08 00 | 66 ff 34 24 | 66 8f 04 24 | 9c | 66 9c | 9d | 66 9d
c8 10 00 00 | c9 | 66 c9 | c2 08 00 | 66 c3 | f2 c3 | f3 c3 | 66 e8 00 00 | 66 e8 00 00 00 00
48 e8 00 00 00 00 | cb | cf | 48 cf | 5c | 41 8f c4 24 | 8f c4 | 8f 04 24 | 8f 44 24 08 | 48 87 e0
48 94 | 48 0f b1 c4 | 48 0f c1 c4 | 48 89 c4 | 48 8b e0 | 48 01 c4 | 48 03 e0 | 48 29 c4 | 48 2b e0
48 83 e4 f0 | 48 83 cc 08 | 48 83 d4 08 | 48 83 dc 08 | 48 83 f4 08 | 48 ff c4 | 48 ff cc | 48 f7 dc
48 f7 d4 | 48 0f cc | 48 c1 e4 01 | 48 d1 e4 | 83 c4 08 | 83 ec 08 | 66 83 c4 08 | 40 80 c4 08 | 40 b4 08
66 bc 08 00 | bc 08 00 00 00 | 48 c7 c4 08 00 00 00 | 8d 64 24 08 | 66 8d 64 24 08 | 67 48 8d 64 24 08
48 8d 64 04 08 | 48 8d 65 08 | 48 8d 25 08 00 00 00 | 48 8d 24 25 08 00 00 00 | 48 0f 44 e0 | 48 0f af e0
48 6b e0 08 | 48 0f b6 e0 | 48 0f bf e0 | 48 63 e0 | 48 0f bc e0 | f3 48 0f b8 e0 | 66 48 0f 7e c4
0f 50 e0 | f2 48 0f 2c e0 | 48 0f a4 c4 08 | 48 0f ba ec 08 | 48 0f ab c4 | 48 0f ab 04 24 | 48 0f c7 f4
c4 e2 f8 f2 e0 | c4 e2 fb f6 e0 | c4 e2 db f6 c0 | 0f a8 | 0f a0 | 0f a1 | 0f a9 | d6 | 62
"""
"""What moves rsp by no known number, writes through it at no known place, or is the 16-bit or far form."""


def test_what_moves_rsp_by_no_number_is_refused() -> None:
    texts = [part.strip() for part in REFUSED.replace("\n", "|").split("|") if part.strip()]
    forms = {text: classify(bytes.fromhex(text), TABLES["twin"]) for text in texts}
    assert [text for text, form in forms.items() if not form.refusals] == []
