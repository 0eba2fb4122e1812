"""Several programs side by side, of which one runs at a time, for a twentieth of a second.

A machine that others work on is fast in one second and slow in the next: by a third and more. Who is measured
in turns that are short beside that meets the same machine. Outside of its turn a program is stopped, with its
server, if it loads one. So processor time and amounts of work can be compared, and no latency.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tmebox_bench.processors import cpus, kept_on
from tmebox_bench.runners import RunError

TURN_S: Final = 0.05
MOST_S: Final = 600.0
"""A program that has not ended after so much time of its own does not end."""


@dataclass(frozen=True)
class Program:
    """A command, for the last processor. server: process ID of what it loads. cwd: where it runs."""

    command: Sequence[str]
    server: int | None = None
    cwd: Path | None = None


@dataclass(frozen=True)
class Taken:
    """What a program printed, and how long it was its turn."""

    output: str
    spent_s: float


def in_turns(programs: Sequence[Program]) -> list[Taken]:
    """Run them until all have ended. Their servers run again then.

    Raises RunError for a program that fails, or does not end.
    """
    with ExitStack() as stack:
        all_running = []
        for program in programs:
            output, messages = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            one = _Running(program, output, messages)
            stack.callback(_send, program.server, signal.SIGCONT)
            stack.callback(one.kill)
            all_running.append(one)
        for program in programs:
            _send(program.server, signal.SIGSTOP)
        forwards = True
        while waiting := [one for one in all_running if not one.is_over]:
            for one in waiting if forwards else waiting[::-1]:
                one.take_turn()
                if one.spent_s > MOST_S:
                    raise RunError(f"{one.program.command[-1]}: no end in {MOST_S:.0f} s")
            forwards = not forwards
        return [one.taken() for one in all_running]


@dataclass
class _Running:
    program: Program
    output: IO[bytes]
    messages: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    spent_s: float = 0.0
    is_over: bool = False

    def take_turn(self) -> None:
        begun = time.monotonic()
        _send(self.program.server, signal.SIGCONT)
        if self.process is None:
            self.process = subprocess.Popen(
                [*kept_on(cpus()[-1:]), *self.program.command],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.messages,
                cwd=self.program.cwd,
            )
        else:
            self.process.send_signal(signal.SIGCONT)
        self.is_over = _ends_within(self.process, TURN_S)
        if not self.is_over:
            self.process.send_signal(signal.SIGSTOP)
        self.spent_s += time.monotonic() - begun
        _send(self.program.server, signal.SIGSTOP)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def taken(self) -> Taken:
        assert self.process is not None
        status = self.process.wait()
        text, said = (_text(one) for one in (self.output, self.messages))
        if status:
            raise RunError(f"{self.program.command[0]} ended with {status}: {(text + said)[-500:]}")
        return Taken(text, self.spent_s)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """As Popen.wait with a timeout, which looks at its process too seldom to be of use here."""
    if process.poll() is not None:
        return True
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _send(process: int | None, number: int) -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            os.kill(process, number)
