"""What runs a child instruction by instruction executes each of them."""

from __future__ import annotations

import os
import signal

from tests.campaign.stepping import WATCHDOG_SIGNAL, Stepper


def test_the_watchdogs_signal_keeps_no_instruction_from_its_step() -> None:
    stepper = Stepper(lambda: os.kill(os.getpid(), signal.SIGSTOP))
    try:
        for _ in range(100):
            before = stepper.registers().rip
            os.kill(stepper.process, WATCHDOG_SIGNAL)
            assert stepper.execute() == signal.SIGTRAP
            assert stepper.registers().rip != before
    finally:
        stepper.kill()
