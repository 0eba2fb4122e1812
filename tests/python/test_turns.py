"""One thing at a time: who comes in between is refused and changes nothing, and Ctrl-C leaves nobody's turn
behind."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import greenlet
import pytest

import tmebox
from tmebox.python import Python, PythonError


def elsewhere(work: Callable[[], Any]) -> Any:
    """What it returns, or the exception that it raises, on another thread."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        return future.exception() or future.result()


# -- refused ------------------------------------------------------------------------------------------
WORK: dict[str, Callable[[Python], object]] = {
    "run": lambda python: python.run("x = 2\nprint(x)\nnested()"),
    "eval": lambda python: python.eval("1"),
    "call": lambda python: python.call("f"),
    "set": lambda python: python.update({"x": 2}),
    "get": lambda python: python["x"],
    "functions": lambda python: python.add_functions({"f": lambda: "another"}),
    "reset": Python.reset,
    "snapshot": Python.snapshot,
    "close": Python.close,
    "async": lambda python: asyncio.run(python.run_async("x = 2")),
}


def refused(python: Python) -> None:
    """Whatever another thread wants is."""
    for name, work in WORK.items():
        assert isinstance(elsewhere(lambda work=work: work(python)), tmebox.SandboxBusy), name  # type: ignore[misc]
    assert not elsewhere(lambda: python.ended)


def test_who_comes_in_while_a_program_runs_changes_nothing() -> None:
    with Python(functions={"f": lambda: "f", "meanwhile": lambda: refused(python)}) as python:
        assert python.run("x = 1\nmeanwhile()\n(x, f())") == (1, "f")
        assert python.run("(x, f())") == (1, "f")


@pytest.mark.parametrize("name", ["reset", "snapshot", "close"])
def test_who_comes_in_while_it_begins_anew_or_ends_changes_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = getattr(tmebox.Sandbox, name)

    def meanwhile(sandbox: tmebox.Sandbox) -> Any:
        refused(python)
        result = plain(sandbox)
        refused(python)
        return result

    with Python(functions={"f": lambda: "f"}) as python:
        python.run("x = 1")
        with monkeypatch.context() as patched:
            patched.setattr(tmebox.Sandbox, name, meanwhile)
            getattr(python, name)()
        assert python.closed == (name == "close")
        if name != "close":
            assert python.run("f()") == "f" and ("x" in python) == (name == "snapshot")


def test_a_program_that_is_reset_from_within_is_refused() -> None:
    with Python(functions={"meanwhile": lambda name: WORK[name](python)}) as python:
        for name in ("reset", "snapshot", "close", "async"):
            with pytest.raises(PythonError) as caught:
                python.run(f"meanwhile({name!r})")
            assert isinstance(caught.value.__cause__, tmebox.SandboxBusy)
            assert python.run("1 + 1") == 2


# -- greenlets ----------------------------------------------------------------------------------------
def test_a_greenlet_is_refused_while_anothers_program_runs() -> None:
    """On the same thread, while a function of the host's has gone to the main one."""
    main = greenlet.getcurrent()

    def hop(number: int = 0) -> int:
        return main.switch("away") or number

    def within(source: str) -> Any:
        return python.run(source)

    def attempt(work: Callable[[Python], object]) -> Any:
        def run() -> Any:
            try:
                return work(python)
            except tmebox.SandboxBusy as error:
                return error

        return greenlet.greenlet(run)

    functions: dict[str, Callable[..., Any]] = {"hop": hop, "within": within, "f": lambda: "f"}
    with Python(functions=functions) as python:
        python.run("x = 1")
        one = attempt(lambda python: python.run("print('begin')\nwithin('hop(3)') + hop(4)"))
        for _ in range(2):  # within a nested run, and out of it
            assert one.switch() == "away"
            for name, work in WORK.items():
                assert isinstance(attempt(work).switch(), tmebox.SandboxBusy), name
                with pytest.raises(tmebox.SandboxBusy):
                    work(python)
            refused(python)
        assert one.switch() == 7 and one.dead
        assert python.stdout == "begin\n"
        assert python.run("(x, f())") == (1, "f")


# -- tasks --------------------------------------------------------------------------------------------
def test_a_refused_task_leaves_the_loop_to_the_run_that_goes_on() -> None:
    async def main() -> None:
        async def where() -> str:
            await asyncio.sleep(0)
            return threading.current_thread().name

        with Python(functions={"where": where, "nap": lambda: time.sleep(0.1)}) as python:
            first = asyncio.create_task(python.run_async("nap()\nwhere()"))
            await asyncio.sleep(0.03)
            with pytest.raises(tmebox.SandboxBusy):
                await python.run_async("1")
            assert await first == threading.current_thread().name

    asyncio.run(main())


def test_cancelling_a_refused_task_ends_nothing_of_the_run_that_goes_on() -> None:
    async def main() -> None:
        async def slow() -> str:
            started.set()
            await asyncio.sleep(0.1)
            return "done"

        started = asyncio.Event()
        with Python(functions={"slow": slow}) as python:
            first = asyncio.create_task(python.run_async("slow()\nfor i in range(10000): pass\n'end'"))
            await started.wait()
            second = asyncio.create_task(python.run_async("2"))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert await first == "end"

    asyncio.run(main())


def test_all_that_a_cancelled_task_awaits_is_cancelled() -> None:
    async def main() -> None:
        async def slow() -> None:
            started.set()
            await asyncio.sleep(60)

        started = asyncio.Event()
        source = "for i in range(3):\n    try: slow()\n    except (RuntimeError, KeyboardInterrupt): pass"
        with Python(functions={"slow": slow}) as python:
            task = asyncio.create_task(python.run_async(source))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert python.eval("1 + 1") == 2

    asyncio.run(asyncio.wait_for(main(), 30))


# -- Ctrl-C -------------------------------------------------------------------------------------------
class Interrupted:
    """Ctrl-C at the n-th place where Python looks for signals: where a function is entered, or one of C has
    returned. Not in finalizers, whose exceptions Python drops."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __enter__(self) -> None:
        sys.setprofile(self.look)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def look(self, frame: Any, event: str, argument: object) -> None:
        if event in ("call", "c_return") and "/tmebox/" in frame.f_code.co_filename:
            while frame is not None and frame.f_code.co_name != "__del__":
                frame = frame.f_back
            if frame is not None:
                return
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", sorted(WORK.keys() - {"close", "async"}))
def test_ctrl_c_leaves_no_turn_behind_wherever_it_comes(name: str, usual_ctrl_c: None) -> None:
    work = WORK[name]
    functions: dict[str, Callable[..., Any]] = {"f": lambda: "f", "nested": lambda: python.eval("1")}
    with Python(functions=functions) as python:
        for number in count(1):
            place = Interrupted(number)
            python.run("x = 1")
            try:
                with place:
                    work(python)
            except KeyboardInterrupt as error:
                # While the exception is still there, and with it the frames that it came through.
                assert error.__traceback__ is not None
                if python.ended:
                    python.reset()
                assert python.eval("1 + 1") == 2
                assert elsewhere(lambda: python.eval("[f(), abs(-2)][1]")) == 2
                assert not python._listener.on
            else:
                assert place.left > 0, "no KeyboardInterrupt"
                break
        assert number > 5
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_while_it_closes_leaves_it_closable(usual_ctrl_c: None) -> None:
    for number in count(1):
        python = Python()
        place = Interrupted(number)
        try:
            with place:
                python.close()
        except KeyboardInterrupt:
            python.close()
        assert python.closed
        if place.left > 0:
            break


def test_a_handler_that_a_host_function_sets_stays(usual_ctrl_c: None) -> None:
    def mine(number: int, frame: object) -> None:
        heard.append(number)

    heard: list[int] = []
    with Python(functions={"set": lambda: (signal.signal(signal.SIGINT, mine), None)[1]}) as python:
        python.run("set()")
        assert signal.getsignal(signal.SIGINT) is mine
        python.run("1")
        assert signal.getsignal(signal.SIGINT) is mine


def test_the_handler_of_a_run_is_pythons_own_once_the_run_is_over(usual_ctrl_c: None) -> None:
    found: list[Any] = []
    with Python(functions={"look": lambda: found.append(signal.getsignal(signal.SIGINT))}) as python:
        python.run("look()")
        signal.signal(signal.SIGINT, found[0])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, found[0])
        python.run("1")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
