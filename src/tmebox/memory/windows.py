"""Windows: 4 GiB-aligned stretches of host address space, reserved in pieces and recycled."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.contents import Contents
from tmebox.memory.shortage import limit_met
from tmebox.memory.substrate import Substrate, choose, reserve_some, windows_bytes
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
        """First contents again, and the instance can be called. Raises busy and closed; LimitError."""
        try:
            self._pool.substrate.reset(instance, self.base, self.template.contents, KEPT_PAGES)
        except OSError as error:
            raise self._pool.exhausted("memory", error) from error

    def grow_arena(self, end: int) -> None:
        """Room for host arrays up to offset `end`. Raises LimitError."""
        try:
            self._pool.substrate.grow_arena(self.base, self.arena_end, end)
        except OSError as error:
            raise self._pool.exhausted("memory for host arrays", error, end - self.arena_end) from error
        self.arena_end = end

    def show(self, offset: int, size_bytes: int, writable: bool) -> None:
        """Prepare memory for being shown to Python, which may hand it to the kernel. Raises LimitError."""
        try:
            self._pool.substrate.populate(self.base, offset, size_bytes, writable)
        except OSError as error:
            raise self._pool.exhausted("sandbox memory", error, size_bytes) from error
        if offset < abi.ARENA_START:
            self._viewed = [*(self._viewed or ()), (offset, size_bytes)]

    def blank(self) -> None:
        """Replace all contents by zeros, for views that outlive their sandbox. Raises LimitError."""
        substrate = self._pool.substrate
        self.is_blank = True
        try:
            substrate.blank(self.base, self.template.contents, self.arena_end)
            for offset, size_bytes in self._viewed or ():
                substrate.populate(self.base, offset, size_bytes, False)
        except OSError as error:
            raise self._pool.exhausted("memory for views of closed sandboxes", error) from error


class WindowPool:
    """Reserves address space in pieces of many windows and hands windows out: those first that hold what is
    wanted already, then empty ones."""

    def __init__(self) -> None:
        # Reentrant: a window's finalizer may run while this thread is inside acquire().
        self._lock = threading.RLock()
        self._free: list[int] = []
        self._late: list[tuple[int, Callable[[], object]]] = []
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
        try:
            template = Template(contents, self.substrate.template(contents), self._drain)
        except OSError as error:
            raise self.exhausted("memory for first contents", error) from error
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
            del window
            layout = template.contents.layout
            raise self.exhausted("memory", error, layout.heap_end - layout.stack_low) from error
        return window

    def _take(self, template: Template) -> int:
        if self._late:
            self._free_late()
        if template.parked:
            base, kept = template.parked.pop()
            self._kept -= kept
            return base
        if not self._free:
            self._reserve_piece()
        return self._free.pop()

    def recycle(self, window: Window) -> None:
        """Take a window back; for its finalizer."""
        if window.is_inherited:
            return
        template, base = window.template, window.base
        keep = KEPT_PAGES if self._kept < KEPT_IN_ALL and not window.is_blank else 0
        recycle = partial(self.substrate.recycle, base, template.contents, window.arena_end)
        try:
            kept = recycle(keep)
        except OSError:
            kept = -1
        with self._lock:
            self.live -= 1
            if kept > 0:
                self._kept += kept
                template.parked.append((base, kept))
            elif kept == 0:
                self._free.append(base)
            else:
                self._late.append((base, partial(recycle, 0)))

    def exhausted(self, what: str, error: OSError, needed_bytes: int = 0) -> LimitError:
        """needed_bytes: address space that was asked for."""
        return LimitError(
            f"the system has no {what} left ({error.strerror}), with {self.live} sandboxes alive; "
            f"the limit is {limit_met(error, needed_bytes)}"
        )

    def _reserve_piece(self) -> None:
        """Have another free window. Raises LimitError."""
        least = SMALLEST_PIECE if self.reserved else 1
        try:
            self._add_piece(*reserve_some(self.substrate, self._next_piece, least))
        except OSError as error:
            if not self._take_parked_from_another():
                raise LimitError(
                    f"no room for another 4 GiB window ({self.live} in use); "
                    f"the limit is {limit_met(error, windows_bytes(least))}"
                ) from error

    def _add_piece(self, first: int, count: int) -> None:
        self._free.extend(first + index * abi.WINDOW_SIZE for index in reversed(range(count)))
        self.reserved += count
        self._next_piece = min(2 * count, LARGEST_PIECE)

    def _take_parked_from_another(self) -> bool:
        for template in list(self._templates):
            while template.parked:
                base, kept = template.parked.pop()
                self._kept -= kept
                if self._free_up(base, partial(self.substrate.empty, base)):
                    return True
        return False

    def _free_up(self, base: int, empty: Callable[[], object]) -> bool:
        """Have the window for any owner; or later, if the system does not let us empty it now: that may take
        a mapping, and the host may have used up all of them."""
        try:
            empty()
        except OSError:
            self._late.append((base, empty))
            return False
        self._free.append(base)
        return True

    def _free_late(self) -> None:
        while self._late and self._free_up(*self._late.pop()):
            pass

    def _drain(self, parked: list[tuple[int, int]]) -> None:
        """The windows of a template that nobody will start with again."""
        with self._lock:
            while parked:
                base, kept = parked.pop()
                self._kept -= kept
                self._free_up(base, partial(self.substrate.empty, base))

    def _after_fork(self) -> None:
        """The child has none of its parent's windows, and starts anew."""
        self._lock = threading.RLock()
        self.generation += 1
        self._free.clear()
        self._late.clear()
        self._next_piece = FIRST_PIECE
        self._kept = self.reserved = self.live = 0
        for template in list(self._templates):
            template.parked.clear()


WINDOWS = WindowPool()
