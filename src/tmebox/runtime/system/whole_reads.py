"""Reads that wait for all that was asked for: recv() with MSG_WAITALL."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SECOND, SLICE_NS


class WholeReads:
    """A call that took longer than a slice is repeated by the guest, and goes on where it was: what has come
    is in the guest's memory, and here is kept only how much that is."""

    def __init__(self) -> None:
        self._unfinished: tuple[int, int] | None = None
        self._done = 0

    def go(self, call: tuple[int, int], size_bytes: int, attempt: Callable[[int], int]) -> int:
        """call: where to and how much, by which a repetition is known. attempt(done): how many bytes came
        after those, 0 at the end; it raises EINTR after a slice without any. Raises EINTR for "repeat it"."""
        done = self._done if call == self._unfinished else 0
        self._unfinished = None
        end_s = time.monotonic() + SLICE_NS / SECOND
        while done < size_bytes:
            try:
                count = attempt(done)
                if count and done + count < size_bytes and time.monotonic() >= end_s:
                    done += count
                    raise failure(errno.EINTR)
            except InterruptedError:
                self._unfinished, self._done = call, done
                raise
            except (OSError, IndexError):
                if done:
                    break
                raise
            if not count:
                break
            done += count
        return done
