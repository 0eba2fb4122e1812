"""Functions of the host that programs call."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import tmebox
from tmebox.python import Python, PythonError


def test_functions_are_called_with_values() -> None:
    calls: list[object] = []

    def search(text: str, *, limit: int = 3) -> list[dict[str, object]]:
        calls.append((text, limit))
        return [{"title": f"{text} {i}", "n": i} for i in range(limit)]

    with Python(functions={"search": search}) as python:
        assert python.run("rows = search('x', limit=4)\nsum(r['n'] for r in rows)") == 6
        assert calls == [("x", 4)]
        assert python.run("search.__name__") == "search"
        assert "search" in python.run("repr(search)")


def test_an_exception_of_the_hosts_can_be_handled_inside() -> None:
    class Odd(Exception):
        pass

    def fail(kind: str) -> None:
        raise {"key": KeyError, "odd": Odd}[kind]("sorry")

    with Python(functions={"fail": fail}) as python:
        assert python.run("try:\n    fail('key')\nexcept KeyError as e:\n    r = 'handled'\nr") == "handled"
        with pytest.raises(PythonError) as caught:
            python.run("fail('odd')")
        assert caught.value.type == "RuntimeError" and "sorry" in caught.value.message
        assert isinstance(caught.value.__cause__, Odd)
        with pytest.raises(PythonError) as caught:
            python.run("try:\n    fail('odd')\nexcept RuntimeError:\n    raise ValueError('own')")
        assert caught.value.__cause__ is None


def test_results_that_cannot_enter_are_type_errors_inside() -> None:
    with Python(functions={"get": object, "take": lambda x: None}) as python:
        with pytest.raises(PythonError, match="cannot enter") as caught:
            python.run("get()")
        assert caught.value.type == "TypeError"
        with pytest.raises(PythonError, match="cannot leave"):
            python.run("take(take)")


def test_what_is_no_exception_goes_through() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with Python(functions={"leave": leave}) as python:
        with pytest.raises(SystemExit):
            python.run("try:\n    leave()\nexcept:\n    pass")
        assert python.run("1 + 1") == 2


def test_a_host_function_may_use_the_interpreter() -> None:
    with Python(
        functions={"again": lambda x: python.run(f"y = {x}\ny * 2"), "boom": lambda: python.run("1/0")}
    ) as python:
        assert python.run("again(5) + again(6) + y") == 28
        with pytest.raises(PythonError) as caught:
            python.run("boom()")
        assert isinstance(caught.value.__cause__, PythonError)
        assert python.run("def f(n): return 0 if n == 0 else 1 + f(n - 1)\nf(50)") == 50


def test_output_and_calls_keep_their_order() -> None:
    seen: list[str] = []
    with Python(functions={"note": seen.append}, stdout=seen.append) as python:
        python.run("print('a', end='')\nnote('b')\nprint('c', end='')")
    assert seen == ["a", "b", "c"]


def test_large_values_go_both_ways() -> None:
    with Python(functions={"big": lambda n: "y" * n, "size": len}) as python:
        assert python.run("s = big(3000000)\nsize(s)") == 3_000_000


def test_long_replies_and_requests_do_not_pile_up() -> None:
    def again(text: str) -> object:
        return python.run(f"#{text}\n5")

    modules = {f"m{n}": "x = 5  # a module\n" * 1000 for n in range(300)}
    with Python(
        memory="4MiB", functions={"get": lambda n: "y" * n, "again": again}, modules=modules
    ) as python:
        assert python.run("sum(len(get(3000)) for i in range(5000))") == 15_000_000
        assert python.run("sum(again(get(3000)) for i in range(2000))") == 10_000
        source = "n = 0\nfor i in range(300):\n    m = __import__(f'm{i}')\n    n += m.x\n    del m\nn"
        assert python.run(source) == 1500


def test_async_functions_run_on_the_loop() -> None:
    async def fetch(x: int) -> int:
        await asyncio.sleep(0.01)
        return x * 2

    async def main() -> tuple[int, int, bool]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        with Python(functions={"fetch": fetch}) as python:
            first = await python.run_async("sum(fetch(i) for i in range(5))")
            second = await python.eval_async("fetch(4)")
        ticking.cancel()
        return first, second, ticks > 5

    assert asyncio.run(main()) == (20, 8, True)
    with Python(functions={"fetch": fetch}) as python:
        assert python.run("fetch(3)") == 6  # without a loop, one is made


def test_an_async_function_below_a_loop_needs_run_async() -> None:
    async def fetch() -> int:
        return 1

    async def main() -> None:
        with Python(functions={"fetch": fetch}) as python, pytest.raises(PythonError, match="run_async"):
            python.run("fetch()")

    asyncio.run(main())


def test_cancelling_a_task_interrupts_the_program() -> None:
    async def main() -> int:
        with Python() as python:
            task = asyncio.create_task(python.run_async("while True: pass"))
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return int(python.run("5"))

    assert asyncio.run(main()) == 5


def test_interpreters_run_in_parallel_on_threads() -> None:
    results: list[int] = []

    def work(n: int) -> None:
        with Python(functions={"n": lambda: n}) as python:
            results.append(python.run("sum(range(1000)) + n()"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [499500 + n for n in range(8)]


def test_names_must_be_names() -> None:
    with pytest.raises(ValueError, match="a name"):
        Python(functions={"not a name": print})


def test_time_limits_hold_around_host_functions() -> None:
    with (
        Python(functions={"nap": lambda: time.sleep(0.05)}, timeout=0.15) as python,
        pytest.raises(tmebox.Timeout),
    ):
        python.run("while True: nap()")


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Changing(Exception):
    """Its type's name is no identifier, and its text is long."""


Changing.__name__ = "\x1b[31m" + "x" * 100_000


@pytest.mark.parametrize(
    "error",
    [
        *(StopIteration(1), StopAsyncIteration(), RecursionError(), MemoryError(), OSError(2, "a", "b")),
        *(
            UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"),
            tmebox.LimitError("l"),
            Odd(),
            ValueError("\ud800"),
        ),
        *(Changing("y" * 10**6), PythonError("SystemExit", "z")),
    ],
    ids=lambda error: type(error).__name__[-20:],
)
def test_whatever_a_host_function_raises_ends_the_call_inside(error: Exception) -> None:
    def fails() -> None:
        raise error

    with Python(functions={"fails": fails}, timeout=5.0) as python:
        assert python.run("try:\n    fails()\n    x = 0\nexcept Exception as e:\n    x = 1\nx") == 1
        with pytest.raises(tmebox.TmeboxError):
            python.run("fails()")
        assert python.run("1 + 1") == 2
