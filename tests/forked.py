"""Run a function in a forked child that may crash, hang or be killed without harming the test run."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ChildOutcome:
    """How a child ended: with a value, an exception, a signal, an exit status, or not at all.

    `error` is the traceback's text; `signal` the signal's number.
    """

    value: Any = None
    error: str | None = None
    signal: int | None = None
    exit_status: int | None = None
    hung: bool = False

    def result(self) -> Any:
        """The value; AssertionError if the child ended in any other way."""
        if self.hung:
            raise AssertionError(f"the child hung and was killed\n{self.error or ''}")
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            raise AssertionError(f"the child was killed by {name}")
        if self.error is not None:
            raise AssertionError(f"in the child:\n{self.error}")
        if self.exit_status:
            raise AssertionError(f"the child exited with status {self.exit_status}")
        return self.value


def run_forked(function: Callable[[], Any], *, timeout_s: float = TIMEOUT_S) -> ChildOutcome:
    """Call `function` in a child. Its result must pickle. Everything it forks dies with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(function, writing)
    os.close(writing)
    try:
        message, hung = _collect(reading, time.monotonic() + timeout_s)
    finally:
        os.close(reading)
        _kill_group(child)
    _, status = os.waitpid(child, 0)
    if hung:
        return ChildOutcome(hung=True)
    if message:
        value, error = pickle.loads(message)
        return ChildOutcome(value=value, error=error)
    if os.WIFSIGNALED(status):
        return ChildOutcome(signal=os.WTERMSIG(status))
    return ChildOutcome(exit_status=os.WEXITSTATUS(status))


def _child(function: Callable[[], Any], writing: int) -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        gc.freeze()
        try:
            message = pickle.dumps((function(), None))
        except BaseException:
            message = pickle.dumps((None, traceback.format_exc()))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(message)
        status = 0
    finally:
        os._exit(status)


def _collect(reading: int, deadline: float) -> tuple[bytes, bool]:
    """(all that the child wrote, whether it was still writing at the deadline)."""
    pieces: list[bytes] = []
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return b"".join(pieces), True
        piece = os.read(reading, 1 << 16)
        if not piece:
            return b"".join(pieces), False
        pieces.append(piece)


def _kill_group(child: int) -> None:
    """The child has its own process group, but may not have come to making it."""
    for kill in (os.killpg, os.kill):
        try:
            kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
