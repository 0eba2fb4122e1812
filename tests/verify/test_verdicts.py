"""What this process has verified is found again, and nothing else is."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.forked import ChildOutcome
from tmebox import abi
from tmebox.errors import VerificationError
from tmebox.verify import verdicts, verify_once

ADDRESS = abi.TEXT_NOMINAL
TEXT = b"\x90\x90\xc3"
"""Two functions, and a return that only a trusted compiler may leave unchecked."""
NOTHING = np.empty(0, np.int64)
SUBJECT: dict[str, Any] = {
    "code": TEXT,
    "address": ADDRESS,
    "functions": np.array([ADDRESS]),
    "labels": NOTHING,
    "table_entries": 0,
    "fact_places": NOTHING,
    "facts": NOTHING,
    "depth_places": NOTHING,
    "depths": NOTHING,
    "base": "gs",
    "isolation": "data",
}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "_VERDICTS", {})


def test_the_same_text_is_verified_once() -> None:
    first = verify_once(**SUBJECT)
    again = verify_once(**{**SUBJECT, "code": bytes(bytearray(TEXT)), "functions": np.array([ADDRESS])})
    assert again is first


@pytest.mark.parametrize(
    "difference",
    [
        {"code": b"\x90\xf4\xf4"},
        {"address": ADDRESS - abi.TEXT_ALIGN, "functions": NOTHING},
        {"functions": NOTHING},
        {"functions": np.array([ADDRESS + 1])},
        {"labels": np.array([ADDRESS])},
        {"functions": NOTHING, "labels": np.array([ADDRESS])},
        {"functions": NOTHING, "fact_places": np.array([ADDRESS]), "facts": np.array([32])},
        {"depth_places": np.array([ADDRESS]), "depths": np.array([8])},
        {"base": "r15"},
        {"optional": (ADDRESS, ADDRESS + 1)},
        {"code": TEXT + ADDRESS.to_bytes(8, "little"), "table_entries": 1},
    ],
)
def test_any_difference_makes_it_another_text(difference: dict[str, Any]) -> None:
    first = verify_once(**SUBJECT)
    subject = {**SUBJECT, **difference}
    other = verify_once(**subject)
    assert other is not first
    assert (other.code, other.address) == (subject["code"], subject["address"])
    assert verify_once(**SUBJECT) is first


def test_trust_in_a_compiler_does_not_carry_over() -> None:
    subject = {**SUBJECT, "base": "r15"}
    verify_once(**subject)
    with pytest.raises(VerificationError, match="return-checked"):
        verify_once(**{**subject, "isolation": "code+data"})


def test_what_was_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(VerificationError):
            verify_once(**{**SUBJECT, "code": b"\x0f\x05\xf4"})
    assert not verdicts._VERDICTS


def test_a_changed_buffer_changes_no_verdict() -> None:
    buffer = bytearray(TEXT)
    first = verify_once(**{**SUBJECT, "code": buffer})
    buffer[:2] = b"\x0f\x05"
    assert first.code == TEXT
    with pytest.raises(VerificationError):
        verify_once(**{**SUBJECT, "code": buffer})


def test_what_was_used_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [bytes([0x90] * length + [0xF4]) for length in range(1, 6)]
    kept = [verify_once(**{**SUBJECT, "code": text}) for text in texts]
    remembered = sum(verdicts._bytes(*item) for item in verdicts._VERDICTS.items())
    monkeypatch.setattr(verdicts, "MOST_BYTES", remembered)
    assert verify_once(**{**SUBJECT, "code": texts[0]}) is kept[0]
    verify_once(**{**SUBJECT, "code": b"\x90\x90\xf4\xf4"})
    assert verify_once(**{**SUBJECT, "code": texts[0]}) is kept[0]
    assert verify_once(**{**SUBJECT, "code": texts[1]}) is not kept[1]


def test_all_that_is_kept_of_a_text_counts() -> None:
    count = 10_000
    addresses = np.arange(ADDRESS, ADDRESS + count)
    verdict = verify_once(**{**SUBJECT, "code": b"\x90" * count + b"\xf4", "functions": addresses})
    (subject,) = verdicts._VERDICTS
    kept = [*subject, verdict.target_map, *verdict.returns]
    assert verdicts._bytes(subject, verdict) == sum(len(part) for part in kept if isinstance(part, bytes))
    assert verdicts._bytes(subject, verdict) > 10 * count


def test_a_text_larger_than_what_is_kept_is_verified_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "MOST_BYTES", 4)
    assert verify_once(**SUBJECT) is not verify_once(**SUBJECT)


def test_a_forked_child_inherits_verdicts(forked: Callable[..., ChildOutcome]) -> None:
    first = verify_once(**SUBJECT)
    parent = os.getpid()

    def child() -> bool:
        return os.getpid() != parent and verify_once(**SUBJECT) is first

    assert forked(child).result()
