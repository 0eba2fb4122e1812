"""Runs random machine code that the verifier accepts, and looks where it faults and what it changes.

Whatever was accepted may stop in any way inside its window. An access anywhere else mostly hits no memory:
so the address of each fault tells, and neighbours with known contents tell the rest.
"""

from __future__ import annotations

import random
import signal
from typing import Any

from tests.campaign import texts
from tests.campaign.batches import Batches, Outcome
from tmebox import Module, _native, abi
from tmebox.errors import VerificationError
from tmebox.memory.contents import Contents, Layout
from tmebox.memory.windows import WINDOWS, Window
from tmebox.runtime import tenancy  # noqa: F401  (configures the core)

BATCH = 150
LIMIT_S = 0.01
STACK_BYTES = 256 * abi.KIB
WIDEST_ACCESS = 64
SI_KERNEL = 0x80
PATTERN = bytes(range(256)) * (texts.MAPPED_BYTES // 256)


class Stopped(Exception):
    """What the core says of a trap: (signal, code, fault_address, instruction_address, access, …)."""


def window() -> Window:
    end = abi.IMAGE_START + texts.MAPPED_BYTES
    layout = Layout(abi.STACK_TOP - STACK_BYTES, end, end, (), texts.MAPPED_BYTES)
    return WINDOWS.acquire(WINDOWS.template(Contents(layout, ())))


def instance(own: Window, base: str) -> _native.Instance:
    low, high = own.base + abi.STACK_TOP - STACK_BYTES, own.base + abi.STACK_TOP
    return _native.Instance(own.base, low, high, Stopped, base == "r15", True, LIMIT_S, base == "gs")


def judge(window_: Window, module: Module, trap: tuple[Any, ...]) -> tuple[str, str | None]:
    """What kind of end it is, and what is wrong with it, if anything."""
    number, code, fault, address, access = trap[:5]
    text_end = module.address + len(module.file.text)
    if not module.address <= address < text_end and not abi.GATE_BASE <= address < abi.CODE_END:
        return "elsewhere", f"it executed {address:#x}, outside of its text"
    if number == 0:
        return "time limit", None
    if number not in (signal.SIGSEGV, signal.SIGBUS):
        return signal.Signals(number).name, None
    if code == SI_KERNEL and fault == 0:
        own = module.file.text[address - module.address :] if address < abi.GATE_BASE else texts.HLT
        return "hlt" if own.startswith(texts.HLT) else "general protection", None
    if access == 2:
        return "elsewhere", f"it went to {fault:#x}"
    in_window = window_.base - abi.GUARD <= fault < window_.base + abi.WINDOW_SIZE + WIDEST_ACCESS
    in_map = abi.TARGET_MAP <= fault < abi.TARGET_MAP_END and access == 0
    return "fault in the window", None if in_window or in_map else f"it touched {fault:#x}, not its memory"


class Lab:
    """Three windows in a row, where there are; the one in the middle is the attacker's."""

    def __init__(self) -> None:
        _native.install_handlers()
        windows = sorted((window() for _ in range(3)), key=lambda one: one.base)
        self.below, self.own, self.above = windows
        for neighbour in (self.below, self.above):
            _native.write(neighbour.base + abi.IMAGE_START, PATTERN)
        self.values = [
            *texts.INTERESTING,
            self.below.base,
            self.above.base,
            self.own.base,
            id(self.values_of),
        ]
        self.instances = {base: instance(self.own, base) for base in ("gs", "r15")}

    def values_of(self) -> list[int]:
        return [value % (1 << 64) for value in self.values]

    def changed(self) -> bool:
        """Whether a neighbour is not what it was."""
        return any(
            _native.read(neighbour.base + abi.IMAGE_START, len(PATTERN)) != PATTERN
            or any(_native.read(neighbour.base + abi.STACK_TOP - 4096, 4096 - 16))
            for neighbour in (self.below, self.above)
        )

    def run(self, rng: random.Random, base: str, outcome: Outcome) -> None:
        code, starts, depths = texts.random_text(rng, base, self.values_of())
        labels = rng.sample(starts, min(len(starts), rng.randint(0, 3)))
        outcome.counts["texts tried"] += 1
        try:
            module = Module(texts.module_file(code, base, labels, depths))
        except VerificationError:
            return
        outcome.counts["texts accepted and run"] += 1
        arguments = [rng.choice(self.values_of()) for _ in range(6)]
        try:
            self.instances[base].call(module.address_of("f"), arguments, (), b"", -1.0)
            kind, wrong = "return", None
        except Stopped as stop:
            kind, wrong = judge(self.own, module, stop.args)
            self.instances[base].reset(1 << 20)
            self.instances[base].revive()
        outcome.counts[f"ended by {kind}"] += 1
        if wrong is None and self.changed():
            wrong = "a neighbour's memory has changed"
        if wrong:
            outcome.findings.append(f"{base}: {wrong}: text {code.hex()}, labels {labels}, {depths}")


def batch(seed: int, number: int, only: int | None = None) -> Outcome:
    """In a child process. only: run just this one of its texts."""
    lab, outcome = Lab(), Outcome()
    for index in range(BATCH):
        if only in (None, index):
            rng = random.Random(f"{seed} {number} {index}")
            lab.run(rng, "r15" if index % 4 == 3 else "gs", outcome)
    return outcome


PART = Batches("texts", batch, prepare=texts.examples)
