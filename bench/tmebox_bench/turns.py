"""Turns: several that are measured side by side, of which one runs at a time, for a twentieth of a second.

A machine that others work on is fast in one second and slow in the next: by a third and more. Who is measured
in turns that are short beside that meets the same machine. So processor time and amounts of work can be
compared, and no latency.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Final, Protocol

TURN_S: Final = 0.05


class Turn(Protocol):
    """One of those that take turns."""

    def go(self) -> None:
        """Begin; go on, if it was stopped."""

    def ends_within(self, seconds: float) -> bool:
        """Whether it is over, at the latest after this time."""

    def stop(self) -> None:
        """Let it do nothing until `go`."""


def take_turns(turns: Sequence[Turn]) -> None:
    """Until all are over. In every other round of turns the last comes first."""
    waiting = list(turns)
    while waiting:
        waiting = [one for one in waiting if not _turn(one)][::-1]


def _turn(one: Turn) -> bool:
    one.go()
    if one.ends_within(TURN_S):
        return True
    one.stop()
    return False


def readable_within(descriptor: int, seconds: float) -> bool:
    """Whether a descriptor has something to read, or its end, at the latest after this time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
