"""Windows: 4 GiB-aligned stretches of host address space, reserved in pieces and recycled."""

from __future__ import annotations

import os
import sys
import threading
import weakref

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.contents import Contents
from tmebox.memory.substrate import Substrate, choose, reserve_some
from tmebox.memory.templates import Template
from tmebox.once import once

FIRST_PIECE = 16
LARGEST_PIECE = 1024
SMALLEST_PIECE = 4
"""Smaller holes in the address space are left to the rest of the process."""
KEPT_PAGES = 64
"""A window with more pages than these gives them back when its owner goes."""
KEPT_IN_ALL = 32_768
"""Pages that windows without an owner keep together."""


class Window:
    """One window, given back to its pool when the last reference to it goes.

    Whoever shows window memory to Python (a `_native.Region`) holds a reference, so a window is never
    recycled under a NumPy array that still looks into it.
    """

    __slots__ = ("__weakref__", "_pool", "_viewed", "arena_end", "base", "generation", "is_blank", "template")

    def __init__(self, base: int, template: Template, pool: WindowPool) -> None:
        self.base = base
        self.template = template
        self.arena_end = abi.ARENA_FIRST_END
        self.generation = pool.generation
        self.is_blank = False
        self._pool = pool
        self._viewed: list[tuple[int, int]] | None = None

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._pool.recycle(self)

    @property
    def is_inherited(self) -> bool:
        """It is the window of a process that this one was forked from: not mapped here."""
        return self.generation != self._pool.generation

    def reset(self, instance: _native.Instance) -> None:
        """First contents again, and the instance can be called. Raises busy and closed."""
        self._pool.substrate.reset(instance, self.base, self.template.contents, KEPT_PAGES)

    def grow_arena(self, end: int) -> None:
        """Room for host arrays up to offset `end`. Raises LimitError."""
        try:
            self._pool.substrate.grow_arena(self.base, self.arena_end, end)
        except OSError as error:
            raise self._pool.exhausted("memory for host arrays", error) from error
        self.arena_end = end

    def show(self, offset: int, size_bytes: int, writable: bool) -> None:
        """Prepare memory for being shown to Python, which may hand it to the kernel. Raises LimitError."""
        try:
            self._pool.substrate.populate(self.base, offset, size_bytes, writable)
        except OSError as error:
            raise self._pool.exhausted("sandbox memory", error) from error
        if offset < abi.ARENA_START:
            self._viewed = [*(self._viewed or ()), (offset, size_bytes)]

    def zero(self, offset: int, size_bytes: int) -> None:
        """Make whole pages of the heap zero and give their memory back to the system."""
        self._pool.substrate.zero(self.base, offset, size_bytes)

    def blank(self) -> None:
        """Replace all contents by zeros, for views that outlive their sandbox."""
        substrate = self._pool.substrate
        self.is_blank = True
        substrate.blank(self.base, self.template.contents, self.arena_end)
        for offset, size_bytes in self._viewed or ():
            substrate.populate(self.base, offset, size_bytes, False)


class WindowPool:
    """Reserves address space in pieces of many windows and hands windows out: those first that hold what is
    wanted already, then empty ones."""

    def __init__(self) -> None:
        # Reentrant: a window's finalizer may run while this thread is inside acquire().
        self._lock = threading.RLock()
        self._free: list[int] = []
        self._next_piece = FIRST_PIECE
        self._kept = 0
        self._templates: weakref.WeakSet[Template] = weakref.WeakSet()
        self.generation = 0
        self.reserved = 0
        self.live = 0
        os.register_at_fork(after_in_child=self._after_fork)

    @once
    def substrate(self) -> Substrate:
        substrate, first, count = choose(FIRST_PIECE)
        self._add_piece(first, count)
        return substrate

    @property
    def recycled(self) -> int:
        """Windows without an owner that hold some template's contents."""
        return sum(len(template.parked) for template in list(self._templates))

    def template(self, contents: Contents) -> Template:
        """What windows are to start with, made once for many."""
        template = Template(contents, self.substrate.template(contents), self._drain)
        self._templates.add(template)
        return template

    def acquire(self, template: Template) -> Window:
        """A window that holds what the template says. Raises LimitError when there is none left."""
        with self._lock:
            base = self._take(template)
            self.live += 1
        window = Window(base, template, self)  # from here on, its finalizer gives it back
        try:
            self.substrate.start(base, template.contents, template.native)
        except OSError as error:
            raise self.exhausted("memory", error) from error
        return window

    def _take(self, template: Template) -> int:
        if template.parked:
            base, kept = template.parked.pop()
            self._kept -= kept
            return base
        if not self._free and not self._reserve_piece():
            self._take_parked_from_another()
        return self._free.pop()

    def recycle(self, window: Window) -> None:
        """Take a window back; for its finalizer."""
        if window.is_inherited:
            return
        template, base = window.template, window.base
        keep = KEPT_PAGES if self._kept < KEPT_IN_ALL and not window.is_blank else 0
        kept = self.substrate.recycle(base, template.contents, window.arena_end, keep)
        with self._lock:
            self.live -= 1
            if kept:
                self._kept += kept
                template.parked.append((base, kept))
            else:
                self._free.append(base)

    def exhausted(self, what: str, error: OSError) -> LimitError:
        return LimitError(
            f"the system has no {what} left ({error.strerror}), with {self.live} sandboxes alive; "
            f"the limit is memory, or {self.substrate.windows_limit}"
        )

    def _reserve_piece(self) -> bool:
        least = SMALLEST_PIECE if self.reserved else 1
        try:
            self._add_piece(*reserve_some(self.substrate, self._next_piece, least))
        except OSError:
            return False
        return True

    def _add_piece(self, first: int, count: int) -> None:
        self._free.extend(first + index * abi.WINDOW_SIZE for index in reversed(range(count)))
        self.reserved += count
        self._next_piece = min(2 * count, LARGEST_PIECE)

    def _take_parked_from_another(self) -> None:
        for template in list(self._templates):
            if template.parked:
                base, kept = template.parked.pop()
                self._kept -= kept
                self.substrate.empty(base)
                self._free.append(base)
                return
        raise LimitError(
            f"no room for another 4 GiB window ({self.live} in use); "
            f"the limit is {self.substrate.windows_limit}"
        )

    def _drain(self, parked: list[tuple[int, int]]) -> None:
        """The windows of a template that nobody will start with again."""
        with self._lock:
            while parked:
                base, kept = parked.pop()
                self._kept -= kept
                self.substrate.empty(base)
                self._free.append(base)

    def _after_fork(self) -> None:
        """The child has none of its parent's windows, and starts anew."""
        self._lock = threading.RLock()
        self.generation += 1
        self._free.clear()
        self._next_piece = FIRST_PIECE
        self._kept = self.reserved = self.live = 0
        for template in list(self._templates):
            template.parked.clear()


WINDOWS = WindowPool()
