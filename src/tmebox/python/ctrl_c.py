"""Ctrl-C while a program runs: KeyboardInterrupt in the program first, so that the interpreter goes on."""

from __future__ import annotations

import _signal
import signal
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tmebox.python.interpreter import Python

# Those of `signal` make members of enumerations: that would be a tenth of a short run.
_get: Callable[[int], Any] = _signal.getsignal
_set: Callable[[int, Any], Any] = _signal.signal
SIGINT = int(signal.SIGINT)


class Listener:
    """On the main thread, and if nobody else handles Ctrl-C: from `begin` to `end` the first one interrupts
    the program. A second one, or one while a function of the host runs, raises KeyboardInterrupt as ever.

    Any statement may be left for an exception of a handler's, those of `end` too. So whoever calls it sets
    `on` to False first, which is one step: a handler that stays behind does what Python's own does, and goes
    with the next Ctrl-C or the next `begin` and `end`."""

    __slots__ = ("_host_runs", "_python", "heard", "on")

    def __init__(self, python: weakref.ref[Python], host_runs: Callable[[], bool]) -> None:
        self._python = python
        self._host_runs = host_runs
        self.heard = False
        self.on = False

    def begin(self) -> bool:
        """Whether there is something to end."""
        self.heard = False
        if threading.get_ident() != threading.main_thread().ident or not _is_usual(_get(SIGINT)):
            return False
        self.on = True
        _set(SIGINT, self._hear)
        return True

    def end(self) -> None:
        """Python's own again, unless a function of the host's has set another one meanwhile."""
        if _get(SIGINT) == self._hear:
            _set(SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: object) -> None:
        if not self.on:
            self.end()
        python = self._python()
        if self.heard or not self.on or python is None or self._host_runs():
            raise KeyboardInterrupt
        self.heard = True
        python.interrupt()


def _is_usual(handler: Any) -> bool:
    """Python's own, or what an `end` that was left has not taken away."""
    if handler is signal.default_int_handler:
        return True
    listener = getattr(handler, "__self__", None)
    return isinstance(listener, Listener) and not listener.on
