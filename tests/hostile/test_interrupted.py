"""A call that is stopped at each of its instructions: entering and leaving functions, setjmp, longjmp, turns
of threads, host calls.

What runs then finds the sandbox standing still, and whatever it does, the call goes on as if nothing had
been; or it ends there, and the sandbox begins again.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.campaign.part_interrupts import MOST_STEPS, RETURN_GATES, Attacker, stop_at
from tests.campaign.stepping import Ended, Stepper
from tests.hostile.scene import hostile
from tmebox import _native

GATE = RETURN_GATES["gs"]
AT_A_TIME = 12
STRIDE = 211
"""Of its some thousand instructions every so manyth, others in each run."""


class Abandoned(Exception):
    """What the handler raises."""


def prepared() -> tmebox.Sandbox:
    sandbox = tmebox.Sandbox(hostile("interrupted"), imports={"hop": lambda value: value + 1})
    assert sandbox.prepare() == 0
    return sandbox


def child(ends: bool, rounds: int, result_file: str) -> None:
    sandbox = prepared()
    right = [sandbox.victim(number) for number in range(8)]
    attacker = Attacker(sandbox, sandbox.array(64, "u8"))
    seen: dict[str, Any] = {"ended": 0, "wrong": []}

    def raises(*_: object) -> None:
        raise Abandoned

    signal.signal(signal.SIGUSR1, raises if ends else attacker)
    _native.install_handlers()
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    for number in range(rounds):
        try:
            result: object = sandbox.victim(number % 8)
        except Abandoned:
            seen["ended"] += 1
            sandbox.reset()
            assert sandbox.prepare() == 0
            result = sandbox.victim(number % 8)
        except Exception as error:
            result = repr(error)
        if result != right[number % 8]:
            seen["wrong"].append((number, result, right[number % 8]))
    seen["refused"], seen["succeeded"] = attacker.refused, attacker.succeeded
    Path(result_file).write_bytes(pickle.dumps(seen))
    os._exit(0)


def interrupt(ends: bool, numbers: list[int], folder: Path) -> tuple[int, dict[str, Any]]:
    """How many of these instructions there were, and what the child has seen."""
    file = str(folder / "result")
    stepper = Stepper(lambda: child(ends, len(numbers), file))
    victim, stopped = hostile("interrupted").address_of("victim"), 0
    try:
        for number in numbers:
            stepper.run_to(victim)
            if stop_at(stepper, number, GATE):
                stopped += 1
                stepper.step(signal.SIGUSR1)
                if ends:  # it calls again: past that call's first instruction
                    stepper.run_to(victim)
                    assert stepper.execute() == signal.SIGTRAP
        stepper.go_to_the_end()
    except Ended as end:
        assert end.status == 0, (end.status, numbers)
    finally:
        stepper.kill()
    return stopped, pickle.loads(Path(file).read_bytes())


@pytest.mark.parametrize("ends", [False, True], ids=["goes-on", "ends"])
def test_a_call_that_is_stopped_anywhere_goes_on_or_ends(ends: bool, tmp_path: Path) -> None:
    first = random.randrange(STRIDE)
    numbers = list(range(first, MOST_STEPS, STRIDE))
    total = 0
    while numbers:
        stopped, seen = interrupt(ends, numbers[:AT_A_TIME], tmp_path)
        total += stopped
        assert not seen["wrong"], (seen["wrong"], numbers[:AT_A_TIME])
        assert not seen["succeeded"], (seen["succeeded"], numbers[:AT_A_TIME])
        assert seen["ended"] == (stopped if ends else 0)
        if stopped < len(numbers[:AT_A_TIME]):
            break
        numbers = numbers[AT_A_TIME:]
    assert total > 10
