"""A sandbox's memory as the host sees it: bounds-checked bytes at window offsets."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

from tmebox import _native, abi
from tmebox.memory.capture import resident_bytes
from tmebox.memory.contents import Layout
from tmebox.memory.windows import Window
from tmebox.runtime.host_pointers import require_none

CONTROL = (abi.CONTROL_PAGE, abi.CONTROL_PAGE + abi.PAGE_SIZE)


class BadPointer(IndexError):
    """An offset and size that are not (all) memory of the sandbox. `record`: what the machine of a shared
    heap logged of it (tme.MachineCheck), or None."""

    def __init__(self, message: str = "", record: Any = None) -> None:
        super().__init__(message)
        self.record = record


def held(data: Any) -> memoryview:
    """One view of a buffer that is to be copied into a sandbox; its size stays what it is as long as the view
    is held. Raises BufferError, TypeError."""
    require_none(data, "what is written")
    try:
        view = memoryview(data)
    except TypeError:
        raise BufferError(f"{type(data).__name__} has no C-contiguous buffer") from None
    if not view.c_contiguous:
        raise BufferError("the buffer is not C-contiguous: copy it first")
    return view


class SandboxMemory:
    """`read`, `write`, `view` and `string` by offset; slices work too: `memory[offset:offset + 4]`.

    Offsets outside the sandbox's memory raise BadPointer (an IndexError), as do writes to its read-only
    data. Reading while a call runs on another thread sees whatever the sandbox has written so far. Writing
    raises SandboxBusy while a call runs on another thread, and in a signal handler or finalizer that
    interrupted the sandbox.
    """

    def __init__(
        self,
        hold: Callable[[], Window],
        layout: Layout,
        instance: _native.Instance,
        log_check: Callable[[int, int, int], Any] | None = None,
    ) -> None:
        self._log_check = log_check
        self._hold = hold
        self._layout = layout
        self._instance = instance

    def _check(self, offset: int, size_bytes: int, writing: bool) -> None:
        layout, end = self._layout, offset + size_bytes
        for start, stop in layout.parts:
            if start <= offset <= end <= stop:
                break
        else:
            if not self._in_arena(offset, size_bytes):
                raise BadPointer(
                    f"[{offset:#x}, {end:#x}) is not the sandbox's memory: it has "
                    f"{', '.join(f'[{start:#x}, {stop:#x})' for start, stop in layout.parts)} and, in "
                    f"arrays, [{abi.ARENA_START:#x}, {self._hold().arena_end:#x})"
                )
        if writing:
            for read_only_start, read_only_end in (CONTROL, *layout.read_only):
                if offset < read_only_end and read_only_start < end:
                    raise BadPointer(f"[{offset:#x}, {end:#x}) overlaps read-only data")

    def _in_arena(self, offset: int, size_bytes: int) -> bool:
        return abi.ARENA_START <= offset <= offset + size_bytes <= self._hold().arena_end

    def _is_shared(self, offset: int) -> bool:
        end = self._layout.upper_start or abi.SHARED_END
        return abi.SHARED_START <= offset < end and self._instance.key_id != 0

    def _read_shared(self, offset: int, size_bytes: int) -> bytes:
        """All of it, or nothing where some line is not the sandbox's."""
        if not 0 <= size_bytes <= abi.SHARED_END - offset:
            raise BadPointer(f"[{offset:#x}, {offset + size_bytes:#x}) is not the sandbox's memory")
        try:
            return self._instance.read_shared(offset, size_bytes)
        except IndexError as error:
            raise self._not_its_own(error) from None

    def _write_shared(self, offset: int, data: memoryview) -> None:
        try:
            self._instance.write_shared(offset, data)
        except IndexError as error:
            raise self._not_its_own(error) from None

    def _not_its_own(self, error: IndexError) -> BadPointer:
        """With what the heap's memory said of it, logged: outcome, offset, key."""
        message, *check = error.args
        record = self._log_check(*check) if check and check[0] and self._log_check is not None else None
        return BadPointer(message, record)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Copy of `size_bytes` bytes at `offset`. Raises SandboxClosed, also where the sandbox was closed
        meanwhile: what was copied may be zeros."""
        offset, size_bytes = operator.index(offset), operator.index(size_bytes)
        window = self._hold()
        if self._is_shared(offset):
            return self._read_shared(offset, size_bytes)
        self._check(offset, size_bytes, False)
        data = _native.read(window.base + offset, size_bytes)
        self._hold()
        return data

    def write(self, offset: int, data: Any) -> None:
        """Copy a C-contiguous buffer to `offset`. Raises SandboxBusy."""
        offset = operator.index(offset)
        window = self._hold()
        with held(data) as view:
            if self._is_shared(offset):
                self._write_shared(offset, view)
                return
            self._check(offset, view.nbytes, True)
            self._instance.write(offset, view)
        del window  # it was kept until here

    def require(self, offset: int, size_bytes: int) -> None:
        """Raise BadPointer where so much cannot be written, before somebody makes it. Whose all lines of a
        shared heap are only writing tells."""
        if self._is_shared(offset):
            self._read_shared(offset + size_bytes - 1, 1)
        else:
            self._check(offset, size_bytes, True)

    def view(self, offset: int, size_bytes: int) -> memoryview:
        """Zero-copy view; writable in host arrays, read-only elsewhere (write with `write`). It may outlive
        the sandbox: then it shows zeros."""
        offset, size_bytes = operator.index(offset), operator.index(size_bytes)
        window = self._hold()
        self._check(offset, size_bytes, False)
        writable = self._in_arena(offset, size_bytes)
        pin = window.show(offset, size_bytes, writable)
        return memoryview(_native.Region(window.base + offset, size_bytes, (window, pin), writable))

    def discard(self, offset: int, size_bytes: int) -> None:
        """Make whole pages of the heap zero and give their memory back to the system. Raises SandboxBusy."""
        offset, size_bytes = operator.index(offset), operator.index(size_bytes)
        page = abi.PAGE_SIZE
        window = self._hold()
        if (
            offset % page
            or size_bytes % page
            or not any(
                start <= offset <= offset + size_bytes <= end for start, end in self._layout.heap_parts
            )
        ):
            raise BadPointer(f"[{offset:#x}, {offset + size_bytes:#x}) is not whole pages of the heap")
        if size_bytes:
            self._instance.discard(offset, size_bytes)
        del window  # it was kept until here

    def resident_bytes(self) -> int:
        """How much memory the system has given it for its image, heap and stack."""
        window = self._hold()
        size_bytes = resident_bytes(window.base, self._layout)
        self._hold()  # else it may be others' by now
        return size_bytes

    def string(self, offset: int, limit: int = abi.MIB) -> bytes:
        """The NUL-terminated string at `offset`, without the NUL. Raises BadPointer if none ends within
        `limit` bytes."""
        offset, limit = operator.index(offset), operator.index(limit)
        found = bytearray()
        step = 256
        while len(found) <= limit:
            available = min(step, self._end(offset + len(found)) - offset - len(found))
            piece = self.read(offset + len(found), max(available, 1))
            end = piece.find(b"\0")
            if end >= 0:
                return bytes(found + piece[:end])
            found += piece
            step = min(step * 4, abi.MIB)
        raise BadPointer(f"no NUL within {limit:,} bytes of {offset:#x}")

    def _end(self, offset: int) -> int:
        """Where the memory ends that `offset` is in. In the shared heap, the next line may be another's."""
        if self._is_shared(offset):
            return (offset // abi.SHARED_LINE + 1) * abi.SHARED_LINE
        for start, end in self._layout.parts:
            if start <= offset < end:
                return end
        return self._hold().arena_end

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a sandbox's memory is not copied or pickled: read() gives its bytes")

    def __getitem__(self, key: slice) -> bytes:
        start, size_bytes = self._slice(key)
        return self.read(start, size_bytes)

    def __setitem__(self, key: slice, data: Any) -> None:
        start, size_bytes = self._slice(key)
        with held(data) as view:
            if view.nbytes != size_bytes:
                raise ValueError(f"the slice has {size_bytes} bytes, the data {view.nbytes}")
            self.write(start, view)

    @staticmethod
    def _slice(key: slice) -> tuple[int, int]:
        if not isinstance(key, slice) or key.step not in (None, 1) or key.start is None or key.stop is None:
            raise TypeError("index sandbox memory with offset:end slices")
        start, stop = operator.index(key.start), operator.index(key.stop)
        return start, stop - start
