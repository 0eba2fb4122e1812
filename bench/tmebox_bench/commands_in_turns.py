"""Commands that take turns: outside of its own each is stopped, with its server, if it loads one."""

from __future__ import annotations

import os
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
from tmebox_bench.turns import readable_within, take_turns

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
        take_turns(all_running)
        return [one.taken() for one in all_running]


@dataclass
class _Running:
    program: Program
    output: IO[bytes]
    messages: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    spent_s: float = 0.0
    begun_s: float = 0.0

    def go(self) -> None:
        self.begun_s = time.monotonic()
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

    def ends_within(self, seconds: float) -> bool:
        assert self.process is not None
        if not _ends_within(self.process, seconds):
            return False
        self._end_of_turn()
        return True

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self._end_of_turn()
        if self.spent_s > MOST_S:
            raise RunError(f"{self.program.command[-1]}: no end in {MOST_S:.0f} s")

    def _end_of_turn(self) -> None:
        self.spent_s += time.monotonic() - self.begun_s
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
        return readable_within(descriptor, seconds)
    finally:
        os.close(descriptor)


def _send(process: int | None, number: int) -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            os.kill(process, number)
