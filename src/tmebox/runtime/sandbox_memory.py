"""A sandbox's memory as the host sees it: bounds-checked bytes at window offsets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmebox import _native, abi
from tmebox.errors import SandboxClosed
from tmebox.memory.windows import Window


class BadPointer(IndexError):
    """An offset and size that are not (all) memory of the sandbox."""


class Block:
    """Keeps a window, and an allocation in it, alive while Python looks at it."""

    def __init__(self, window: Window, release: Callable[[], None] | None = None) -> None:
        self._window = window
        self._release = release

    def __del__(self) -> None:
        if self._release is not None:
            self._release()


class SandboxMemory:
    """`read`, `write`, `view` and `string` by offset; slices work too: `memory[offset:offset + 4]`.

    Offsets outside the sandbox's memory raise BadPointer (an IndexError), as do writes to its read-only
    data. Reading while a call runs on another thread sees whatever the sandbox has written so far.
    """

    def __init__(
        self,
        window: Window,
        stack_low: int,
        read_only: tuple[tuple[int, int], ...],
        end: Callable[[], int],
    ) -> None:
        self._window: Window | None = window
        self._low = stack_low
        self._read_only = read_only
        self._end = end
        self._views: list[_native.Region] = []

    def _place(self, offset: int, size_bytes: int, writing: bool) -> int:
        window = self._window
        if window is None:
            raise SandboxClosed("the sandbox is closed; its memory is gone")
        if size_bytes < 0 or offset < self._low or offset + size_bytes > self._end():
            raise BadPointer(
                f"[{offset:#x}, {offset + size_bytes:#x}) is not memory of the sandbox "
                f"([{self._low:#x}, {self._end():#x}))"
            )
        if writing:
            for start, end in self._read_only:
                if offset < end and start < offset + size_bytes:
                    raise BadPointer(f"[{offset:#x}, {offset + size_bytes:#x}) overlaps read-only data")
        return window.base + offset

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Copy of `size_bytes` bytes at `offset`."""
        return _native.read(self._place(offset, size_bytes, False), size_bytes)

    def write(self, offset: int, data: Any) -> None:
        """Copy a buffer to `offset`."""
        _, size_bytes, _ = _native.buffer_address(data)
        _native.write(self._place(offset, size_bytes, True), data)

    def view(self, offset: int, size_bytes: int) -> memoryview:
        """Zero-copy writable view. It may outlive the sandbox: then it shows zeros."""
        address = self._place(offset, size_bytes, True)
        assert self._window is not None
        region = _native.Region(address, size_bytes, Block(self._window), True)
        self._views = [view for view in self._views if view.exports]
        self._views.append(region)
        return memoryview(region)

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

    def watch(self, region: _native.Region) -> None:
        """Remember a region of this window that Python may look into."""
        self._views = [view for view in self._views if view.exports]
        self._views.append(region)

    def detach(self) -> bool:
        """Stop all access. True if views made from here are still alive."""
        self._window = None
        alive = any(view.exports for view in self._views)
        self._views.clear()
        return alive
