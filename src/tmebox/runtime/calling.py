"""What one thread's call of a sandbox has of its own."""

from __future__ import annotations

from typing import NamedTuple

from tmebox.runtime.system import System


class Calling(NamedTuple):
    """What one thread's call has that others have not: its time limit, and a program its world."""

    timeout_s: float
    program: System | None
