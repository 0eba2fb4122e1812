"""The hostile sandboxes of `tmebox demo`: what each tries, and what must come of it."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tmebox
from tmebox.errors import (
    CompileError,
    ControlFlowViolation,
    MemoryFault,
    OutOfMemory,
    SandboxClosed,
    StackOverflow,
    Timeout,
    TmeboxError,
    Trap,
    VerificationError,
)

FOLDER = Path(__file__).parent
MEMORY = "16MiB"
TIME_LIMIT_S = 0.2
SECRET_BYTES = 4096
OVERFLOWING_WORDS = 64
CONSTANT = bytes.fromhex("9090900f05c39090")
"""The constant in attacks.c, and a code sequence for which to exchange the instruction that loads it:"""
MOVABS_CONSTANT = b"\x48\xb8" + CONSTANT
SMUGGLED = bytes.fromhex("b83c000000 31ff 0f05 90".replace(" ", ""))
"""mov $60,%eax; xor %edi,%edi; syscall; nop: exit(0) of the whole process."""


class NotStopped(TmeboxError):
    """An attack that was not stopped, or not in the way it has to be."""


@dataclass(frozen=True)
class Outcome:
    """How one attack ended. `duration_s` is from its start until the host had control again."""

    attack: str
    tried: str
    stopped_by: str
    duration_s: float


@dataclass(frozen=True)
class Attack:
    """`run(sandbox, victim)` starts it; it must end in exactly the exception `stopped_by`, or a subclass. If
    that is None, it must return 1, which says that it was for nothing, because of `missed`."""

    name: str
    tried: str
    run: Callable[[Any, Victim], object]
    stopped_by: type[Trap] | None
    missed: str = ""


class Victim:
    """What the attacks are after: a secret of the host, and a neighbour that goes about its work."""

    def __init__(self, module: tmebox.Module) -> None:
        self.secret = np.frombuffer(os.urandom(SECRET_BYTES), np.uint8).copy()
        self._before = self.secret.tobytes()
        self.neighbour = tmebox.Sandbox(module, memory=MEMORY)

    @property
    def address(self) -> int:
        return int(self.secret.ctypes.data)

    @property
    def pattern(self) -> int:
        return int(self.secret[:8].view(np.uint64)[0])

    def check(self) -> None:
        """Raise NotStopped unless everything is as it was."""
        if self.secret.tobytes() != self._before:
            raise NotStopped("host memory was overwritten")
        if self.neighbour.alive(41) != 42:
            raise NotStopped("the neighbour's answers are wrong")

    def close(self) -> None:
        self.neighbour.close()


ATTACKS: tuple[Attack, ...] = (
    Attack(
        "read host memory",
        "reads upwards from the true address of a secret in this process",
        lambda sandbox, victim: sandbox.read_host(victim.address, victim.pattern),
        MemoryFault,
    ),
    Attack(
        "wild write",
        "writes upwards from the true address of an array in this process",
        lambda sandbox, victim: sandbox.write_host(victim.address),
        MemoryFault,
    ),
    Attack(
        "jump into an instruction",
        "calls the sixth byte of a function, where a constant reads as `syscall`",
        lambda sandbox, victim: sandbox.jump_into_instruction(),
        ControlFlowViolation,
    ),
    Attack(
        "overwrite a return address",
        "writes past a local array until all that is near is the address of another function",
        lambda sandbox, victim: sandbox.overwrite_return_address(OVERFLOWING_WORDS),
        None,
        "nothing: it returned to its caller, whose address is on a stack that no pointer reaches",
    ),
    Attack("endless loop", "never returns", lambda sandbox, victim: sandbox.endless_loop(), Timeout),
    Attack(
        "stack overflow",
        "calls itself for ever",
        lambda sandbox, victim: sandbox.overflow_stack(0),
        StackOverflow,
    ),
    Attack(
        "memory bomb",
        "allocates and fills memory for ever",
        lambda sandbox, victim: sandbox.memory_bomb(),
        OutOfMemory,
    ),
)


def run_attack(attack: Attack, module: tmebox.Module, victim: Victim) -> Outcome:
    """Run one attack in a sandbox of its own. Raises NotStopped if anything but the right trap came of it."""
    with tmebox.Sandbox(module, memory=MEMORY, timeout=TIME_LIMIT_S) as sandbox:
        started = time.perf_counter()
        try:
            result = attack.run(sandbox, victim)
        except Trap as trap:
            if attack.stopped_by is None or not isinstance(trap, attack.stopped_by):
                raise
            elapsed_s = time.perf_counter() - started
            stopped_by = f"{type(trap).__name__}: {trap}"
        else:
            elapsed_s = time.perf_counter() - started
            if attack.stopped_by is not None or result != 1:
                raise NotStopped(f"{attack.name}: came back with {result!r}")
            victim.check()
            return Outcome(attack.name, attack.tried, attack.missed, elapsed_s)
        victim.check()
        try:
            sandbox.alive(1)
        except SandboxClosed:
            return Outcome(attack.name, attack.tried, stopped_by, elapsed_s)
        raise NotStopped(f"{attack.name}: the sandbox goes on after its trap")


def refuse_system_call(module: tmebox.Module) -> list[Outcome]:
    """A `syscall` instruction, first in source, then written into a finished module past the compiler."""
    started = time.perf_counter()
    try:
        tmebox.compile(FOLDER / "syscall.c")
    except CompileError as error:
        in_source = Outcome(
            "raw system call", "inline assembly: `syscall`", _first_line(error), time.perf_counter() - started
        )
    else:
        raise NotStopped("raw system call: source with `syscall` was compiled")
    forged = _smuggle_system_call(module)
    started = time.perf_counter()
    try:
        tmebox.Module(forged)
    except VerificationError as error:
        stopped_by = f"VerificationError: {error.violations[0]}"
        return [
            in_source,
            Outcome(
                "", "the same, patched into the finished module", stopped_by, time.perf_counter() - started
            ),
        ]
    raise NotStopped("raw system call: a module with `syscall` was loaded")


def _smuggle_system_call(module: tmebox.Module) -> Any:
    text = module.file.text
    if text.count(MOVABS_CONSTANT) != 1:
        raise NotStopped("raw system call: the place to patch is not in the module")
    return dataclasses.replace(module.file, text=text.replace(MOVABS_CONSTANT, SMUGGLED))


def _first_line(error: CompileError) -> str:
    return f"CompileError: {error.diagnostics[0] if error.diagnostics else error}"
