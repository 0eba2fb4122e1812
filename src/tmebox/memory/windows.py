"""Windows: 4 GiB-aligned stretches of host address space, reserved in pieces and recycled."""

from __future__ import annotations

import os
import weakref

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.contents import Contents
from tmebox.memory.reminder import Reminder
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
CHUNK_AT_LEAST = 64 * abi.KIB
"""What an arena grows by."""
KEPT_IN_ALL = 32_768
"""Pages that windows without an owner keep together."""


class Place:
    """Where a window can be, as long as the process lives. It lies on a shelf of the pool, or is claimed.

    template: what its owner started with, until it is recycled. is_blank: it does not hold that any more.
    """

    __slots__ = ("base", "is_blank", "template")

    def __init__(self, base: int) -> None:
        self.base = base
        self.is_blank = False
        self.template: Template | None = None


class Window:
    """One window, given back to its pool when the last reference to it goes.

    Whoever shows window memory to Python (a `_native.Region`) holds a reference, so a window is never
    recycled under a NumPy array that still looks into it. It has no finalizer: `reminder` says why.
    """

    __slots__ = ("__weakref__", "_claim", "_pool", "_reminder", "base", "generation", "template")

    def __init__(self, claim: _native.Claim[Place], template: Template, pool: WindowPool) -> None:
        self._claim = claim
        self._pool = pool
        self._reminder = Reminder(pool.tidy)  # goes after the claim: attributes go in the order of names
        self.base = claim.thing.base
        self.template = template
        self.generation = pool.generation

    @property
    def is_inherited(self) -> bool:
        """It is the window of a process that this one was forked from: not mapped here."""
        return self.generation != self._pool.generation

    @property
    def arena_end(self) -> int:
        """Offset behind the memory for host arrays."""
        return abi.ARENA_FIRST_END if self.is_inherited else _native.window_arena_end(self.base)

    def reset(self, instance: _native.Instance) -> None:
        """First contents again; the instance is to be revived. Raises busy and closed; LimitError."""
        try:
            self._pool.substrate.reset(instance, self.base, self.template.contents, KEPT_PAGES)
        except OSError as error:
            raise self._pool.exhausted("memory", error) from error

    def grow_arena(self, end: int) -> None:
        """Room for host arrays up to offset `end`. Raises LimitError."""
        try:
            self._pool.substrate.grow_arena(self.base, end)
        except OSError as error:
            raise self._pool.exhausted("memory for host arrays", error, CHUNK_AT_LEAST) from error

    def clean(self, arrays: _native.Extents) -> None:
        """Zeros where no host array is any more. Raises LimitError."""
        try:
            arrays.clean(self.base)
        except OSError as error:
            raise self._pool.exhausted("memory for host arrays", error) from error

    def show(self, offset: int, size_bytes: int, writable: bool) -> object:
        """Prepare memory for being shown to Python, which may hand it to the kernel. It stays so as long as
        the caller keeps what this returns. Raises LimitError."""
        pin = _native.Pin(self.base, offset, size_bytes)
        try:
            self._pool.substrate.populate(self.base, offset, size_bytes, writable)
        except OSError as error:
            raise self._pool.exhausted("sandbox memory", error, size_bytes) from error
        return pin

    def blank(self) -> None:
        """Replace all contents by zeros, for views that outlive their sandbox. Raises LimitError."""
        self._claim.thing.is_blank = True
        try:
            self._pool.substrate.blank(self.base, self.template.contents)
        except OSError as error:
            raise self._pool.exhausted("memory for views of closed sandboxes", error) from error


class WindowPool:
    """Reserves address space in pieces of many windows and hands windows out: those first that hold what is
    wanted already, then empty ones.

    There is no lock: finalizers and signal handlers come in at any bytecode, and some raise. A place goes
    from a shelf to a claim and back in the core, at once; who is interrupted drops the claim, and whatever
    was being done to the place is done again.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._known: weakref.WeakValueDictionary[int, Template] = weakref.WeakValueDictionary()
        self._begin()
        os.register_at_fork(after_in_child=self._after_fork)

    def _begin(self) -> None:
        self._free: _native.Shelf[Place] = _native.Shelf()
        self._returned: _native.Shelf[Place] = _native.Shelf()  # by their owners
        self._orphaned: _native.Shelf[Place] = _native.Shelf()  # by templates that are gone
        self._late: _native.Shelf[Place] = _native.Shelf()  # that the system did not let us empty
        self._parked: _native.Shelf[Place] = _native.Shelf()  # nothing: weighs as much as all that is parked
        self._pieces: list[int] = []
        # Places whose windows are garbage are reached from here: the collector would empty them, too.
        self._places: list[Place] = []
        self._addresses: list[range] = []

    @once
    def substrate(self) -> Substrate:
        substrate, first, count = choose(FIRST_PIECE)
        self._add_piece(first, count)
        return substrate

    @property
    def reserved(self) -> int:
        """Windows that there is room for."""
        return sum(self._pieces)

    @property
    def live(self) -> int:
        """Windows that have an owner, or are looked at."""
        return self._returned.owed

    @property
    def recycled(self) -> int:
        """Windows without an owner that hold some template's contents."""
        return sum(len(self._parked_of(template)) for template in self._templates())

    def holds(self, address: int) -> bool:
        """Whether it is in a window, of whatever sandbox."""
        return any(address in addresses for addresses in self._addresses)

    def _templates(self) -> list[Template]:
        """All there are. They may come and go meanwhile."""
        return [template for reference in self._known.valuerefs() if (template := reference()) is not None]

    def template(self, contents: Contents) -> Template:
        """What windows are to start with, made ready for many when the first one asks for it."""
        template = Template(contents, self._prepare, self._shelf(), self._drain, self.generation)
        self._known[id(template)] = template
        return template

    def another(self, template: Template) -> Template:
        """The same first contents, for windows that are kept apart from those of `template`."""
        native = template.native  # not the template, which may go before
        twin = Template(template.contents, lambda _: native, self._shelf(), self._drain, self.generation)
        self._known[id(twin)] = twin
        return twin

    def _prepare(self, contents: Contents) -> _native.Template | None:
        try:
            return self.substrate.template(contents)
        except OSError as error:
            raise self.exhausted("memory for first contents", error) from error

    def _shelf(self) -> _native.Shelf[Place]:
        return _native.Shelf(heir=self._orphaned, sum=self._parked)

    def _parked_of(self, template: Template) -> _native.Shelf[Place]:
        """In a forked child none of its parent's. This holds for a template, too, that a finalizer has kept
        and that is not known any more."""
        if template.generation != self.generation:
            template.parked = self._shelf()
            template.generation = self.generation
        return template.parked

    def acquire(self, template: Template) -> Window:
        """A window that holds what the template says. Raises LimitError when there is none left."""
        native = template.native
        if self._returned or self._orphaned or self._late:
            self.tidy()
        claim = self._take(template)
        place = claim.thing
        place.is_blank = False
        place.template = template
        window = Window(claim, template, self)
        del claim
        try:
            self.substrate.start(place.base, template.contents, native)
        except OSError as error:
            del window
            layout = template.contents.layout
            raise self.exhausted("memory", error, sum(end - start for start, end in layout.parts)) from error
        return window

    def _take(self, template: Template) -> _native.Claim[Place]:
        while True:
            for shelf in (self._parked_of(template), self._free):
                claim = shelf.take(self._returned)
                if claim is not None:
                    return claim
            self._reserve_piece()

    def tidy(self) -> None:
        """Take back the windows that nobody has any more, and empty those that could not be emptied before:
        that may take a mapping, and the host may have used up all of them."""
        while (claim := self._returned.take()) is not None:
            self._recycle(claim)
        while (claim := self._orphaned.take()) is not None:
            self._empty(claim)
        for _ in range(len(self._late)):
            claim = self._late.take(oldest=True)
            if claim is None or not self._empty(claim):
                break

    def _recycle(self, claim: _native.Claim[Place]) -> None:
        place = claim.thing
        template = place.template
        if template is None:
            self._empty(claim)
            return
        keep = KEPT_PAGES if self._parked.weight < KEPT_IN_ALL and not place.is_blank else 0
        try:
            kept = self.substrate.recycle(place.base, keep)
        except OSError:
            kept = -1
        place.template = None
        if kept > 0:
            claim.give(template.parked, kept)
        else:
            claim.give(self._late if kept else self._free)

    def _empty(self, claim: _native.Claim[Place]) -> bool:
        """Have the window for any owner, or later."""
        try:
            self.substrate.empty(claim.thing.base)
        except OSError:
            claim.give(self._late)
            return False
        claim.give(self._free)
        return True

    def exhausted(self, what: str, error: OSError, needed_bytes: int = 0) -> LimitError:
        """needed_bytes: address space that was asked for."""
        return LimitError(
            f"the system has no {what} left ({error.strerror}), with {self.live} sandboxes alive; "
            f"the limit is {limit_met(error, needed_bytes)}"
        )

    def _reserve_piece(self) -> None:
        """Have another free window. Raises LimitError."""
        least = SMALLEST_PIECE if self._pieces else 1
        count = min(2 * self._pieces[-1], LARGEST_PIECE) if self._pieces else FIRST_PIECE
        try:
            self._add_piece(*reserve_some(self.substrate, count, least))
        except OSError as error:
            if not self._take_parked_from_another():
                raise LimitError(
                    f"no room for another 4 GiB window ({self.live} in use); "
                    f"the limit is {limit_met(error, windows_bytes(least))}"
                ) from error

    def _add_piece(self, first: int, count: int) -> None:
        for index in reversed(range(count)):
            place = Place(first + index * abi.WINDOW_SIZE)
            self._places.append(place)
            self._free.put(place)
        self._pieces.append(count)
        self._addresses.append(range(first, first + count * abi.WINDOW_SIZE))

    def _take_parked_from_another(self) -> bool:
        for template in self._templates():
            while (claim := self._parked_of(template).take(self._orphaned)) is not None:
                if self._empty(claim):
                    return True
        return False

    def _drain(self, template: Template) -> None:
        """Nobody will start with it again."""
        template.parked = self._shelf()  # what the other one had goes to its heir
        self.tidy()

    def _after_fork(self) -> None:
        """The child has none of its parent's windows, and starts anew."""
        self.generation += 1
        self._begin()


WINDOWS = WindowPool()
