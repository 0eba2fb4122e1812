"""An interpreter that nobody has any more is gone at once, however its runs ended. It holds megabytes,
of which Python's garbage collector knows nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tmebox.python import Python, PythonError


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def fails() -> None:
    raise ValueError("of the host's")


async def fails_later() -> None:
    await asyncio.sleep(0)
    raise ValueError("of the host's")


def interrupted() -> None:
    raise KeyboardInterrupt


async def returns() -> int:
    return 1


class Awaitable:
    def __await__(self) -> Iterator[Any]:
        yield from asyncio.sleep(0).__await__()
        raise ValueError


def all_gone(ones: list[weakref.ref[Any]]) -> bool:
    """Soon: the thread of an async run gives back what it had once its result is there."""
    deadline = time.monotonic() + 5
    while any(one() is not None for one in ones) and time.monotonic() < deadline:
        time.sleep(0.001)
    return all(one() is None for one in ones)


RUNS: dict[str, tuple[str, Callable[[], Any] | None]] = {
    "a value": ("1", None),
    "what stays inside": ("len", None),
    "its own exception": ("1 / 0", None),
    "no syntax": ("1 +", None),
    "recursion": ("def f(): f()\nf()", None),
    "its instructions": ("while True: pass", None),
    "its time": ("import time\ntime.sleep(9)", None),
    "the host's exception": ("host()", fails),
    "the host's exception, handled": ("try: host()\nexcept ValueError: pass", fails),
    "a late exception": ("host()", fails_later),
    "a late exception, handled": ("try: host()\nexcept ValueError: pass", fails_later),
    "another awaitable's": ("try: host()\nexcept ValueError: pass", Awaitable),
    "a late value": ("host()", returns),
    "an interrupt": ("host()", interrupted),
}
HOW = ("run", "run_async", "inside", "again")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", RUNS)
def test_an_interpreter_is_gone_with_the_last_that_has_it(name: str, how: str) -> None:
    source, host = RUNS[name]
    gone: list[weakref.ref[Any]] = []

    def use() -> None:
        functions = {"host": host} if host else {}
        python = Python(memory="2MiB", timeout=0.3, instructions=3_000_000, functions=functions)
        gone.extend((weakref.ref(python), weakref.ref(python.sandbox), weakref.ref(python._host)))
        if how == "inside":
            inner = weakref.ref(python)
            python.add_functions({"outer": lambda: inner().run(source)})  # type: ignore[union-attr]
        try:
            if how == "run_async":
                asyncio.run(caught(python))
            else:
                python.run("outer()" if how == "inside" else source)
        except BaseException:
            pass
        if how == "again" and not python.ended:
            python.reset()
            python.run("1")

    async def caught(python: Python) -> None:
        with contextlib.suppress(BaseException):
            await python.run_async(source)

    use()
    assert all_gone(gone) if how == "run_async" else [one() for one in gone] == [None, None, None]


@pytest.mark.parametrize("source", ["while True: pass", "host()"])
def test_also_after_it_was_cancelled(source: str) -> None:
    gone: list[weakref.ref[Any]] = []

    async def use() -> None:
        python = Python(memory="2MiB", timeout=5.0, functions={"host": lambda: asyncio.sleep(9)})
        gone.append(weakref.ref(python))
        task = asyncio.create_task(python.run_async(source))
        await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(use())
    assert all_gone(gone)


def test_what_a_function_of_the_hosts_raised_can_still_be_asked_for() -> None:
    with Python(functions={"host": fails, "late": fails_later}) as python:
        for source, name in (("host()", "fails"), ("late()", "fails_later")):
            with pytest.raises(PythonError) as caught:
                python.run(source)
            cause = caught.value.__cause__
            assert isinstance(cause, ValueError) and str(cause) == "of the host's"
            assert traceback.extract_tb(cause.__traceback__)[-1].name == name
        with pytest.raises(PythonError) as caught:
            python.run("try: host()\nexcept ValueError: 1 / 0")
        assert caught.value.__cause__ is None
