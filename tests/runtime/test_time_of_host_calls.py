"""Host functions and time: what is left of it, and what a late call says of where it was."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import tmebox

CALLER = r"""
#include <unistd.h>
int ask(int value);
static char byte;
__attribute__((noinline)) int through(int value) { return ask(value) + 1; }
int twice(int value) { return through(through(value)); }
int wait_for_input(void) { return read(0, &byte, 1) + 1; }
void nothing(void) { }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=CALLER)


def new(module: tmebox.Module, ask: Callable[..., Any], **options: Any) -> tmebox.Sandbox:
    return tmebox.Sandbox(module, imports={"ask": ask}, **options)


def wait_until_late(_: int) -> int:
    while (left := tmebox.remaining_time()) is None or left > 0:
        time.sleep(0.005)
    return 0


def test_there_is_nothing_left_to_know_outside_of_calls_and_without_a_limit(module: tmebox.Module) -> None:
    seen: list[float | None] = []

    def ask(value: int) -> int:
        seen.append(tmebox.remaining_time())
        return value

    with new(module, ask) as sandbox:
        assert sandbox.twice(1) == 3
    assert seen == [None, None] and tmebox.remaining_time() is None


def test_what_is_left_gets_less_and_belongs_to_the_call(module: tmebox.Module) -> None:
    seen: list[float | None] = []
    elsewhere: list[float | None] = []

    def ask(value: int) -> int:
        seen.append(tmebox.remaining_time())
        thread = threading.Thread(target=lambda: elsewhere.append(tmebox.remaining_time()))
        thread.start()
        thread.join()
        time.sleep(0.05)
        return value

    with new(module, ask, timeout=100) as sandbox:
        sandbox.twice(1)
        sandbox.call("through", 1, timeout=50)
    first, second, other = (left or 0.0 for left in seen)
    assert 100 >= first > second > 50 >= other > 0
    assert elsewhere == [None, None, None]
    assert tmebox.remaining_time() is None


def test_a_call_in_a_call_has_no_more_than_the_outer_one(module: tmebox.Module) -> None:
    seen: list[float | None] = []

    def inner(value: int) -> int:
        seen.append(tmebox.remaining_time())
        return value

    def outer(value: int) -> int:
        if value == 1:
            sandbox.call("through", 2, timeout=1000)
            other.call("through", 2, timeout=1000)
        else:
            inner(value)
        return 0

    with new(module, outer, timeout=20) as sandbox, new(module, inner) as other:
        sandbox.through(1)
    assert len(seen) == 2
    for left, limit in zip(seen, (20, 1000), strict=True):
        assert left is not None and left <= limit + 1  # the watchdog's clock has ticks


def test_a_host_function_can_keep_to_what_is_left_and_the_call_ends_late(module: tmebox.Module) -> None:
    with new(module, wait_until_late, timeout=0.1) as sandbox:
        with pytest.raises(tmebox.Timeout, match=r"0\.1 s, in host function ask\(\)") as late:
            sandbox.twice(1)
        assert [frame.function for frame in late.value.backtrace][:2] == ["through", "twice"]


def test_a_late_call_in_the_c_library_names_the_system_call(module: tmebox.Module) -> None:
    reading, _writing = os.pipe()
    with new(module, wait_until_late, timeout=0.1, stdin=reading) as sandbox:
        with pytest.raises(tmebox.Timeout, match="in system call read") as late:
            sandbox.wait_for_input()
        assert "wait_for_input" in [frame.function for frame in late.value.backtrace]


@pytest.mark.parametrize("result", ["four", 1 << 40, None, 2.5, b"x"])
def test_a_result_that_does_not_fit_names_the_function(module: tmebox.Module, result: object) -> None:
    with new(module, lambda _: result) as sandbox:
        with pytest.raises((TypeError, OverflowError), match=r"result of the host function ask\(\) \(int\)"):
            sandbox.through(1)
        sandbox.nothing()
