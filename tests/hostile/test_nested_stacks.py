"""Many stacks at once: calls inside of calls, on several host threads, with greenlets that swap them."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

import tmebox
from tests.hostile.scene import attack, hostile
from tmebox import Sandbox

DEEP = 100


class Swapped(Exception):
    """A greenlet ends the call that it is in."""


def nested(module: tmebox.Module) -> Sandbox:
    sandbox = Sandbox(module, imports={"hop": lambda depth: int(sandbox.nest(depth))}, timeout=60.0)
    return sandbox


@pytest.mark.parametrize("count", [1, 2])
def test_a_hundred_calls_inside_of_each_other_return_in_order(count: int) -> None:
    """In as many sandboxes as host threads, at once; with jumps and threads of their own at each level."""

    def act(sandbox: Sandbox) -> Any:
        own = [nested(sandbox.module) for _ in range(count)]
        found: dict[int, int] = {}
        host_threads = [
            threading.Thread(target=lambda n=n: found.__setitem__(n, own[n].nest(DEEP))) for n in range(count)
        ]
        for thread in host_threads:
            thread.start()
        for thread in host_threads:
            thread.join()
        return found, [one.nest(3) for one in own]

    ending = attack(hostile("nesting"), act, imports={"hop": lambda depth: depth})
    assert ending.exception is None, ending
    found, again = ending.value
    assert found == dict.fromkeys(range(count), 10 * DEEP + 1)
    assert again == [31] * count


def test_calls_through_two_sandboxes_by_turns_return_in_order() -> None:
    """Each host function calls the other sandbox: two control stacks grow like one."""

    def act(sandbox: Sandbox) -> Any:
        pair: list[Sandbox] = []
        for number in range(2):
            hop = lambda depth, number=number: int(pair[1 - number].nest(depth))  # noqa: E731
            pair.append(Sandbox(sandbox.module, imports={"hop": hop}))
        return pair[0].nest(60), pair[1].nest(60)

    assert attack(hostile("nesting"), act, imports={"hop": abs}).value == (601, 601)


def test_a_trap_deep_inside_ends_that_sandbox_and_no_other() -> None:
    def act(sandbox: Sandbox) -> Any:
        inner = Sandbox(sandbox.module, imports={"hop": lambda depth: inner.nest(1 << 62)}, timeout=5.0)
        outer = Sandbox(sandbox.module, imports={"hop": lambda depth: caught(inner, depth)})

        def caught(of: Sandbox, depth: int) -> int:
            try:
                return int(of.nest(depth))
            except (tmebox.TmeboxError, RecursionError):
                return 5

        return outer.nest(7), outer.nest(2)

    assert attack(hostile("nesting"), act, imports={"hop": abs}).value == (15, 15)


@pytest.mark.parametrize("seed", range(3))
def test_greenlets_that_swap_calls_get_their_own_results_or_an_error(seed: int) -> None:
    """Calls of several sandboxes, suspended in host functions, go on and end in any order."""
    greenlet = pytest.importorskip("greenlet")

    def act(sandbox: Sandbox) -> Any:
        generator = random.Random(seed)
        main = greenlet.getcurrent()

        def hop(depth: int) -> int:
            if main.switch("waits") == "stop":
                raise Swapped
            return depth

        own = [Sandbox(sandbox.module, imports={"hop": hop}) for _ in range(3)]
        ends: Counter[str] = Counter()
        running: list[Any] = []

        def call(one: Sandbox, depth: int) -> str:
            try:
                return "right" if one.nest(depth) == depth + 9 else "wrong"
            except (tmebox.TmeboxError, Swapped, RuntimeError, RecursionError) as error:
                return type(error).__name__

        for _ in range(400):
            if len(running) < 6 and generator.random() < 0.6:
                running.append(greenlet.greenlet(call))
                arguments: tuple[Any, ...] = (generator.choice(own), generator.randrange(1, 30))
            elif running:
                generator.shuffle(running)
                arguments = ("stop" if generator.random() < 0.2 else "go on",)
            else:
                continue
            answer = running[-1].switch(*arguments)
            if running[-1].dead:
                ends[answer] += 1
                running.pop()
            for one in own:
                if generator.random() < 0.05:
                    try:
                        one.reset()
                    except tmebox.TmeboxError:
                        ends["busy"] += 1
        for left in running:
            left.switch("stop")
        return ends

    ending = attack(hostile("nesting"), act, imports={"hop": abs})
    assert ending.exception is None, ending
    assert ending.value["right"] > 5 and "wrong" not in ending.value, ending.value
