"""A thread is interrupted at each of its instructions, another one spoils all registers, and it goes on as if
nothing had been: between a check and its jump, a base and its use, in the middle of a string instruction."""

from __future__ import annotations

import os
import pickle
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import tmebox
from tests.campaign.part_interrupts import RETURN_GATES, stop_at
from tests.campaign.stepping import Ended, Stepper
from tests.guest.test_interrupted_threads import compiled
from tmebox import _native, abi

GATE = RETURN_GATES["gs"]
AT_A_TIME = 40
MOST_STEPS = 9_000
STRIDE = 211
"""Of its many thousand instructions every so manyth, others in each run."""
SEEDS = 4


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


def interrupted(stepper: Stepper) -> bool:
    """Waits for the watchdog's signal, which it would be told of before the next instruction. Whether that
    ends the turn: in a gate, where the core is at work, it does not."""
    for _ in range(5):
        time.sleep(0.002)
        number = stepper.step()
        if number >= signal.SIGRTMIN:
            is_text = stepper.registers().rip < abi.GATE_BASE
            stepper.step(number)
            return is_text
    return False


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
