"""PCRE2, boxed, beside Python's `re`: the same matches; callouts into Python; runaway patterns end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import tmebox

pytestmark = [pytest.mark.network, pytest.mark.boxes]


@pytest.fixture(scope="module")
def pcre2_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("pcre2", "pcre2")


@pytest.fixture
def box(pcre2_box: ModuleType) -> Iterator[Any]:
    with pcre2_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def compiled(box: Any, pattern: bytes, options: int = 0) -> Any:
    error, place = box.new("int[1]"), box.new("size_t[1]")
    return box.pcre2_compile_8(pattern, len(pattern), options, error, place, None)


def groups(box: Any, pattern: bytes, subject: bytes) -> list[bytes | None] | None:
    """The first match's groups, the whole first; None if there is none."""
    code = compiled(box, pattern)
    assert code is not None, pattern
    match = box.pcre2_match_data_create_from_pattern_8(code, None)
    count = box.pcre2_match_8(code, subject, len(subject), 0, 0, match, None)
    if count < 0:
        return None
    places = box.pcre2_get_ovector_pointer_8(match)
    found: list[bytes | None] = []
    for number in range(box.checked.between(count, 1, 100)):
        start, end = places[2 * number], places[2 * number + 1]
        unset = start == 2**64 - 1
        found.append(None if unset else subject[box.checked.span(start, end - start, subject)])
    return found


PATTERNS = [
    rb"(\w+)@(\w+)\.com",
    rb"^(a|ab)(c|bcd)(d*)$",
    rb"(?i)HELLO (?:big )?(world)",
    rb"(\d{4})-(\d\d)-(\d\d)",
    rb"(?<=x)y+(?!z)",
    rb"(a)?(b)?c",
    rb"\bthe\b",
]
SUBJECTS = [b"me@there.com", b"abcd", b"hello World", b"on 2024-02-29", b"xyyyz xyy", b"bc", b"then the end"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_matches_are_those_of_re(box: Any, pattern: bytes) -> None:
    for subject in SUBJECTS:
        theirs = re.search(pattern, subject)
        ours = groups(box, pattern, subject)
        expected = None if theirs is None else [theirs[0], *theirs.groups()]
        if ours is not None and expected is not None:  # groups at the end that are not set are not counted
            ours += [None] * (len(expected) - len(ours))
        assert ours == expected, (pattern, subject)


def test_a_pattern_that_is_wrong_has_a_place_and_a_message(box: Any) -> None:
    error, place = box.new("int[1]"), box.new("size_t[1]")
    assert box.pcre2_compile_8(b"a(b", 3, 0, error, place, None) is None
    message = box.new("unsigned char[100]")
    length = box.checked.length(box.pcre2_get_error_message_8(error[0], message, 100), 99)
    assert (place[0], message.tobytes(length)) == (3, b"missing closing parenthesis")


def test_callouts_reach_python(box: Any) -> None:
    code = compiled(box, rb"a(?C1)b(?C2)c")
    context = box.pcre2_match_context_create_8(None)
    seen = []

    def callout(block: Any, data: Any) -> int:
        seen.append((block.callout_number, data))
        return 0

    with box.handle("mine") as mine:
        box.pcre2_set_callout_8(context, callout, mine)
        match = box.pcre2_match_data_create_from_pattern_8(code, None)
        assert box.pcre2_match_8(code, b"abc", 3, 0, 0, match, context) == 1
    assert seen == [(1, "mine"), (2, "mine")]


def test_a_runaway_pattern_is_stopped(pcre2_box: ModuleType) -> None:
    with pcre2_box.open(memory="64MiB", timeout=0.2) as box:
        code = compiled(box, rb"(a+)+$")
        context = box.pcre2_match_context_create_8(None)
        box.pcre2_set_match_limit_8(context, 2**32 - 1)
        match = box.pcre2_match_data_create_from_pattern_8(code, None)
        subject = b"a" * 40 + b"b"
        with pytest.raises(tmebox.Timeout):
            box.pcre2_match_8(code, subject, len(subject), 0, 0, match, context)
