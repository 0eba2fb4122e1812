"""Time limits for steps of the toolchain that are Python: their input is as untrusted as a compiler's.

A step looks at the time now and then: per function, per many lines. It need not be told which limit is its
own: that belongs to its thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tmebox.errors import CompileError

Item = TypeVar("Item")
_LINES = 256
"""After how many of them a step looks at the time."""


class _Limits(threading.local):
    end_s = float("inf")
    timeout_s = 0.0
    stop: threading.Event | None = None


_limits = _Limits()


@contextmanager
def limited(timeout_s: float, stop: threading.Event | None = None) -> Iterator[None]:
    """What this thread does inside may take so many seconds of processor time, without what child processes
    take, which have limits of their own. stop: ends it once it is set. The outermost limit holds."""
    if _limits.end_s != float("inf"):
        yield
        return
    _limits.end_s, _limits.timeout_s, _limits.stop = time.thread_time() + timeout_s, timeout_s, stop
    try:
        yield
    finally:
        _limits.end_s, _limits.stop = float("inf"), None


def watched(items: Iterable[Item]) -> Iterator[Item]:
    """The items, with a look at the time now and then."""
    for number, item in enumerate(items):
        if number % _LINES == 0:
            look()
        yield item


def look() -> None:
    """Raises CompileError if this thread's time is over, or nobody waits for what it does."""
    if _limits.stop is not None and _limits.stop.is_set():
        raise CompileError("interrupted")
    if time.thread_time() > _limits.end_s:
        raise CompileError(f"making it fit for a sandbox took longer than {_limits.timeout_s:g} s")
