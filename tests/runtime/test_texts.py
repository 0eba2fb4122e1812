"""Strings and bytes as arguments: the first is passed by Python, later ones by the core."""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import _native
from tmebox.runtime.tenancy import TEXT_ROOM

SOURCE = r"""
unsigned checksum(const char *text)
{
    unsigned sum = 1;
    for (; *text; text++) sum = sum * 31 + (unsigned char)*text;
    return sum;
}
int at(const char *text, int index) { return (unsigned char)text[index]; }
const char *where(const char *text) { return text; }
const void *place(const char *text) { return text; }
const void *place_numbers(const unsigned *numbers) { return numbers; }
int shout(char *text) { int n = 0; for (; text[n]; n++) text[n] &= ~32; return n; }
int compare(const char *a, const int *numbers, const char *b, double x, const char *c)
{
    for (; *a && *a == *b && *b == *c; a++, b++, c++) ;
    return *a == *b && *b == *c ? numbers[1] + (int)x : -1;
}
int many(const char *a, const char *b, const char *c, const char *d,
         const char *e, const char *f, const char *g, const char *h)
{
    return (((((((*a * 10 + *b) * 10 + *c) * 10 + *d) * 10 + *e) * 10 + *f) * 10 + *g) * 10 + *h) - 533333328;
}
void interlude(void);
unsigned checksum_later(const char *text) { interlude(); return checksum(text); }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def sandbox(module: tmebox.Module) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(module, imports={"interlude": lambda: None}) as box:
        box.checksum("")  # lends the room
        yield box


def checksum(data: bytes) -> int:
    total = 1
    for byte in data:
        total = (total * 31 + byte) & 0xFFFF_FFFF
    return total


SIZES = [0, 1, 15, 16, 17, 100, TEXT_ROOM - 2, TEXT_ROOM - 1, TEXT_ROOM, TEXT_ROOM + 1, 100_000]


@pytest.mark.parametrize("size", SIZES)
def test_texts_of_every_size_arrive_whole_and_ended(sandbox: tmebox.Sandbox, size: Any) -> None:
    text = ("abcdefghijklmnopq" * (size // 17 + 1))[:size]
    for _ in range(3):
        assert sandbox.checksum(text) == checksum(text.encode())
        assert sandbox.checksum(text.encode()) == checksum(text.encode())
        assert sandbox.at(text, size) == 0


@pytest.mark.parametrize(
    "text", ["é", "日本語" * 50, "\U0001f600", "é" * (TEXT_ROOM // 2 - 1), "é" * TEXT_ROOM]
)
def test_texts_are_passed_as_utf_8(sandbox: tmebox.Sandbox, text: Any) -> None:
    assert sandbox.checksum(text) == checksum(text.encode())


def test_a_text_with_a_nul_is_passed_whole(sandbox: tmebox.Sandbox) -> None:
    assert sandbox.at("ab\0cd", 4) == ord("d")
    assert sandbox.at(b"ab\0cd", 5) == 0


def test_a_text_that_is_no_utf_8_is_refused(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(ValueError, match=r"argument 1 .*surrogate alone"):
        sandbox.checksum("\ud800")


def test_texts_beside_arrays_and_numbers(sandbox: tmebox.Sandbox) -> None:
    resident = sandbox.array(2, np.int32)
    resident[:] = 1, 40
    for numbers in (resident, np.array([1, 40], np.int32)):
        assert sandbox.compare("same", numbers, "same", 2.0, b"same") == 42
        assert sandbox.compare("same", numbers, "other", 2.0, "same") == -1


def test_as_many_texts_as_there_are_parameters_stack_ones_included(sandbox: tmebox.Sandbox) -> None:
    assert sandbox.many(*"12345678") == 12345678
    long = [digit + "x" * (TEXT_ROOM // 4) for digit in "12345678"]  # more than fit the room
    assert sandbox.many(*long) == 12345678


def test_a_text_for_a_parameter_that_is_not_const_is_a_copy_and_bytes_are_refused(
    sandbox: tmebox.Sandbox,
) -> None:
    text = "shout"
    assert sandbox.shout(text) == 5
    assert text == "shout"
    with pytest.raises(TypeError, match="not const"):
        sandbox.shout(b"shout")


def test_other_parameters_refuse_texts_as_ever(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(TypeError, match="argument 2"):
        sandbox.at("text", "1")


def test_subclasses_that_encode_themselves_are_asked(sandbox: tmebox.Sandbox) -> None:
    class Shouting(str):
        def encode(self, *_arguments: Any, **_keywords: Any) -> Any:
            return str.upper(self).encode()

    assert sandbox.checksum(Shouting("abc")) == checksum(b"ABC")


def test_the_room_is_used_again_for_each_call(sandbox: tmebox.Sandbox) -> None:
    places = {sandbox.place(f"text {number}") for number in range(1000)}
    assert len(places) == 1


def test_texts_of_a_call_inside_a_call_leave_the_outer_ones_alone(module: tmebox.Module) -> None:
    def nested() -> None:
        if not inside:
            inside.append(True)
            seen.append(sandbox.checksum_later("inner"))
            seen.append(sandbox.checksum("again"))

    with tmebox.Sandbox(module, imports={"interlude": nested}) as sandbox:
        for _ in range(3):
            inside: list[Any] = []
            seen: list[Any] = []
            assert sandbox.checksum_later("the outer one") == checksum(b"the outer one")
            assert seen == [checksum(b"inner"), checksum(b"again")]


def test_a_refused_call_of_another_thread_does_not_touch_the_texts_of_the_one_that_runs(
    module: tmebox.Module,
) -> None:
    def disturb() -> None:
        def call() -> None:
            try:
                sandbox.checksum("from elsewhere")
            except tmebox.SandboxBusy as error:
                refused.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    refused: list[tmebox.SandboxBusy] = []
    with tmebox.Sandbox(module, imports={"interlude": disturb}) as sandbox:
        for _ in range(3):
            assert sandbox.checksum_later("mine, not theirs") == checksum(b"mine, not theirs")
    assert len(refused) == 3


def test_texts_work_after_a_trap_and_a_reset_and_nothing_of_the_earlier_ones_is_left(
    sandbox: tmebox.Sandbox,
) -> None:
    offset = sandbox.place("a secret")
    assert sandbox.memory.read(offset, 8) == b"a secret"
    with pytest.raises(tmebox.MemoryFault):
        sandbox.checksum(16)
    sandbox._tenancy.reset()
    assert sandbox.memory.read(offset, 8) == bytes(8)
    for _ in range(3):
        assert sandbox.checksum("abc") == checksum(b"abc")


def test_texts_are_refused_once_the_sandbox_is_closed(module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(module, imports={"interlude": lambda: None})
    function = sandbox.checksum
    assert function("abc") == checksum(b"abc")
    sandbox.close()
    for _ in range(2):
        with pytest.raises(tmebox.SandboxClosed):
            function("abc")


def test_texts_pass_where_there_is_no_room_to_lend(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, memory="1MiB", imports={"interlude": lambda: None}) as sandbox:
        arrays = [sandbox.array(1023 * 1024), sandbox.array(64 * 14)]
        for _ in range(2):
            assert sandbox.checksum("abc") == checksum(b"abc")
        assert len(arrays) == 2


def test_room_outside_the_arena_cannot_be_lent(sandbox: tmebox.Sandbox) -> None:
    for offset, size in (
        (0, 64),
        (tmebox.abi.ARENA_START + 8, 64),
        (tmebox.abi.ARENA_END - 64, 65),
        (2**32 - 16, 64),
    ):
        room = _native.Extents(0, 1 << 33).take_at(offset, size)
        assert room is not None
        with pytest.raises(ValueError, match="arena"):
            sandbox._tenancy.instance.lend_text_room(room)
