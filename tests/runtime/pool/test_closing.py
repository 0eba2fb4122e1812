"""Making a pool and closing it: what waits is refused, what runs goes on, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests import descriptors
from tests.forked import ChildOutcome
from tmebox.memory.windows import WINDOWS


def test_options_that_do_not_fit_show_when_the_pool_is_made(module: tmebox.Module) -> None:
    with pytest.raises(TypeError):
        tmebox.SandboxPool(module, colour="red")  # type: ignore[call-overload]
    with pytest.raises(tmebox.LimitError):
        tmebox.SandboxPool(module, memory=1)
    with pytest.raises(TypeError):
        tmebox.SandboxPool("module.tbx")  # type: ignore[call-overload]
    for bad in ({"size": 0}, {"threads": 0}, {"size": 1.5}, {"threads": True}):
        with pytest.raises(ValueError, match="whole number"):
            tmebox.SandboxPool(module, **bad)
    needy = tmebox.compile(source_text="int ask(void); int asked(void) { return ask(); }")
    with pytest.raises(tmebox.ModuleError, match="ask"):
        tmebox.SandboxPool(needy)


def test_closing_refuses_what_comes_and_what_waits_and_lets_the_rest_end(module: tmebox.Module) -> None:
    pool = tmebox.SandboxPool(module, size=1, threads=1)
    begun, go_on = threading.Event(), threading.Event()

    def task(sandbox: tmebox.Sandbox) -> int:
        begun.set()
        go_on.wait(10)
        return sandbox.square(3)

    running, waiting = pool.submit(task), pool.submit("square", 2)
    refused: list[BaseException] = []

    def lease() -> None:
        try:
            pool.lease().__enter__()
        except tmebox.SandboxClosed as error:
            refused.append(error)

    with pool.lease() as sandbox:
        thread = threading.Thread(target=lease)
        thread.start()
        begun.wait(10)
        while not pool._permits._waiting:
            time.sleep(0.001)
        pool.close(wait=False)
        thread.join()
        assert sandbox.square(4) == 16
    go_on.set()
    pool.close()
    pool.close()
    assert running.result() == 9 and len(refused) == 1
    with pytest.raises(tmebox.SandboxClosed, match="before this task began"):
        waiting.result()
    for use in (lambda: pool.lease().__enter__(), lambda: pool.submit("square", 1)):
        with pytest.raises(tmebox.SandboxClosed):
            use()
    with pytest.raises(tmebox.SandboxClosed):
        next(pool.map("square", [1]))


def close_in_a_loop(pool: tmebox.SandboxPool) -> None:
    async def leave() -> None:
        async with pool:
            pass

    asyncio.run(leave())


@pytest.mark.parametrize("close", [tmebox.SandboxPool.close, close_in_a_loop])
def test_tasks_that_close_their_pool_wait_for_no_task(
    module: tmebox.Module, close: Callable[[tmebox.SandboxPool], None]
) -> None:
    pool = tmebox.SandboxPool(module, threads=3)
    together, go_on = threading.Barrier(3), threading.Event()

    def task(sandbox: tmebox.Sandbox, number: int) -> int:
        together.wait(10)
        if number == 2:
            go_on.wait(10)
        else:
            close(pool)
        return sandbox.square(number)

    futures = [pool.submit(task, number) for number in range(3)]
    assert [future.result(10) for future in futures[:2]] == [0, 1]
    assert not futures[2].done()
    go_on.set()
    close(pool)
    assert futures[2].result(0) == 4


def test_what_a_task_calls_when_it_is_done_may_close_its_pool(module: tmebox.Module) -> None:
    pool = tmebox.SandboxPool(module, threads=2)
    together, closed = threading.Barrier(2), []

    def close(_: object) -> None:
        pool.close()
        closed.append(True)

    def task(sandbox: tmebox.Sandbox) -> None:
        together.wait(10)
        time.sleep(0.01)

    for _ in range(2):
        pool.submit(task).add_done_callback(close)
    pool._workers.join()
    assert closed == [True] * 2


def test_nothing_is_left_of_a_pool(module: tmebox.Module) -> None:
    gc.collect()
    before, threads = (WINDOWS.live, descriptors.settled_count()), threading.active_count()
    for closes in (True, False):
        pool = tmebox.SandboxPool(module, threads=3)
        assert sum(pool.map("square", range(50))) == sum(n * n for n in range(50))
        list(pool.map("crash_if_odd", range(5), return_exceptions=True))
        if closes:
            pool.close()
        del pool
    gc.collect()
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (WINDOWS.live, descriptors.count()) == before
    assert threading.active_count() <= threads  # others' may have ended meanwhile


def test_a_forked_child_cannot_use_the_parents_pool_and_can_make_its_own(
    module: tmebox.Module, pool: tmebox.SandboxPool, forked: Callable[..., ChildOutcome]
) -> None:
    assert list(pool.map("square", [2])) == [4]

    def child() -> list[int]:
        for use in (lambda: pool.submit("square", 1), lambda: pool.lease().__enter__()):
            with pytest.raises(tmebox.SandboxClosed, match="fork"):
                use()
        pool.close()
        with tmebox.SandboxPool(module, threads=1) as own:
            return list(own.map("square", [3]))

    assert forked(child).result() == [9]


def test_a_process_ends_although_a_task_does_not(module: tmebox.Module, tmp_path: Path) -> None:
    path = tmp_path / "module.tbx"
    module.save(path)
    script = (
        "import sys, time, tmebox\n"
        "pool = tmebox.SandboxPool(tmebox.Module.load(sys.argv[1]), threads=1)\n"
        "pool.submit('spin')\n"
        "time.sleep(0.2)\n"
        "print('over')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], timeout=30, capture_output=True, text=True, check=True
    )
    assert done.stdout == "over\n"
