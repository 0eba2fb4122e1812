"""Host-made memory inside a window: arrays the user asked for and copies of arguments during a call.

It lies beyond the reach of the sandbox's stack pointer: other host threads may write an array while the
sandbox runs, and a return address that someone else can write would not stay what was checked. The sandbox
may scribble over it like over all of its memory; the bookkeeping is on the host.
"""

from __future__ import annotations

from tmebox import _native, abi
from tmebox.errors import LimitError, SandboxClosed
from tmebox.memory.windows import Window

ALIGN = 64
CHUNK = 64 * abi.KIB


class Arena:
    """First-fit allocator over the window's arena, which has memory as far up as it was needed.

    There is no lock: a signal handler or finalizer may come in at any bytecode. Who has what changes in the
    core, at once; and memory that is there is only ever more.
    """

    def __init__(self, window: Window, limit_bytes: int, end: int) -> None:
        start = abi.ARENA_START
        window.show(start, window.arena_end - start, True)
        self._window: Window | None = window
        self._limit = max(window.arena_end, min(start + limit_bytes, end))
        self.extents = _native.Extents(start, self._limit)
        self.extents.provided = window.arena_end

    def close(self) -> None:
        """Let go of the window, so that it can be recycled; the arena does not grow any more."""
        self._window = None

    def allocate(self, size_bytes: int) -> _native.Extent:
        """Offsets of at least `size_bytes` (aligned to 64, contents undefined), until it is dropped. Raises
        LimitError."""
        extent = self.extents.take(max(ALIGN, -(-size_bytes // ALIGN) * ALIGN))
        if extent is None:
            raise LimitError(
                f"no room for {size_bytes:,} bytes of host arrays and arguments in this sandbox; give it "
                "more memory= or drop arrays that are no longer needed"
            )
        self._provide(extent.end)
        return extent

    def _provide(self, end: int) -> None:
        """Have memory up to offset `end`. Raises LimitError, SandboxClosed."""
        window = self._window
        if window is None:
            raise SandboxClosed("the sandbox is closed; its memory is gone")
        if end > window.arena_end:
            pages_end = -(-end // abi.PAGE_SIZE) * abi.PAGE_SIZE
            window.grow_arena(max(pages_end, min(-(-end // CHUNK) * CHUNK, self._limit)))
            self.extents.provided = window.arena_end

    def scrub(self) -> None:
        """Zero what was handed out and came back, so that nobody finds it here. No call runs. Raises
        LimitError."""
        window = self._window
        if window is not None:
            window.clean(self.extents)
