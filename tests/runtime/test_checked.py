"""`Box.checked`: what a hostile library returns becomes no index, length or text of the program's."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tmebox

SOURCE = r"""
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>
/* A library that was taken over: it says what it is told to. */
static int64_t said;
void say(int64_t value) { said = value; }
size_t find(const char *data, size_t length) { return said; }
int count(void) { return said; }
int kind(void) { return said; }
struct part { uint32_t offset, length; };
struct part part(void) { return (struct part){said >> 32, said}; }
char *where(void) { return (char *)said; }
char *letters(size_t length, int with_nul)
{
    char *made = malloc(length + 1);
    memset(made, 'a', length);
    made[length] = with_nul ? 0 : 'a';
    return made;
}
unsigned char *latin(void) { return (unsigned char *)strdup("gr\xfc\xdf"); }
const char *name(void) { return "a name"; }
void changing(void (*visit)(struct part *))
{
    static struct part shared;
    for (int i = 0; i < 2; i++) {
        shared = (struct part){2, 3};
        visit(&shared);
    }
}
"""


class Way(enum.IntFlag):
    READ = 1
    WRITE = 4


class Strict(enum.Flag):
    READ = 1
    WRITE = 4


class Kind(enum.IntEnum):
    POINT = 3
    LINE = 4


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[Any]:
    with tmebox.Box(module, memory="16MiB", timeout=10.0) as box:
        yield box


EXTREMES = [-1, -(2**31), 2**31 - 1, 2**31, 2**32, 2**63 - 1, -(2**63), 2**64 - 1, 100, 101]


@pytest.mark.parametrize("value", EXTREMES)
def test_a_hostile_index_is_never_one_of_the_programs(box: Any, value: int) -> None:
    data = bytearray(100)
    box.say(value if value < 2**63 else value - 2**64)
    with pytest.raises(tmebox.BadResult, match="an index below 100 is expected: the library returned"):
        box.checked.index(box.find(data, len(data)), data)


def test_an_index_within_is_passed(box: Any) -> None:
    for place in (0, 99):
        box.say(place)
        assert box.checked.index(box.find(bytes(100), 100), 100) == place


@pytest.mark.parametrize("value", [*EXTREMES[:-2], 9])
def test_a_hostile_length_is_refused(box: Any, value: int) -> None:
    box.say(value if value < 2**63 else value - 2**64)
    with pytest.raises(tmebox.BadResult, match="a length of at most 8"):
        box.checked.length(box.find(b"", 0), bytes(8))


def test_a_length_may_be_all_there_is(box: Any) -> None:
    box.say(8)
    assert box.checked.length(box.count(), bytes(8)) == 8
    box.say(0)
    assert box.checked.length(box.count(), []) == 0
    with pytest.raises(ValueError, match="there are -1 items"):
        box.checked.length(0, -1)


SPANS = [(0, 11), (11, 0), (10, 1), (2**32 - 1, 1), (1, 2**32 - 1), (5, 6), (2**32 - 5, 10)]


@pytest.mark.parametrize("span", SPANS)
def test_an_offset_and_a_length_that_leave_the_data_together_are_refused(
    box: Any, span: tuple[int, int]
) -> None:
    """The sum of the last wraps round in C."""
    box.say(((span[0] << 32 | span[1]) ^ 1 << 63) - (1 << 63))
    part = box.part()
    assert (part.offset, part.length) == span
    with pytest.raises(tmebox.BadResult, match="within 10"):
        box.checked.span(part.offset, part.length, bytes(10))


@pytest.mark.parametrize("span", [(0, 0), (0, 10), (10, 0), (9, 1)])
def test_a_span_within_cuts_what_it_says(box: Any, span: tuple[int, int]) -> None:
    data = bytes(range(10))
    box.say(span[0] << 32 | span[1])
    part = box.part()
    assert data[box.checked.span(part.offset, part.length, data)] == data[span[0] : sum(span)]


def test_only_documented_values_are_of_an_enumeration(box: Any) -> None:
    box.say(4)
    assert box.checked.enum(box.kind(), Kind) is Kind.LINE
    assert box.checked.one_of(box.kind(), (3, 4)) == 4
    assert box.checked.between(box.kind(), 4, 4) == 4
    box.say(5)
    checks: list[Callable[[], Any]] = [
        lambda: box.checked.enum(box.kind(), Kind),
        lambda: box.checked.one_of(box.kind(), (3, 4)),
        lambda: box.checked.between(box.kind(), -1, 4),
        lambda: box.checked.between(box.kind(), 6, 9),
    ]
    for check in checks:
        with pytest.raises(tmebox.BadResult, match="the library returned 5"):
            check()


def test_bytes_are_copied_from_where_the_library_says_as_far_as_there_are_any(box: Any) -> None:
    text = box.letters(5, True)
    assert box.checked.data(text, 5, 10) == b"aaaaa"
    assert box.checked.data(text, 0, 10) == b""
    for pointer, length in ((text, 11), (text, -1), (text, 2**40)):
        with pytest.raises(tmebox.BadResult, match="length"):
            box.checked.data(pointer, length, 10)
    with pytest.raises(tmebox.BadResult, match="not NULL"):
        box.checked.data(None, 1, 10)


@pytest.mark.parametrize("place", [1, 4096, 2**32 - 1, 2**32, 2**47, -1])
def test_pointers_to_nowhere_are_refused(box: Any, place: int) -> None:
    checks: list[Callable[[], Any]] = [
        lambda: box.checked.data(place, 10, 10),
        lambda: box.checked.text(place, 10),
    ]
    for check in checks:
        with pytest.raises(tmebox.BadResult):
            check()
    box.say(place)
    pointer = box.where()
    with pytest.raises(tmebox.BadResult):
        box.checked.data(pointer, 10, 10)


def test_texts_end_where_they_may(box: Any) -> None:
    assert box.checked.text(box.letters(10, True), 10) == "a" * 10
    for length, with_nul in ((11, True), (1000, True), (2_000_000, False)):
        with pytest.raises(tmebox.BadResult, match="at most 10 bytes"):
            box.checked.text(box.letters(length, with_nul), 10)
    assert box.checked.text(box.name(), 6) == "a name"
    with pytest.raises(tmebox.BadResult, match="at most 5 bytes"):
        box.checked.text(box.name(), 5)


def test_texts_in_another_encoding_are_refused(box: Any) -> None:
    latin = box.latin()
    assert box.checked.text(latin, 10, "latin-1") == "gr\xfc\xdf"
    with pytest.raises(tmebox.BadResult, match="a text in utf-8"):
        box.checked.text(latin, 10)


CHECKS: list[Callable[[Any], Any]] = [
    lambda checked: checked.index("3", 10),
    lambda checked: checked.index(None, 10),
    lambda checked: checked.length(2.0, 10),
    lambda checked: checked.span(0, None, b""),
    lambda checked: checked.enum("LINE", Kind),
    lambda checked: checked.data("text", 1, 1),
    lambda checked: checked.text(1.5, 10),
]


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_no_such_value_at_all_is_a_mistake_of_the_program(
    box: Any, check: Callable[[Any], Any]
) -> None:
    with pytest.raises(TypeError):
        check(box.checked)


@pytest.mark.parametrize("kind", [Way, Strict])
def test_flags_without_a_name_are_refused(box: Any, kind: Any) -> None:
    """IntFlag(64) is a member to Python, and IntFlag(-1) is all of them."""
    for value in (0, 1, 4, 5):
        box.say(value)
        assert box.checked.enum(box.kind(), kind).value == value
    for value in (-1, 2, 6, 64, 2**31 - 1, -(2**31)):
        box.say(value)
        with pytest.raises(tmebox.BadResult, match=f"a {kind.__name__} is expected"):
            box.checked.enum(box.kind(), kind)


def test_what_changes_between_check_and_use_is_not_what_was_checked(box: Any) -> None:
    """The library changes its struct while it is in a call, and from a callback of the program's."""
    data = bytes(range(10))
    seen = []

    def visit(part: Any) -> None:
        span = box.checked.span(part.offset, part.length, data)
        part[0].length = 0xFFFF_FFF0  # as code in the sandbox would
        seen.append(data[span])
        with pytest.raises(tmebox.BadResult):
            box.checked.span(part.offset, part.length, data)

    box.changing(visit)
    assert seen == [data[2:5]] * 2


def test_what_was_checked_is_a_copy_that_the_library_cannot_change(box: Any) -> None:
    text = box.letters(3, True)
    copy = box.checked.data(text, 3, 3)
    text[0] = ord("b")
    assert copy == b"aaa" and type(copy) is bytes
