"""A sandbox's memory as the host sees it: bounds-checked bytes at window offsets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmebox import _native, abi
from tmebox.memory.windows import Window
from tmebox.runtime.layout import Layout


class BadPointer(IndexError):
    """An offset and size that are not (all) memory of the sandbox."""


class SandboxMemory:
    """`read`, `write`, `view` and `string` by offset; slices work too: `memory[offset:offset + 4]`.

    Offsets outside the sandbox's memory raise BadPointer (an IndexError), as do writes to its read-only
    data. Reading while a call runs on another thread sees whatever the sandbox has written so far.
    """

    def __init__(self, hold: Callable[[], Window], plan: Layout, end: Callable[[], int]) -> None:
        self._hold = hold
        self._low = plan.stack_low
        self._read_only = plan.read_only
        self._end = end

    def _check(self, offset: int, size_bytes: int, writing: bool) -> None:
        if size_bytes < 0 or offset < self._low or offset + size_bytes > self._end():
            raise BadPointer(
                f"[{offset:#x}, {offset + size_bytes:#x}) is not memory of the sandbox "
                f"([{self._low:#x}, {self._end():#x}))"
            )
        if writing:
            for start, end in self._read_only:
                if offset < end and start < offset + size_bytes:
                    raise BadPointer(f"[{offset:#x}, {offset + size_bytes:#x}) overlaps read-only data")

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Copy of `size_bytes` bytes at `offset`."""
        window = self._hold()
        self._check(offset, size_bytes, False)
        return _native.read(window.base + offset, size_bytes)

    def write(self, offset: int, data: Any) -> None:
        """Copy a buffer to `offset`."""
        window = self._hold()
        _, size_bytes, _ = _native.buffer_address(data)
        self._check(offset, size_bytes, True)
        _native.write(window.base + offset, data)

    def view(self, offset: int, size_bytes: int) -> memoryview:
        """Zero-copy writable view. It may outlive the sandbox: then it shows zeros."""
        window = self._hold()
        self._check(offset, size_bytes, True)
        return memoryview(_native.Region(window.base + offset, size_bytes, window, True))

    def string(self, offset: int, limit: int = abi.MIB) -> bytes:
        """The NUL-terminated string at `offset`, without the NUL. Raises BadPointer if none ends within
        `limit` bytes."""
        found = bytearray()
        step = 256
        while len(found) <= limit:
            available = min(step, self._end() - offset - len(found))
            piece = self.read(offset + len(found), max(available, 1))
            end = piece.find(b"\0")
            if end >= 0:
                return bytes(found + piece[:end])
            found += piece
            step = min(step * 4, abi.MIB)
        raise BadPointer(f"no NUL within {limit:,} bytes of {offset:#x}")

    def __getitem__(self, key: slice) -> bytes:
        start, size_bytes = self._slice(key)
        return self.read(start, size_bytes)

    def __setitem__(self, key: slice, data: Any) -> None:
        start, size_bytes = self._slice(key)
        if _native.buffer_address(data)[1] != size_bytes:
            raise ValueError(f"the slice has {size_bytes} bytes, the data {_native.buffer_address(data)[1]}")
        self.write(start, data)

    @staticmethod
    def _slice(key: slice) -> tuple[int, int]:
        if not isinstance(key, slice) or key.step not in (None, 1) or key.start is None or key.stop is None:
            raise TypeError("index sandbox memory with offset:end slices")
        return key.start, key.stop - key.start
