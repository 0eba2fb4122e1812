"""Windows: 4 GiB-aligned stretches of host address space, reserved in pieces and recycled."""

from __future__ import annotations

import sys
import threading

from tmebox import _native, abi
from tmebox.errors import LimitError

FIRST_PIECE = 16
LARGEST_PIECE = 1024


class Window:
    """One window, given back to its pool when the last reference to it goes.

    Whoever shows window memory to Python (a `_native.Region`) holds a reference, so a window is never
    recycled under a NumPy array that still looks into it.
    """

    def __init__(self, base: int, pool: WindowPool) -> None:
        self.base = base
        self._pool = pool
        self._mapped: list[tuple[int, int]] = []

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._pool.recycle(self.base, self._mapped)

    def map(self, offset: int, size_bytes: int, protection: int) -> None:
        """Map zeroed private memory at `offset`. Raises LimitError when the system has none."""
        try:
            _native.map_zero(self.base + offset, size_bytes, protection)
        except OSError as error:
            raise LimitError(
                f"the system refused {size_bytes:,} bytes of sandbox memory ({error.strerror}): close "
                "sandboxes, or raise vm.max_map_count, vm.overcommit_memory or `ulimit -v`"
            ) from error
        if protection != _native.PROT_NONE and (offset, size_bytes) not in self._mapped:
            self._mapped.append((offset, size_bytes))

    def protect(self, offset: int, size_bytes: int, protection: int) -> None:
        _native.protect(self.base + offset, size_bytes, protection)

    def zero(self) -> None:
        """Replace all contents by zeros, writable, for views that outlive their sandbox."""
        for offset, size_bytes in tuple(self._mapped):
            _native.map_zero(self.base + offset, size_bytes, _native.PROT_READ | _native.PROT_WRITE)


class WindowPool:
    """Reserves address space in pieces of many windows and hands windows out, recycled ones first."""

    def __init__(self) -> None:
        # Reentrant: a window's finalizer may run while this thread is inside acquire().
        self._lock = threading.RLock()
        self._free: list[int] = []
        self._next_piece = FIRST_PIECE
        self.reserved = 0
        self.live = 0

    def acquire(self) -> Window:
        """A window with nothing mapped in it. Raises LimitError when the address space is exhausted."""
        with self._lock:
            if not self._free:
                self._reserve_piece()
            base = self._free.pop()
            self.live += 1
        return Window(base, self)

    def recycle(self, base: int, mapped: list[tuple[int, int]]) -> None:
        for offset, size_bytes in mapped:
            _native.map_zero(base + offset, size_bytes, _native.PROT_NONE)
        with self._lock:
            self._free.append(base)
            self.live -= 1

    def _reserve_piece(self) -> None:
        count = self._next_piece
        while count:
            try:
                # One window more for alignment; it also holds the guards before the first window and
                # after the last, which stack accesses and wide accesses at the very end may touch.
                start = _native.reserve(0, (count + 1) * abi.WINDOW_SIZE + 2 * abi.GUARD)
            except OSError:
                count //= 2
                continue
            first = -(-(start + abi.GUARD) // abi.WINDOW_SIZE) * abi.WINDOW_SIZE
            self._free.extend(first + index * abi.WINDOW_SIZE for index in reversed(range(count)))
            self.reserved += count
            self._next_piece = min(2 * count, LARGEST_PIECE)
            return
        raise LimitError(
            f"no address space left for another 4 GiB window ({self.live} in use): close sandboxes, or raise "
            "`ulimit -v`"
        )


WINDOWS = WindowPool()
