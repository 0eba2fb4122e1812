"""What one thread's call of a sandbox has of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tmebox.runtime.system import System


class Calling(NamedTuple):
    """What one thread's call has that others have not: its time limit, and a program its world."""

    timeout_s: float
    program: System | None


@contextmanager
def calling_among(callings: dict[int, Calling], timeout_s: float, program: System | None) -> Iterator[None]:
    """Of them, by thread, this thread's has this limit and world; without a program, the outer call's."""
    thread = threading.get_ident()
    before = callings.get(thread)
    if program is None and before is not None:
        program = before.program
    callings[thread] = Calling(timeout_s, program)
    try:
        yield
    finally:
        if before is None:
            callings.pop(thread, None)
        else:
            callings[thread] = before
