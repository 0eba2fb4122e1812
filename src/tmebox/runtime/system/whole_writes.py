"""Writes that wait: all of the data, or none yet, as few programs expect less of a pipe or a connection."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SECOND, SLICE_NS


class WholeWrites:
    """A call that took longer than a slice is repeated by the guest, and goes on where it was."""

    def __init__(self) -> None:
        self._unfinished = b""
        self._done = 0

    def go(
        self,
        data: bytes,
        begun: int,
        attempt: Callable[[memoryview], int | None],
        ready: Callable[[float], bool],
    ) -> int:
        """begun: bytes that are written already, if this is no repetition. attempt(rest): how many were
        written, or None for "not now". ready(wait_ms): whether to try again. Raises EINTR for "repeat it"."""
        done = self._done if data == self._unfinished else begun
        self._unfinished, self._done = b"", 0
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
                self._unfinished, self._done = data, done
                raise failure(errno.EINTR)
        return done
