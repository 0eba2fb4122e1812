"""What may happen while sandboxed code calls back: Ctrl-C, forks, the garbage collector, other threads."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tmebox.runtime.calls.callbacks import UNWIND

SOURCE = """
typedef int (*Step)(int);
int steps(Step step, int count) { int sum = 0; for (int i = 0; i < count; i++) sum += step(i); return sum; }
static Step kept;
void keep(Step step) { kept = step; }
int again(int value) { return kept(value); }
int step_and(Step step, int how)
{
    step(0);
    if (how == 0) *(volatile int *)8 = 1;
    if (how == 1) for (;;) {}
    return how == 2 ? step(1) : how;
}
void spin(Step step) { step(0); for (volatile int i = 0;; i++) {} }
int plus(int a, int b) { return a + b; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


def interrupt_soon(delay_s: float) -> None:
    def send() -> None:
        time.sleep(delay_s)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()


def ends(act: Callable[[], Any]) -> str:
    try:
        return str(act())
    except BaseException as error:
        return type(error).__name__


def test_ctrl_c_in_a_callback_leaves_at_once(module: tmebox.Module) -> None:
    def attack() -> list[str]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with tmebox.Box(module, timeout=60) as box:
            seen: list[int] = []

            def step(value: int) -> int:
                seen.append(value)
                if value == 3:
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(5)
                return 1

            for on_error in (UNWIND, 0):
                with box.callback(step, "steps.step", on_error=on_error) as callback:
                    outcome = ends(lambda: box.steps(callback, 1000))
            return [outcome, str(len(seen)), ends(lambda: box.plus(3, 4))]

    assert run_forked(attack).result() == ["KeyboardInterrupt", "8", "7"]


def test_ctrl_c_in_the_sandbox_after_a_callback(module: tmebox.Module) -> None:
    def attack() -> list[str]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with tmebox.Box(module, timeout=60) as box:
            first = ends(lambda: box.spin(lambda value: interrupt_soon(0.2) or 0))
            box.reset()
            return [first, ends(lambda: box.steps(lambda value: 2, 4))]

    assert run_forked(attack).result() == ["KeyboardInterrupt", "8"]


def test_a_forked_child_has_none_of_its_parents_callbacks(module: tmebox.Module) -> None:
    with (
        tmebox.Box(module, timeout=60) as box,
        box.callback(lambda value: value + 1, "steps.step") as callback,
    ):
        box.keep(callback)

        def child() -> list[str]:
            seen = [ends(lambda: box.again(1)), ends(lambda: box.steps(callback, 2))]
            callback.close()
            callback.close()
            with tmebox.Box(module, timeout=60) as own:
                seen.append(ends(lambda: own.steps(callback, 2)))
                seen.append(ends(lambda: own.steps(lambda value: 5, 2)))
                seen.append(ends(lambda: own.again(1)))
            return seen

        closed = "SandboxClosed"
        assert run_forked(child).result() == [closed, closed, "TypeError", "10", "ControlFlowViolation"]
        assert box.again(1) == 2  # the parent's are as they were


def test_a_callback_that_forks_goes_on_in_the_parent(module: tmebox.Module) -> None:
    def attack() -> list[Any]:
        with tmebox.Box(module, timeout=60) as box:
            children: list[int] = []

            def step(value: int) -> int:
                child = os.fork()
                if child == 0:
                    try:
                        status = 7 if ends(lambda: box.plus(1, 2)) == "SandboxClosed" else 8
                    finally:
                        os._exit(status)
                children.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
                return 1

            return [box.steps(step, 3), children]

    assert run_forked(attack).result() == [3, [7, 7, 7]]


def test_finalizers_may_come_in_anywhere(module: tmebox.Module) -> None:
    """Such as call the sandbox that is in a callback, close it, or drop others."""

    def attack() -> list[str]:
        seen: set[str] = set()

        class Last:
            def __init__(self, act: Callable[[], Any]) -> None:
                self.act, self.circle = act, self

            def __del__(self) -> None:
                seen.add(ends(self.act))

        with tmebox.Box(module, timeout=60) as box:

            def step(value: int) -> int:
                other = tmebox.Box(module)
                other.keep(other.again)
                Last(box.close)
                Last(lambda: box.plus(1, 2))
                Last(lambda: box.callback(lambda v: v, "steps.step").close())
                del other
                gc.collect()
                return 1

            outcome = ends(lambda: box.steps(step, 20))
            return [outcome, ends(lambda: box.plus(1, 2)), *sorted(seen)]

    assert run_forked(attack).result() == ["20", "3", "3", "None", "SandboxBusy"]


def test_threads_call_back_while_others_make_and_close(module: tmebox.Module) -> None:
    def attack() -> int:
        wrong: list[str] = []
        end = time.monotonic() + 1

        def work(number: int) -> None:
            while time.monotonic() < end:
                with (
                    tmebox.Box(module, timeout=30) as box,
                    box.callback(lambda v: number, "steps.step") as step,
                ):
                    result = ends(lambda: box.steps(step, 50))
                    if result != str(50 * number):
                        wrong.append(result)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(wrong)

    assert run_forked(attack).result() == 0


class Witness:
    """Does something when the exception that has it is dropped."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def __del__(self) -> None:
        self.act()


@pytest.mark.parametrize("does", ["call", "reset", "close", "nothing"])
@pytest.mark.parametrize(
    ("how", "ended"), [(0, "MemoryFault"), (1, "Timeout"), (2, "KeyboardInterrupt"), (3, "LookupError")]
)
def test_an_exception_that_waited_finds_the_sandbox_as_the_call_left_it(
    module: tmebox.Module, does: str, how: int, ended: str
) -> None:
    """Where the call ends in another way, the exception goes, and what it refers to may run any code."""

    def attack() -> tuple[str, list[str], str]:
        seen: list[str] = []
        box = tmebox.Box(module, timeout=0.2)
        acts: dict[str, Callable[[], Any]] = {
            "call": lambda: box.plus(1, 2),
            "reset": box.reset,
            "close": box.close,
            "nothing": lambda: None,
        }

        def step(value: int) -> int:
            if value == 1:
                raise KeyboardInterrupt
            error = LookupError()
            error.witness = Witness(lambda: seen.append(ends(acts[does])))  # type: ignore[attr-defined]
            try:
                raise error
            finally:
                del error

        callback = box.callback(step, "step_and.step", on_error=0)
        first = ends(lambda: box.step_and(callback, how))
        gc.collect()
        return first, seen, ends(lambda: box.plus(1, 2))

    first, seen, after = run_forked(attack).result()
    assert first == ended
    alive = how > 1  # exceptions leave a sandbox callable
    gone = "3" if alive else "SandboxClosed"
    assert seen == [gone if does == "call" else "None"]
    assert after == {"close": "SandboxClosed", "reset": "3"}.get(does, gone)
