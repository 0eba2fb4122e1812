"""Writes that wait: all of the data, or none yet, as few programs expect less of a pipe or a connection."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SECOND, SLICE_NS

UNFINISHED_MAX = 16
"""Of one description: of threads, and of handlers that interrupt each other."""


class WholeWrites:
    """A call that took longer than a slice is repeated by the guest, and goes on where it was.

    Others may come before: of handlers, and of other threads. What was begun is known again by its data, of
    which only a hash is kept: a guest that finds two with the same one cuts its own writes short. Equal data
    of several calls may take each other's turns, since they are equal. What is never repeated is forgotten
    once there is too much of it.
    """

    def __init__(self) -> None:
        self._unfinished: dict[tuple[int, int], int] = {}
        """(size, hash) → bytes that are written, the last asked for at the end."""

    @property
    def has_unfinished(self) -> bool:
        """Whether the beginning of something is written."""
        return bool(self._unfinished)

    def go(
        self,
        data: bytes,
        begun: int,
        attempt: Callable[[memoryview], int | None],
        ready: Callable[[float], bool],
    ) -> int:
        """begun: bytes that are written already, if this is no repetition. attempt(rest): how many were
        written, or None for "not now". ready(wait_ms): whether to try again. Raises EINTR for "repeat it"."""
        done = begun or self._begun(data)
        rest = memoryview(data)
        end_s = time.monotonic() + SLICE_NS / SECOND
        while done < len(data):
            try:
                count = attempt(rest[done:])
            except OSError:
                if done:
                    break
                raise
            done += count or 0
            left_s = end_s - time.monotonic()
            waits = count is None and not ready(max(left_s, 0) * 1e3)
            if (waits or left_s <= 0) and done < len(data):
                self._keep(data, done)
                raise failure(errno.EINTR)
        return done

    def _begun(self, data: bytes) -> int:
        if not any(size == len(data) for size, _ in self._unfinished):
            return 0
        return self._unfinished.pop((len(data), hash(data)), 0)

    def _keep(self, data: bytes, done: int) -> None:
        if not done:
            return
        self._unfinished[len(data), hash(data)] = done
        if len(self._unfinished) > UNFINISHED_MAX:
            del self._unfinished[next(iter(self._unfinished))]
