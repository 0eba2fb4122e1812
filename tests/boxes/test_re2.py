"""RE2, which is C++, boxed: the matches of `re`, errors as texts, and no runaway pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.boxes.test_pcre2 import SUBJECTS

pytestmark = [pytest.mark.network, pytest.mark.boxes]

PATTERNS = [
    rb"(\w+)@(\w+)\.com",
    rb"(?i)HELLO (?:big )?(world)",
    rb"(\d{4})-(\d\d)-(\d\d)",
    rb"(a)?(b)?c",
    rb"\bthe\b",
    rb"(a+)+$",
]


@pytest.fixture(scope="module")
def re2_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("re2", "re2")


@pytest.fixture
def box(re2_box: ModuleType) -> Iterator[Any]:
    with re2_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def groups(box: Any, pattern: bytes, subject: bytes) -> list[bytes | None] | None:
    compiled = box.re2_new(pattern, len(pattern))
    count = 1 + box.checked.between(box.re2_groups(compiled), 0, 20)
    found = box.new(f"struct re2_group[{count}]")
    matched = box.re2_match(compiled, subject, len(subject), found, count)
    box.re2_free(compiled)
    if not matched:
        return None
    return [
        None if group.start == -1 else subject[box.checked.span(group.start, group.length, subject)]
        for group in found
    ]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_matches_are_those_of_re(box: Any, pattern: bytes) -> None:
    for subject in SUBJECTS:
        theirs = re.search(pattern, subject)
        assert groups(box, pattern, subject) == (None if theirs is None else [theirs[0], *theirs.groups()])


def test_a_pattern_that_is_wrong_has_a_message(box: Any) -> None:
    assert box.re2_error(box.re2_new(b"a(b", 3)) == "missing ): a(b"
    assert box.re2_error(box.re2_new(b"ab", 2)) == ""


def test_no_pattern_runs_away(box: Any) -> None:
    assert groups(box, rb"(a+)+$", b"a" * 40_000 + b"b") is None
