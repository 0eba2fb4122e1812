"""What the verifier and the second opinion say of the same texts, beside each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.corpus import Example
from tests.verify.recheck import Claimed, complaints, disassemble
from tests.verify.recheck_lines import Line
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import VerifiedText, verify

needs_objdump = pytest.mark.skipif(shutil.which("objdump") is None, reason="the second opinion is objdump's")
ADDRESS = abi.TEXT_NOMINAL


def accepted(
    code: bytes,
    address: int = ADDRESS,
    base: str = "gs",
    table_entries: int = 0,
    claimed: Claimed = Claimed(),  # noqa: B008  (frozen)
) -> VerifiedText | None:
    try:
        return verify(
            code,
            address,
            functions=claimed.functions,
            labels=claimed.labels,
            base=base,
            table_entries=table_entries,
            fact_places=[place for place, _ in claimed.facts],
            facts=[fact for _, fact in claimed.facts],
            depth_places=[place for place, _ in claimed.depths],
            depths=[depth for _, depth in claimed.depths],
        )
    except VerificationError:
        return None


@dataclass(frozen=True)
class Text:
    """Instructions, and the tables that follow them; with what the verifier says of it, if it accepts it."""

    code: bytes
    tables: bytes
    claimed: Claimed
    verdict: VerifiedText | None = None

    def complaints(self, lines: list[Line], base: str) -> Iterator[str]:
        return complaints(lines, len(self.code), base, self.tables, self.claimed, self.verdict)


def parts(
    example: Example, code: bytes, claimed: Claimed | None = None, verdict: VerifiedText | None = None
) -> Text:
    size_bytes = len(code) - example.table_entries * abi.TABLE_ENTRY
    claimed = claims_of(example) if claimed is None else claimed
    return Text(code[:size_bytes], code[size_bytes:], claimed, verdict)


def claims_of(example: Example) -> Claimed:
    return Claimed(example.functions, example.labels, example.facts, example.depths)


def base_of(example: Example) -> str:
    return "gs" if example.base == "twin" else example.base


def objections(texts: dict[str, Text], base: str, folder: Path) -> list[str]:
    readings = disassemble([text.code for text in texts.values()], ADDRESS, folder)
    return [
        f"{what}: {complaint}"
        for (what, text), lines in zip(texts.items(), readings, strict=True)
        for complaint in text.complaints(lines, base)
    ]


def disagreements(strategy: st.SearchStrategy[Text], folder: Path) -> tuple[int, list[str]]:
    """Of 3,000 texts: how many the verifier accepts, and those that one accepts and the other objects to."""
    texts: list[Text] = []

    @settings(max_examples=3000, database=None, deadline=None)
    @given(strategy)
    def collect(text: Text) -> None:
        texts.append(text)

    collect()
    verdicts = [accepted(text.code, claimed=text.claimed) for text in texts]
    readings = disassemble([text.code for text in texts], ADDRESS, folder)
    different = []
    for text, verdict, lines in zip(texts, verdicts, readings, strict=True):
        found = list(replace(text, verdict=verdict).complaints(lines, "gs"))
        if bool(found) == (verdict is not None):
            different.append(f"{verdict is not None}: {list(map(str, lines))}, {text.claimed}: {found}")
    return sum(map(bool, verdicts)), different
