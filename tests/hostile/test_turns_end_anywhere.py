"""A thread is interrupted at each of its instructions, another one spoils all registers, and it goes on as if
nothing had been: between a check and its jump, a base and its use, in the middle of a string instruction."""

from __future__ import annotations

import os
import pickle
import random
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import tmebox
from tests.campaign.part_interrupts import RETURN_GATES, stop_at
from tests.campaign.stepping import WATCHDOG_SIGNAL, Ended, Stepper
from tests.guest.test_interrupted_threads import compiled
from tmebox import _native, abi

GATE = RETURN_GATES["gs"]
AT_A_TIME = 40
MOST_STEPS = 9_000
STRIDE = 211
"""Of its many thousand instructions every so manyth, others in each run."""
SEEDS = 4
PATIENCE_S = 0.5
"""Nobody is signalled where turns have no end yet: at the first instructions of the call."""


def child(rounds: int, result_file: str) -> None:
    with tmebox.Sandbox(compiled("sequences")) as sandbox:
        right = [sandbox.alone(seed) for seed in range(SEEDS)]
        _native.set_slice(1000)
        # Calls let go of the interpreter's lock where there is another thread. Else that comes first.
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        found = [sandbox.alone(number % SEEDS) for number in range(rounds)]
        wrong = [number for number in range(rounds) if found[number] != right[number % SEEDS]]
        Path(result_file).write_bytes(pickle.dumps((wrong, sandbox.times_woken())))
    os._exit(0)


def is_signalled(stepper: Stepper) -> bool:
    """Whether the watchdog's signal comes, to a child that stands. It is another thread's, which may have to
    wait for a processor."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        status = Path(f"/proc/{stepper.process}/status").read_text()
        if int(re.findall(r"^SigPnd:\s*(\w+)", status, re.MULTILINE)[0], 16) >> WATCHDOG_SIGNAL - 1 & 1:
            return True
        time.sleep(0.001)
    return False


def interrupted(stepper: Stepper) -> bool:
    """Lets the watchdog's signal in, where it comes. Whether that ends the turn: in a gate, where the core is
    at work, it does not."""
    if not is_signalled(stepper):
        return False
    assert stepper.step() == WATCHDOG_SIGNAL
    is_text = stepper.registers().rip < abi.GATE_BASE
    stepper.step(WATCHDOG_SIGNAL)
    return is_text


def interrupt(numbers: list[int], folder: Path) -> tuple[int, Any]:
    file = str(folder / "result")
    stepper, stopped = Stepper(lambda: child(len(numbers), file)), 0
    try:
        for number in numbers:
            stepper.run_to(compiled("sequences").address_of("alone"))
            stopped += stop_at(stepper, number, GATE) and interrupted(stepper)
        stepper.go_to_the_end()
    except Ended as end:
        assert end.status == 0, (end.status, numbers)
    finally:
        stepper.kill()
    return stopped, pickle.loads(Path(file).read_bytes())


def test_a_thread_that_is_interrupted_at_any_instruction_goes_on(tmp_path: Path) -> None:
    compiled("sequences")
    numbers = list(range(random.randrange(STRIDE), MOST_STEPS, STRIDE))
    total = 0
    for at in range(0, len(numbers), AT_A_TIME):
        stopped, (wrong, woken) = interrupt(numbers[at : at + AT_A_TIME], tmp_path)
        assert not wrong, (wrong, numbers[at : at + AT_A_TIME])
        assert woken >= stopped, (woken, stopped)
        total += stopped
    assert total > 25
