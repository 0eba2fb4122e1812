"""Decoders agree about what the verifier accepts, and the comparison sees it where one does not."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from functools import cache

import pytest

from tests.campaign import decoders_elsewhere
from tests.campaign import part_decoders as part
from tests.campaign.accepted_forms import accepted
from tests.campaign.decoders_elsewhere import PEERS, Memory, Peer, Reading, iced
from tmebox.verify.bases import TABLES
from tmebox.verify.forms import classify

pytestmark = pytest.mark.slow

ENCODINGS = (
    "65 67 8b 44 88 08",
    "48 8d 4c 24 f8",
    "0f 84 00 01 00 00",
    "c4 e2 79 2d 44 24 08",
    "df e9",
    "f3 aa",
)


def present(peer: Peer) -> Peer:
    reason = peer.missing()
    if reason:
        pytest.skip(reason)
    return peer


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_decoder_agrees_about_accepted_forms(peer: Peer) -> None:
    assert not part.compare(present(peer), [form.decoded.encoding for form in accepted()][::11])


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_decoder_agrees_about_random_encodings(peer: Peer) -> None:
    encodings = [form.decoded.encoding for form in accepted()]
    assert not part.compare(present(peer), part.variants(random.Random(7), encodings))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_decoder_reads_all_parts_of_an_instruction(peer: Peer) -> None:
    """So that agreement is about something."""
    first, address, *_ = present(peer).read([bytes.fromhex(text) for text in ENCODINGS])
    assert first is not None
    assert address is not None
    assert (first.size_bytes, first.registers) == (6, {"eax"})  # type: ignore[comparison-overlap]
    assert first.memory == Memory("gs", "eax", "ecx", 4, 8)
    assert address.memory == Memory("", "rsp", "", 1, -8)
    assert address.mnemonic.startswith("lea")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_decoder_sees_where_there_is_no_instruction(peer: Peer) -> None:
    nothing, something = present(peer).read([bytes.fromhex("06"), bytes.fromhex("90")])
    assert nothing is None
    assert something is not None


OURS = Reading(6, "mov", frozenset({"eax"}), Memory("gs", "eax", "ecx", 4, 8))


@pytest.mark.parametrize(
    "theirs",
    [
        None,
        OURS._replace(size_bytes=5),
        OURS._replace(mnemonic="lea"),
        OURS._replace(registers=frozenset({"ecx"})),
        OURS._replace(registers=frozenset({"rax"})),
        OURS._replace(memory=None),
        OURS._replace(memory=Memory("", "eax", "ecx", 4, 8)),
        OURS._replace(memory=Memory("fs", "eax", "ecx", 4, 8)),
        OURS._replace(memory=Memory("gs", "rax", "rcx", 4, 8)),
        OURS._replace(memory=Memory("gs", "eax", "", 1, 8)),
        OURS._replace(memory=Memory("gs", "eax", "ecx", 8, 8)),
        OURS._replace(memory=Memory("gs", "eax", "ecx", 4, -8)),
    ],
)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_each_difference_is_seen(theirs: Reading | None, peer: Peer) -> None:
    (difference,) = part.differences(OURS, theirs, peer.name)
    assert not part.explained(peer.name, OURS.mnemonic, difference)
    assert not list(part.differences(OURS, OURS, peer.name))


def test_what_a_decoder_reads_otherwise_is_a_finding() -> None:
    class Broken:
        """Like iced, but that it does not know gs."""

        name = "broken"
        wrong_about = None

        def missing(self) -> str | None:
            return None

        def read(self, encodings: Sequence[bytes]) -> list[Reading | None]:
            readings = [iced(encoding) for encoding in encodings]
            return [
                found and found._replace(memory=found.memory and found.memory._replace(segment=""))
                for found in readings
            ]

    found = part.compare(Broken(), [bytes.fromhex(text) for text in ENCODINGS])
    assert len(found) == 1
    assert found[0].startswith("65 67 8b 44 88 08: mov; broken: memory")


@pytest.mark.parametrize(("peers", "mnemonics", "what", "reason"), part.EXPLAINED)
def test_every_explanation_explains_something(peers: str, mnemonics: str, what: str, reason: str) -> None:
    assert reason
    encodings = [code for code, ours in readings() if re.fullmatch(mnemonics, ours.mnemonic)]
    for text in ("c5 f8 c2 c1 0d", "2e 48 0f 1f 44 24 08"):  # immediates and padding that the forms lack
        ours = iced(bytes.fromhex(text))
        if ours and re.fullmatch(mnemonics, ours.mnemonic):
            encodings.append(bytes.fromhex(text))
    here = [peer for peer in PEERS if re.fullmatch(peers, peer.name) and peer.missing() is None]
    if not here:
        pytest.skip(f"{peers} is not on this machine")
    found = [
        difference
        for peer in here
        for encoding, theirs in zip(encodings, peer.read(encodings), strict=True)
        for difference in part.differences(read(encoding), theirs, peer.name)
    ]
    assert any(re.fullmatch(what, difference) for difference in found)


@cache
def readings() -> list[tuple[bytes, Reading]]:
    return [(form.decoded.encoding, read(form.decoded.encoding)) for form in accepted()]


def read(encoding: bytes) -> Reading:
    reading = iced(encoding)
    assert reading is not None
    return reading


def test_random_variants_are_accepted_and_the_same_for_a_seed() -> None:
    encodings = [form.decoded.encoding for form in accepted()]
    first, second = (part.variants(random.Random(3), encodings) for _ in range(2))
    assert first == second
    assert len(first) > 300
    assert not [code for code in first if classify(code, TABLES["gs"]).refusals]


def test_the_part_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "_BATCH", 100)
    tally, state = part.PART.run(2, time.monotonic(), None)
    assert state == {"seed": 2, "done": 1}
    assert not tally.findings
    _, state = part.PART.run(2, time.monotonic(), state)
    assert state == {"seed": 2, "done": 2}
    _, state = part.PART.run(3, time.monotonic(), state)
    assert state == {"seed": 3, "done": 1}


def test_the_part_says_which_decoders_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "_BATCH", 100)
    monkeypatch.setattr(decoders_elsewhere.shutil, "which", lambda name: None)
    decoders_elsewhere._zydis.cache_clear()
    try:
        tally, _ = part.PART.run(2, time.monotonic(), None)
    finally:
        decoders_elsewhere._zydis.cache_clear()
    assert {"not compared with LLVM: llvm-mc is not installed"} <= set(tally.counts)
    assert not any("with objdump" in name for name in tally.counts if name.startswith("encodings"))
