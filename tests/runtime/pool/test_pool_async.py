"""A pool from coroutines: leases that wait without blocking, results as they come, cancellation."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

import tmebox


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: Any, **keywords: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **keywords), 60))

    return run


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@in_a_loop
async def test_leases_are_fresh_sandboxes(pool: tmebox.SandboxPool) -> None:
    for _ in range(3):
        async with pool.lease() as sandbox:
            assert sandbox.uses_so_far() == 0
    assert sandbox.closed


@in_a_loop
async def test_many_coroutines_share_few_sandboxes(pool: tmebox.SandboxPool) -> None:
    out = 0

    async def use(number: int) -> int:
        nonlocal out
        async with pool.lease() as sandbox:
            out += 1
            assert out <= pool.size
            await asyncio.sleep(0)
            out -= 1
            return int(sandbox.square(number))

    assert await asyncio.gather(*map(use, range(100))) == [n * n for n in range(100)]


@in_a_loop
async def test_waiting_does_not_block_the_loop_and_ends_with_its_timeout(pool: tmebox.SandboxPool) -> None:
    async with pool.lease(), pool.lease():
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.002)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with pytest.raises(tmebox.LimitError, match="size="):
            async with pool.lease(timeout=0.05):
                pass
        ticking.cancel()
        assert ticks > 2
        with pytest.raises(tmebox.LimitError, match="wait for itself"):
            pool.lease().__enter__()
    async with pool.lease(timeout=1), pool.lease(timeout=1):
        pass


@in_a_loop
async def test_cancelling_one_who_waits_loses_no_lease(pool: tmebox.SandboxPool) -> None:
    async def use() -> None:
        async with pool.lease():
            await asyncio.sleep(0.001)

    for round_number in range(30):
        users = [asyncio.create_task(use()) for _ in range(10)]
        for _ in range(round_number % 5):
            await asyncio.sleep(0)
        for user in users[round_number % 3 :: 2]:
            user.cancel()
        await asyncio.gather(*users, return_exceptions=True)
    async with pool.lease(timeout=1), pool.lease(timeout=1):
        assert pool._permits.held == 2
    assert pool._permits.held == 0


@in_a_loop
async def test_results_come_in_order_and_failures_stay_where_they_are(pool: tmebox.SandboxPool) -> None:
    assert [value async for value in pool.map_async("square", range(100))] == [n * n for n in range(100)]
    results = pool.map_async("crash_if_odd", range(3))
    assert await anext(results) == 0
    with pytest.raises(tmebox.MemoryFault):
        await anext(results)
    assert await anext(results) == 2
    with pytest.raises(StopAsyncIteration):
        await anext(results)
    mixed = [value async for value in pool.map_async("crash_if_odd", range(4), return_exceptions=True)]
    assert [type(value) for value in mixed] == [int, tmebox.MemoryFault] * 2


@in_a_loop
async def test_one_task_can_be_awaited_while_others_run(pool: tmebox.SandboxPool) -> None:
    assert await asyncio.gather(*(pool.call("square", n) for n in range(50))) == [n * n for n in range(50)]
    with pytest.raises(tmebox.MemoryFault):
        await pool.call("crash_if_odd", 1)


@in_a_loop
async def test_cancelling_an_iteration_loses_no_result(pool: tmebox.SandboxPool) -> None:
    gate = threading.Event()
    results = pool.map_async(lambda sandbox, n: gate.wait(10) and sandbox.square(n), [3, 4])
    waiting = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    gate.set()
    assert [value async for value in results] == [9, 16]


async def longest_stop(work: Coroutine[Any, Any, Any]) -> float:
    """Of the loop, while that goes on."""
    working, longest, last = asyncio.ensure_future(work), 0.0, time.monotonic()
    while not working.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    await working
    return longest


@in_a_loop
async def test_tasks_that_share_an_iterator_get_each_result_once(pool: tmebox.SandboxPool) -> None:
    def task(_: tmebox.Sandbox, number: int) -> int:
        time.sleep(0.5 if number == 5 else 0.01)
        return number

    found: list[list[int]] = [[], [], []]

    async def take(results: AsyncIterator[int], into: list[int]) -> None:
        async for result in results:
            into.append(result)

    async def take_all() -> None:
        results = pool.map_async(task, range(6))
        await asyncio.gather(*(take(results, into) for into in found))

    assert await longest_stop(take_all()) < 0.4
    assert found == [[0, 3], [1, 4], [2, 5]]


@in_a_loop
async def test_cancelling_one_of_those_who_share_an_iterator_loses_no_result(
    pool: tmebox.SandboxPool,
) -> None:
    for number in range(20):
        gate = threading.Event()
        results = pool.map_async(lambda _, n, gate=gate: (gate.wait(10), n)[1], range(4))
        waiting = [asyncio.ensure_future(anext(results, None)) for _ in range(5)]
        for _ in range(number % 3):
            await asyncio.sleep(0)
        for task in waiting[number % 2 :: 2]:
            task.cancel()
        if number % 5 == 0:
            await asyncio.sleep(0)
        gate.set()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        found = [result for result in ends if isinstance(result, int)]
        assert found + [result async for result in results] == [0, 1, 2, 3]


@in_a_loop
async def test_closing_an_iterator_ends_it_for_who_waits(pool: tmebox.SandboxPool) -> None:
    gate = threading.Event()
    results = pool.map_async(lambda _, n: gate.wait(10), range(4))
    waiting = [asyncio.ensure_future(anext(results, "the end")) for _ in range(3)]
    await asyncio.sleep(0.01)
    results.close()
    gate.set()
    assert await asyncio.gather(*waiting) == ["the end"] * 3


@in_a_loop
async def test_a_cancelled_task_that_has_not_begun_never_does(pool: tmebox.SandboxPool) -> None:
    gate, begun = threading.Event(), []

    def task(_: tmebox.Sandbox, number: int) -> None:
        begun.append(number)
        gate.wait(10)

    calls = [asyncio.create_task(pool.call(task, number)) for number in range(3)]
    await until(lambda: len(begun) == 2)
    calls[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls[2]
    gate.set()
    await asyncio.gather(*calls[:2])
    assert await pool.call("square", 3) == 9
    assert sorted(begun) == [0, 1]


@in_a_loop
async def test_a_call_whose_awaiting_was_cancelled_does_not_hold_the_lease(module: tmebox.Module) -> None:
    async with tmebox.SandboxPool(module, size=1, timeout=0.2) as pool:
        started = time.monotonic()
        with pytest.raises(asyncio.TimeoutError):
            async with pool.lease() as sandbox:
                await asyncio.wait_for(asyncio.to_thread(sandbox.spin), 0.02)
        async with pool.lease(timeout=1) as other:
            assert other.square(3) == 9
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.square(3)
        assert time.monotonic() - started < 30


@in_a_loop
async def test_closing_wakes_those_who_wait(module: tmebox.Module) -> None:
    pool = tmebox.SandboxPool(module, size=1)
    async with pool.lease():
        waiting = [asyncio.create_task(pool.lease().__aenter__()) for _ in range(3)]
        await until(lambda: len(pool._permits._waiting) == 3)
        pool.close()
        for ending in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(ending, tmebox.SandboxClosed)


def test_a_loop_that_ends_before_its_tasks_harms_nobody(pool: tmebox.SandboxPool) -> None:
    gate = threading.Event()

    async def impatient() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.call(lambda sandbox: gate.wait(10)), 0.01)

    asyncio.run(impatient())
    gate.set()
    assert list(pool.map("square", [3])) == [9]


def test_a_task_has_the_context_of_who_begins_it(module: tmebox.Module) -> None:
    """As asyncio.to_thread: what the task sets there is its own, on one thread that serves all."""
    asked: contextvars.ContextVar[str] = contextvars.ContextVar("asked", default="nobody")

    def task(sandbox: tmebox.Sandbox, number: int = 0) -> str:
        found = asked.get()
        asked.set("the task")
        return found

    async def ask(pool: tmebox.SandboxPool, who: str) -> list[str]:
        assert pool.submit(task).result() == "nobody"
        asked.set(who)
        found = [await pool.call(task), pool.submit(task).result()]
        results, more = pool.map(task, range(3), ahead=1), pool.map_async(task, range(3), ahead=1)
        found += [next(results), await anext(more)]
        asked.set("whoever takes results")
        found += [*results, *[result async for result in more]]
        assert asked.get() == "whoever takes results"
        return found

    async def both() -> list[list[str]]:
        with tmebox.SandboxPool(module, threads=1) as pool:
            return list(await asyncio.gather(ask(pool, "one"), ask(pool, "two")))

    assert asyncio.run(both()) == [["one"] * 8, ["two"] * 8]
    with tmebox.SandboxPool(module, threads=1) as pool:
        seen: list[str] = []
        for _ in range(2):
            future = pool.submit(lambda sandbox: time.sleep(0.05))
            future.add_done_callback(lambda _: (seen.append(asked.get()), asked.set("a callback")))
            future.result()
        assert pool.submit(task).result() == "nobody" and seen == ["nobody"] * 2


@in_a_loop
async def test_closing_does_not_block_the_loop(module: tmebox.Module) -> None:
    go_on = threading.Event()
    async with tmebox.SandboxPool(module, threads=1) as pool:
        running = pool.submit(lambda sandbox: go_on.wait(20))
        await until(running.running)
        asyncio.get_running_loop().call_later(0.02, go_on.set)
    assert running.result(0)
