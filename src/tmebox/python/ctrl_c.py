"""Ctrl-C while a program runs: KeyboardInterrupt in the program first, so that the interpreter goes on."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def heard_by(interrupt: Callable[[], None], host_runs: Callable[[], bool]) -> Iterator[list[int]]:
    """On the main thread, and if nobody else handles Ctrl-C: the first one calls `interrupt`. A second one,
    or one while a function of the host runs, raises KeyboardInterrupt as ever. The list has what was
    heard."""
    heard: list[int] = []
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield heard
        return

    def hear(number: int, frame: object) -> None:
        if heard or host_runs():
            raise KeyboardInterrupt
        heard.append(number)
        interrupt()

    signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
