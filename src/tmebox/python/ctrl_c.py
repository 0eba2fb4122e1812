"""Ctrl-C while a program runs: KeyboardInterrupt in the program first, so that the interpreter goes on."""

from __future__ import annotations

import _signal
import signal
import threading
from collections.abc import Callable
from typing import Any

# Those of `signal` make members of enumerations: that would be a tenth of a short run.
_get: Callable[[int], Any] = _signal.getsignal
_set: Callable[[int, Any], Any] = _signal.signal
SIGINT = int(signal.SIGINT)


class Listener:
    """On the main thread, and if nobody else handles Ctrl-C: from `begin` to `end` the first one calls
    `interrupt`. A second one, or one while a function of the host runs, raises KeyboardInterrupt as ever."""

    __slots__ = ("_host_runs", "_interrupt", "heard")

    def __init__(self, interrupt: Callable[[], None], host_runs: Callable[[], bool]) -> None:
        self._interrupt = interrupt
        self._host_runs = host_runs
        self.heard = False

    def begin(self) -> bool:
        """Whether there is something to end."""
        self.heard = False
        if (
            threading.get_ident() != threading.main_thread().ident
            or _get(SIGINT) is not signal.default_int_handler
        ):
            return False
        _set(SIGINT, self._hear)
        return True

    def end(self) -> None:
        _set(SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: object) -> None:
        if self.heard or self._host_runs():
            raise KeyboardInterrupt
        self.heard = True
        self._interrupt()
