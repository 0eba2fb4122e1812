"""Host-made memory inside a window: arrays the user asked for and copies of arguments during a call.

It lies beyond the reach of the sandbox's stack pointer: other host threads may write an array while the
sandbox runs, and a return address that someone else can write would not stay what was checked. The sandbox
may scribble over it like over all of its memory; the bookkeeping is on the host.
"""

from __future__ import annotations

import threading
from collections import deque

from tmebox import _native, abi
from tmebox.errors import LimitError, SandboxClosed
from tmebox.memory.windows import Window

ALIGN = 64
CHUNK = 64 * abi.KIB
ZEROS = memoryview(bytes(64 * abi.KIB))


class Block:
    """Keeps a window, and an allocation in it, alive while Python looks at it."""

    def __init__(self, window: Window, arena: Arena, offset: int) -> None:
        self._window = window
        self._arena = arena
        self._offset = offset

    def __del__(self) -> None:
        self._arena.free(self._offset)


class Arena:
    """First-fit allocator over [start, limit), mapped in chunks as it grows."""

    def __init__(self, window: Window, limit_bytes: int) -> None:
        start = abi.ARENA_START
        window.show(start, window.arena_end - start, True)
        self._window: Window | None = window
        self._lock = threading.Lock()
        self._free: list[tuple[int, int]] = [(start, window.arena_end - start)]
        self._sizes: dict[int, int] = {}
        self._end = window.arena_end
        self._dirty_end = start  # from here on, nothing was ever handed out: it is zero
        self._limit = min(start + limit_bytes, abi.ARENA_END)
        # Finalizers may run at any moment in any thread, also inside allocate(): they only queue.
        self._returned: deque[int] = deque()

    def close(self) -> None:
        """Let go of the window, so that it can be recycled; nothing can be allocated any more."""
        self._window = None

    def allocate(self, size_bytes: int) -> int:
        """Offset of `size_bytes` (aligned to 64, contents undefined). Raises LimitError."""
        size = max(ALIGN, -(-size_bytes // ALIGN) * ALIGN)
        with self._lock:
            self._take_back()
            for index, (offset, available) in enumerate(self._free):
                if available >= size:
                    return self._take(index, offset, available, size)
            self._grow(size)
            index = len(self._free) - 1
            offset, available = self._free[index]
            return self._take(index, offset, available, size)

    def scrub(self) -> None:
        """Zero what was handed out and came back, so that nobody finds it here. The caller holds the window,
        and no call runs."""
        window = self._window
        if window is None:
            return
        with self._lock:
            self._take_back()
            for offset, size_bytes in self._free:
                for start in range(offset, min(offset + size_bytes, self._dirty_end), len(ZEROS)):
                    end = min(start + len(ZEROS), offset + size_bytes, self._dirty_end)
                    _native.write(window.base + start, ZEROS[: end - start])
            self._dirty_end = max((offset + size for offset, size in self._sizes.items()), default=0)

    @property
    def is_used(self) -> bool:
        """Whether anything handed out has not come back."""
        with self._lock:
            self._take_back()
            return bool(self._sizes)

    def free(self, offset: int) -> None:
        """Give an allocation back; safe to call from a finalizer."""
        self._returned.append(offset)

    def _take_back(self) -> None:
        while self._returned:
            self._release(self._returned.popleft())

    def _take(self, index: int, offset: int, available: int, size: int) -> int:
        if available == size:
            del self._free[index]
        else:
            self._free[index] = (offset + size, available - size)
        self._sizes[offset] = size
        self._dirty_end = max(self._dirty_end, offset + size)
        return offset

    def _release(self, offset: int) -> None:
        size = self._sizes.pop(offset)
        position = next((i for i, (start, _) in enumerate(self._free) if start > offset), len(self._free))
        self._free.insert(position, (offset, size))
        for left in (position, position - 1):
            if 0 <= left < len(self._free) - 1:
                (start, length), (next_start, next_length) = self._free[left], self._free[left + 1]
                if start + length == next_start:
                    self._free[left : left + 2] = [(start, length + next_length)]

    def _grow(self, size: int) -> None:
        at_the_end = bool(self._free) and sum(self._free[-1]) == self._end
        missing = size - (self._free[-1][1] if at_the_end else 0)
        chunk = -(-missing // CHUNK) * CHUNK
        if self._end + chunk > self._limit:
            chunk = -(-missing // abi.PAGE_SIZE) * abi.PAGE_SIZE
        if self._end + chunk > self._limit:
            raise LimitError(
                f"no room for {size:,} bytes of host arrays and arguments in this sandbox; give it more "
                "memory= or drop arrays that are no longer needed"
            )
        if self._window is None:
            raise SandboxClosed("the sandbox is closed; its memory is gone")
        self._window.grow_arena(self._end + chunk)
        if at_the_end:
            start, length = self._free[-1]
            self._free[-1] = (start, length + chunk)
        else:
            self._free.append((self._end, chunk))
        self._end += chunk
