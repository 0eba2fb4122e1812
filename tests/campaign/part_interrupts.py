"""Stops a sandbox at each of its instructions, and has a signal handler try all that could change what the
sandbox has just checked: it must be refused, and the call must end as if nothing had happened.

A poll stops sandboxed code anywhere, between the check of a target and the branch as well. Python
code that runs then is the host's, and may be led by data of the sandbox.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import tmebox
from tests.campaign.part import Tally
from tests.campaign.stepping import Ended, Stepper, in_code_region
from tmebox import _native, abi
from tmebox.abi import Base

SOURCE = Path(__file__).with_name("interrupts.c")
EVIL = abi.CODE_BASE + 12345
RETURN_GATES = {"gs": abi.GATE_BASE + 0xC0, "r15": abi.GATE_BASE + 0x80}
"""Where host calls come back through, without a check and with one: see native/enter/activation.h."""
MOST_STEPS = 20_000
STRIDE = 37
"""A short run looks at every so manyth instruction, another one in each run."""


@cache
def module(base: Base) -> tmebox.Module:
    return tmebox.compile(SOURCE, base=base)


def bases() -> list[str]:
    return ["gs", "r15"] if shutil.which("gcc") else ["gs"]


def expected(sandbox: tmebox.Sandbox, round_: int) -> int:
    return int(sandbox.victim(round_))


class Attacker:
    """The handler. attempts: what it tries; all that is not refused is a finding."""

    def __init__(self, sandbox: tmebox.Sandbox, array: Any) -> None:
        self.sandbox = sandbox
        self.array = array
        self.refused: Counter[str] = Counter()
        self.succeeded: Counter[str] = Counter()

    def attempts(self) -> dict[str, Callable[[], object]]:
        sandbox, top = self.sandbox, abi.STACK_TOP
        heap = sandbox._tenancy.layout.heap_start
        evil = EVIL.to_bytes(8, "little")
        return {
            "call": lambda: sandbox.scribble(EVIL, 200),
            "call_raw": lambda: sandbox.call_raw("scribble", EVIL, 200),
            "call with a limit": lambda: sandbox.call("scribble", EVIL, 200, timeout=1.0),
            "write": lambda: sandbox.memory.write(top - 4096, evil * 500),
            "slice": lambda: sandbox.memory.__setitem__(slice(top - 64, top - 56), evil),
            "discard": lambda: sandbox.memory.discard(heap, abi.PAGE_SIZE),
            "reset": sandbox.reset,
            "snapshot": sandbox.snapshot,
            "run": sandbox.run,
            "close": sandbox.close,
            "another thread": self.on_a_thread,
        }

    def on_a_thread(self) -> None:
        caught: list[BaseException] = []

        def work() -> None:
            try:
                self.sandbox.scribble(EVIL, 200)
            except BaseException as error:
                caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        for error in caught:
            raise error

    def __call__(self, *_: object) -> None:
        self.array[:] = EVIL
        for name, attempt in self.attempts().items():
            try:
                attempt()
            except (tmebox.SandboxBusy, tmebox.ModuleError):
                self.refused[name] += 1
            else:
                self.succeeded[name] += 1


def child(base: Base, rounds: int, result_file: str) -> None:
    """Calls `victim` so often. What it saw goes to the file."""
    sandbox = tmebox.Sandbox(module(base), imports={"hop": lambda value: value + 1})
    array = sandbox.array(64, "u8")
    attacker = Attacker(sandbox, array)
    right = [expected(sandbox, number) for number in range(8)]
    signal.signal(signal.SIGUSR1, attacker)
    _native.install_handlers()
    # To this thread alone: another one would take a signal for the process, and stop all threads.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
    wrong: list[tuple[int, object, int]] = []
    for number in range(rounds):
        try:
            result: object = expected(sandbox, number % 8)
        except Exception as error:
            result = repr(error)
        if result != right[number % 8]:
            wrong.append((number, result, right[number % 8]))
    with open(result_file, "wb") as file:
        pickle.dump((attacker.refused, attacker.succeeded, wrong), file)
    os._exit(0)


def stop_at(stepper: Stepper, number: int, gate: int) -> bool:
    """From the beginning of a call: up to its instruction `number`. False: it has fewer."""
    seen, address, signal_ = 0, stepper.registers().rip, 0
    for _ in range(MOST_STEPS):
        if seen == number:
            return True
        left_by, before = address, in_code_region(address)
        signal_ = stepper.step(signal_ if signal_ in (signal.SIGSEGV, signal.SIGBUS) else 0)
        address = stepper.registers().rip
        seen += before
        if before and not in_code_region(address) and signal_ == signal.SIGTRAP:
            if abi.GATE_EXIT <= left_by < abi.GATE_EXIT + 16:
                return False
            if left_by < abi.GATE_BASE + 16:  # a host call
                stepper.run_to(gate)
                address, signal_ = gate, 0
    return False


def interrupt(base: Base, numbers: list[int], tally: Tally) -> bool:
    """Stops one call after the other at the instructions of these numbers. Whether all were there."""
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "result"))
        stepper = Stepper(lambda: child(base, len(numbers), file))
        victim, done = module(base).address_of("victim"), True
        try:
            for number in numbers:
                stepper.run_to(victim)
                if not stop_at(stepper, number, RETURN_GATES[base]):
                    done = False
                    continue
                stopped_at = stepper.registers().rip
                tally.count("instructions interrupted")
                stepper.step(signal.SIGUSR1)
            number_ = 0
            while True:
                number_ = stepper.go(number_ if number_ in (signal.SIGSEGV, signal.SIGBUS) else 0)
        except Ended as end:
            if end.status != 0:
                tally.findings.append(f"{base}: the host ended with status {end.status}, at {stopped_at:#x}")
                return done
        finally:
            with contextlib.suppress(OSError):
                stepper.kill()
        refused, succeeded, wrong = pickle.loads(Path(file).read_bytes())
    tally.count("attempts refused", sum(refused.values()))
    if not refused:
        tally.findings.append(f"{base}: the handler never ran")
    for name, times in succeeded.items():
        tally.findings.append(f"{base}: {name} was not refused, {times} times, instructions {numbers}")
    for call, result, right in wrong:
        tally.findings.append(f"{base}: stopped at instruction {numbers[call]}, {result} instead of {right}")
    return done


class Interrupts:
    name = "interrupts"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        tally = Tally()
        begin = state if isinstance(state, int) else seed
        for base in bases():
            module(base)
        turn = 0
        while turn == 0 or (time.monotonic() < deadline_s and turn < STRIDE):
            first = (begin + turn) % STRIDE
            for base in bases():
                numbers = list(range(first, MOST_STEPS, STRIDE))
                while numbers and interrupt(base, numbers[:8], tally):
                    numbers = numbers[8:]
            turn += 1
        return tally, (begin + turn) % STRIDE


PART = Interrupts()
