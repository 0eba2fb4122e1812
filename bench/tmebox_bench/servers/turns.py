"""Several servers under load at once, of which one runs at a time, for a twentieth of a second.

A machine that others work on is fast in one second and slow in the next: by a third and more. Who is measured
in turns that are short beside that meets the same machine. Outside of its turn a server is stopped, with what
loads it, so that only requests and processor time count, and no latency.
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
from typing import IO, Final

from tmebox_bench.processors import cpus, kept_on
from tmebox_bench.servers.loads import LoadError

TURN_S: Final = 0.05
MOST_S: Final = 60.0
"""A load that has not ended after so much time of its own does not end."""


@dataclass
class Loaded:
    """A server, by process ID, and the command that loads it. spent_s: how long it has been its turn."""

    server: int
    command: Sequence[str]
    output: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    spent_s: float = 0.0
    is_over: bool = False

    def take_turn(self) -> None:
        begun = time.monotonic()
        os.kill(self.server, signal.SIGCONT)
        if self.process is None:
            self.process = subprocess.Popen(
                [*kept_on(cpus()[-1:]), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=subprocess.DEVNULL,
            )
        else:
            self.process.send_signal(signal.SIGCONT)
        self.is_over = _ends_within(self.process, TURN_S)
        if not self.is_over:
            self.process.send_signal(signal.SIGSTOP)
        self.spent_s += time.monotonic() - begun
        os.kill(self.server, signal.SIGSTOP)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


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


@dataclass(frozen=True)
class Taken:
    """What a command printed, and how long it was its turn."""

    output: str
    spent_s: float


def in_turns(commands: Sequence[tuple[int, Sequence[str]]]) -> list[Taken]:
    """commands: each with its server's process ID. Servers run again when this ends.

    Raises LoadError for a command that fails, or does not end.
    """
    with ExitStack() as stack:
        all_loaded = []
        for server, command in commands:
            output = stack.enter_context(tempfile.TemporaryFile())
            one = Loaded(server, command, output)
            stack.callback(_continue, server)
            stack.callback(one.kill)
            all_loaded.append(one)
        for one in all_loaded:
            os.kill(one.server, signal.SIGSTOP)
        forwards = True
        while waiting := [one for one in all_loaded if not one.is_over]:
            for one in waiting if forwards else waiting[::-1]:
                one.take_turn()
                if one.spent_s > MOST_S:
                    raise LoadError(f"{one.command[0]}: no end in {MOST_S:.0f} s")
            forwards = not forwards
        return [_taken(one) for one in all_loaded]


def _continue(server: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(server, signal.SIGCONT)


def _taken(one: Loaded) -> Taken:
    assert one.process is not None
    status = one.process.wait()
    one.output.seek(0)
    text = one.output.read().decode(errors="replace")
    if status:
        raise LoadError(f"{one.command[0]} ended with {status}: {text[-500:]}")
    return Taken(text, one.spent_s)
