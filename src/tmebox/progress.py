"""What long work tells the person who waits: a bar on a terminal or in a notebook, else lines in the log
`tmebox` (level INFO). Written without a package, so that `import tmebox` needs none for it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

from tmebox.shown import printable

LOG = "tmebox"
"""The name of the log."""
SILENT_S = 1.0
"""Work that takes less says nothing."""
DRAWN_EVERY_S = 0.1
LOGGED_EVERY_S = 10.0
BAR_CELLS = 24

STEPS = {
    "compile": "compiling",
    "libc": "building the C library, once",
    "libc++": "building the C++ library, once",
    "link": "linking",
    "verify": "verifying",
}
"""What people read for the names of stages."""

Report = Callable[[str, int, int], None]
"""report(step, done, total): called as long work goes on."""


_reported_to: ContextVar[Report | None] = ContextVar("tmebox progress", default=None)


@contextmanager
def to(report: Report) -> Iterator[Report]:
    """What happens in the block is reported here, and shown by nobody else."""
    token = _reported_to.set(report)
    try:
        yield report
    finally:
        _reported_to.reset(token)


@contextmanager
def shown(first_step: str, silent_s: float = SILENT_S) -> Iterator[Report]:
    """Show `first_step`, and what is reported after it, from `silent_s` seconds on, until the block ends.
    Within another such block, or one of `to`, report it there.

    A thread draws, so that the time goes on where nothing is reported for long.
    """
    outer = _reported_to.get()
    if outer is not None:
        outer(first_step, 0, 1)
        yield outer
        return
    waiting = _Waiting(first_step, silent_s)
    thread = threading.Thread(target=waiting.run, name="tmebox progress", daemon=True)
    thread.start()
    try:
        with to(waiting.report):
            yield waiting.report
    finally:
        waiting.ended.set()
        thread.join()


class _Waiting:
    """What was reported last, and the thread that shows it."""

    def __init__(self, first_step: str, silent_s: float) -> None:
        self.ended = threading.Event()
        self._silent_s = silent_s
        self._state = (first_step, 0, 0)

    def report(self, step: str, done: int, total: int) -> None:
        self._state = (step, done, total)

    def run(self) -> None:
        started = time.monotonic()
        if self.ended.wait(self._silent_s):
            return
        line = Line.of(sys.stderr)
        every_s = LOGGED_EVERY_S if line is None else DRAWN_EVERY_S
        while True:
            step, done, total = self._state
            text = described(STEPS.get(step, step), done, total, time.monotonic() - started)
            if line is None:
                import logging  # only where work is long: a compiler's start waits for it

                logging.getLogger(LOG).info("%s", text)
            else:
                line.write(f"tmebox: {text}")
            if self.ended.wait(every_s):
                break
        if line is not None:
            line.clear()


class Bar:
    """A bar for `total` items, if that is known: on a terminal or in a notebook, else nothing is shown."""

    def __init__(self, title: str, total: int | None) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._next = 0.0
        self._line = Line.of(sys.stderr)
        self._draw()

    def advance(self) -> None:
        self._done += 1
        if time.monotonic() >= self._next or self._done == self._total:
            self._draw()

    def close(self) -> None:
        """Idempotent. The last state stays to be read."""
        if self._line is not None:
            self._draw()
            self._line.end()
            self._line = None

    def _draw(self) -> None:
        if self._line is not None:
            elapsed_s = time.monotonic() - self._started
            self._line.write(described(self._title, self._done, self._total, elapsed_s))
            self._next = time.monotonic() + DRAWN_EVERY_S


def described(what: str, done: int, total: int | None, elapsed_s: float) -> str:
    """One line: what is done, how far it is and how long it has taken."""
    what = printable(what)
    if total is None:
        return f"{what} {done}, {elapsed_s:.0f} s"
    if total <= 1:
        return f"{what}, {elapsed_s:.0f} s"
    filled = BAR_CELLS * min(done, total) // total
    return f"{what} [{'#' * filled}{'.' * (BAR_CELLS - filled)}] {done}/{total}, {elapsed_s:.0f} s"


class Line:
    """One line of a stream, written over and over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._width = 0

    @classmethod
    def of(cls, stream: TextIO | None) -> Line | None:
        """None for what is no terminal and no notebook."""
        is_notebook = type(stream).__module__.startswith("ipykernel")
        try:
            return cls(stream) if stream is not None and (is_notebook or stream.isatty()) else None
        except (OSError, ValueError):  # closed
            return None

    def write(self, text: str) -> None:
        import shutil

        text = text[: shutil.get_terminal_size().columns - 1]
        self._put("\r" + text.ljust(self._width))
        self._width = len(text)

    def clear(self) -> None:
        self._put("\r" + " " * self._width + "\r")
        self._width = 0

    def end(self) -> None:
        self._put("\n")

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # a terminal that went away is no reason for the work to fail
            pass
