"""The table of system calls is what it seems."""

from __future__ import annotations

import errno
import inspect
import socket

import pytest

from tests.runtime.system.guest_side import FakeMemory
from tmebox.runtime.system import System
from tmebox.runtime.system.table import ROWS, TABLE, Call, dispatch


def test_rows_are_in_the_order_of_their_numbers_and_no_number_or_name_comes_twice() -> None:
    numbers = [number for number, _, _, _ in ROWS]
    assert numbers == sorted(set(numbers)) == list(TABLE)
    assert len({name for _, name, _, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("number", TABLE)
def test_what_answers_a_call_takes_as_many_arguments_as_its_row_says(number: int) -> None:
    call = TABLE[number]
    assert len(inspect.signature(call.handler).parameters) == 2 + call.count


def test_a_call_that_has_no_row_is_not_implemented() -> None:

    ptrace = 101
    assert dispatch(System(), FakeMemory(), ptrace, (0,) * 6) == -errno.ENOSYS


@pytest.mark.parametrize("number", [None, 0, -errno.EBADF, socket.EAI_FAMILY, 512, 4096, 1 << 40, "x"])
def test_a_call_that_failed_never_has_a_positive_result(
    number: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of Python's may have any number, or none."""

    def fails(*_: object) -> int:
        raise socket.gaierror(number, "text")

    monkeypatch.setitem(TABLE, 39, Call("getpid", fails, 0))
    assert dispatch(System(), FakeMemory(), 39, (0,) * 6) == -errno.EIO
