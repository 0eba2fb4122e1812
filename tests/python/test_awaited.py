"""Runs that tasks wait for: they need nothing of the loop's but the loop, have the context of who waits, and
end when nobody waits any more."""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox.python import Python, PythonError
from tmebox.runtime import background

STUBBORN = """
n = 0
def spin():
    global n
    while n < 50:
        try:
            while True: pass
        except KeyboardInterrupt: n += 1
begun()
while n < 50:
    try: spin()
    except KeyboardInterrupt: n += 1
"""
"""Ends when it was interrupted 50 times, also where it handles an interrupt."""


def in_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 30))

    return run


async def until_free(python: Python) -> None:
    while True:
        try:
            python.eval("1")
        except tmebox.SandboxBusy:
            await asyncio.sleep(0.001)
        else:
            return


# -- threads ------------------------------------------------------------------------------------------
@in_a_loop
async def test_nothing_waits_for_the_loops_executor() -> None:
    """Its threads are taken, by what may wait for the runs and the pool."""
    over = threading.Event()
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    taken = asyncio.create_task(asyncio.to_thread(over.wait, 20))
    await asyncio.sleep(0)
    try:
        with Python() as python:
            assert await python.run_async("1 + 1") == 2
            assert await python.eval_async("3") == 3
        module = tmebox.compile(source_text="int square(int n) { return n * n; }")
        async with tmebox.SandboxPool(module, threads=1) as pool:
            assert await pool.call("square", 3) == 9
            assert [result async for result in pool.map_async("square", [1, 2])] == [1, 4]
            async with pool.lease() as sandbox:
                assert sandbox.square(4) == 16
    finally:
        over.set()
    assert await taken


@in_a_loop
async def test_many_runs_leave_the_loops_executor_to_their_functions() -> None:
    async def look_up() -> int:
        return await asyncio.to_thread(lambda: 1) + await nested.run_async("1")

    count = (os.cpu_count() or 1) + 5
    with Python() as nested:
        turn = asyncio.Lock()

        async def one_at_a_time() -> int:
            async with turn:
                return await look_up()

        pythons = [Python(functions={"look_up": one_at_a_time}) for _ in range(count)]
        found = await asyncio.gather(*(python.run_async("look_up()") for python in pythons))
    assert found == [2] * count
    for python in pythons:
        python.close()


def test_threads_serve_again_and_go() -> None:
    async def main() -> set[str]:
        with Python(functions={"here": lambda: str(threading.get_ident())}) as python:
            return {await python.run_async("here()") for _ in range(50)}

    assert 1 <= len(asyncio.run(main())) < 10
    deadline = time.monotonic() + 20
    while background._idle and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "tmebox-background"]


def test_a_forked_child_has_threads_of_its_own(forked: Callable[..., ChildOutcome]) -> None:
    def once() -> Any:
        with Python() as python:
            return asyncio.run(asyncio.wait_for(python.run_async("1 + 1"), 20))

    assert once() == 2
    deadline = time.monotonic() + 0.5
    while not background._idle and time.monotonic() < deadline:  # its thread is about to wait for more
        time.sleep(0.001)
    assert background._idle
    assert forked(once).result() == 2


def test_too_many_threads_are_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background, "_idle", [])
    monkeypatch.setattr(threading.Thread, "start", fails)
    with Python() as python, pytest.raises(tmebox.LimitError, match="no thread"):
        asyncio.run(python.run_async("1"))


@pytest.mark.parametrize("end", ["", "loop.close()", "loop.run_until_complete(cancelled_twice())"])
def test_a_process_ends_although_runs_do_not(end: str) -> None:
    script = f"""
import asyncio, time
from tmebox.python import Python
async def forever(): await asyncio.sleep(1000)
async def cancelled_twice():
    for _ in range(2):
        for task in tasks: task.cancel()
        await asyncio.sleep(0.05)
functions = {{"f": lambda: 1, "begun": lambda: 1, "forever": forever, "nap": lambda: time.sleep(1000)}}
loop = asyncio.new_event_loop()
tasks = []
stubborn = {STUBBORN.replace("n < 50", "True")!r}
for source in "while True: pass", "while True: f()", "forever()", "nap()", stubborn:
    tasks.append(loop.create_task(Python(functions=functions).run_async(source)))
loop.call_later(0.1, loop.stop)
loop.run_forever()
{end}
print("over")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], timeout=30, capture_output=True, text=True, check=True
    )
    assert done.stdout == "over\n"


# -- context variables --------------------------------------------------------------------------------
def test_functions_of_the_hosts_have_the_context_of_who_waits() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

    async def awaited() -> str:
        await asyncio.sleep(0)
        return user.get()

    functions: dict[str, Callable[..., Any]] = {
        "plain": user.get,
        "awaited": awaited,
        "log_in": lambda name: (user.set(name), None)[1],
    }
    source = "before = (plain(), awaited())\nlog_in('root')\n(before, plain(), awaited())"

    async def session(name: str, python: Python) -> Any:
        user.set(name)
        found = await python.run_async(source)
        return found, user.get()

    async def main() -> None:
        with Python(functions=functions) as one, Python(functions=functions) as other:
            for _ in range(3):  # on threads that were somebody else's
                assert await one.run_async("(plain(), awaited())") == ("nobody", "nobody")
                for name in "alice", "bob":
                    both = [asyncio.create_task(session(f"{name}{i}", (one, other)[i])) for i in range(2)]
                    for i, found in enumerate(await asyncio.gather(*both)):
                        mine = f"{name}{i}"
                        assert found == (((mine, mine), "root", "root"), mine)
            user.set("carol")
            assert other.run("plain()") == "carol"

    asyncio.run(main())


# -- cancellation -------------------------------------------------------------------------------------
@in_a_loop
async def test_a_run_ends_although_its_task_is_cancelled_twice() -> None:
    begun = threading.Event()
    with Python(functions={"begun": begun.set}) as python:
        task = asyncio.create_task(python.run_async(STUBBORN))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.03)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(tmebox.SandboxBusy):
            python.close()
        await until_free(python)
        assert python["n"] == 50


def test_a_run_ends_although_its_loop_has() -> None:
    async def impatient() -> None:
        task = asyncio.create_task(python.run_async(STUBBORN))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        for _ in range(2):
            await asyncio.sleep(0.02)
            task.cancel()
        await asyncio.wait([task])

    begun = threading.Event()
    with Python(functions={"begun": begun.set}) as python:
        asyncio.run(impatient())
        asyncio.run(asyncio.wait_for(until_free(python), 20))
        assert python["n"] == 50


def test_a_program_does_not_wait_for_a_loop_that_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tmebox.python.awaited.LOOK_AGAIN_S", 0.01)
    said: list[str] = []

    async def forever() -> None:
        loop.call_soon(loop.stop)
        await asyncio.sleep(1000)

    source = "try: forever()\nexcept RuntimeError as error: say(str(error))"
    with Python(functions={"forever": forever, "say": said.append}) as python:
        loop = asyncio.new_event_loop()
        task = loop.create_task(python.run_async(source))
        loop.run_forever()
        loop.close()
        asyncio.run(asyncio.wait_for(until_free(python), 20))
        assert "closed" in said[0] and not task.done()
        for waiting in asyncio.all_tasks(loop):
            waiting._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_run_that_nobody_can_wait_for_any_more_is_interrupted() -> None:
    with Python() as python:

        async def begin_and_drop() -> None:
            run = python.run_async("while True: pass")
            run.send(None)
            await asyncio.sleep(0.05)
            run.close()
            await until_free(python)

        asyncio.run(asyncio.wait_for(begin_and_drop(), 20))


@in_a_loop
async def test_a_run_may_be_cancelled_at_any_time() -> None:
    async def nothing() -> None:
        await asyncio.sleep(0)

    with Python(functions={"nothing": nothing}) as python:
        for number in range(60):
            task = asyncio.create_task(python.run_async("while True: nothing()"))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            await asyncio.sleep(0.0001 * (number % 10))
            started = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - started < 5
            assert python.eval("1") == 1
            with pytest.raises(PythonError):
                await python.run_async("1 / 0")
