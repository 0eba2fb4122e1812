"""Buffers that are arguments of one call: copied into the sandbox before it, and back after it.

They are copied only once all arguments are known, because those that overlap in the host's memory must
overlap in the sandbox as well: there is one copy then, and each has its offset in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tmebox import _native, abi
from tmebox.memory.windows import Window
from tmebox.runtime.calls.items import Items
from tmebox.runtime.calls.scalars import given

LINE = 64
"""Copies keep their place within so many bytes, and with it their alignment."""


@dataclass(frozen=True)
class In:
    """Pass a copy of a buffer, also of an array that is in the sandbox; changes the sandbox makes are
    dropped."""

    buffer: Any


@dataclass(frozen=True)
class Out:
    """Pass room of a writable buffer's size, zeroed; its contents are filled in after the call, also where it
    is an array in the sandbox."""

    buffer: Any


@dataclass(frozen=True)
class InOut:
    """Pass a copy of a writable buffer; it is updated after the call. An array in the sandbox is passed as it
    is."""

    buffer: Any


class Room(Protocol):
    """Temporary memory in the sandbox."""

    def reserve(self, size_bytes: int) -> int: ...


@dataclass
class Lent:
    """One buffer. `view` keeps its memory where it is, and of this size, until the call is over. `pass_on`
    gets its offset. `alone`: never shares a copy. `is_there`: where the sandbox has it, so that nothing is
    copied.
    """

    view: memoryview
    address: int
    mode: type
    alone: bool
    pass_on: Callable[[int], None]
    what: str
    offset: int = 0
    is_there: bool = False

    @property
    def end(self) -> int:
        return self.address + self.view.nbytes


def view_of(value: Any, what: str) -> memoryview:
    """Raises TypeError that says what would do."""
    try:
        view = memoryview(value)
    except (TypeError, ValueError, BufferError) as error:
        if isinstance(value, (list, set, range)) or (isinstance(value, tuple) and value):
            hint = "make an array of it, as by numpy.array or sandbox.array"
        elif callable(value):
            hint = "a Python function cannot be called through a pointer: import a host function"
        elif isinstance(error, TypeError):
            hint = "only buffers, offsets (ints) and None are pointers"
        else:
            hint = f"its items have no C type: {error}"
        raise TypeError(f"{what}: expected a buffer, an offset or None, got {given(value)}; {hint}") from None
    if not view.c_contiguous:
        raise TypeError(
            f"{what}: expected a C-contiguous buffer, and the {given(value)} has gaps or another order; "
            "pass a copy, like numpy.ascontiguousarray(…)"
        )
    return view


class Buffers:
    """Those of one call."""

    def __init__(self, window: Window, room: Room, shared_offset: Callable[[int, int], int | None]) -> None:
        """shared_offset: where memory of the host lies in the sandbox's shared heap, if it does."""
        self._window = window
        self._shared_offset = shared_offset
        self._room = room
        self._lent: list[Lent] = []

    def add(
        self, value: Any, mode: type, explicit: bool, items: Items, pass_on: Callable[[int], None], what: str
    ) -> None:
        """Check a buffer, and see to it that its offset is passed on when `copy_in` is called, or at once if
        it lies in the sandbox. `explicit`: the caller said the mode."""
        view = view_of(value, what)
        items.check(value, view)
        if mode is not In and view.readonly:
            raise TypeError(
                f"{what} is written to, but the {type(value).__name__} is read-only; pass a writable buffer, "
                "or In(...) to drop what is written"
            )
        address, size_bytes, _ = _native.buffer_address(view)
        lent = Lent(view, address, mode, explicit and mode is In, pass_on, what)
        there = None if explicit and mode is not InOut else self._offset_of(address, size_bytes)
        if there is not None:
            lent.mode, lent.alone, lent.is_there = In, True, True  # the view is held like the others
            pass_on(there)
        self._lent.append(lent)

    def _offset_of(self, address: int, size_bytes: int) -> int | None:
        """Where memory lies in the sandbox, or in its shared heap: touching it is what is checked there."""
        base = self._window.base
        if base <= address and address + size_bytes <= base + abi.WINDOW_SIZE:
            return address - base
        return self._shared_offset(address, size_bytes)

    def copy_in(self) -> None:
        lent = [one for one in self._lent if not one.is_there]
        if len(lent) < len(self._lent):
            self._refuse_two_ways(lent)
        for group in _overlapping(lent):
            self._place(group)
            for one in group:
                self._fill(one)
                one.pass_on(one.offset)

    def _refuse_two_ways(self, lent: list[Lent]) -> None:
        for one in lent:
            for other in self._lent:
                if other.is_there and one.mode is Out and one.address < other.end and other.address < one.end:
                    raise _shares(one, other)

    def _place(self, group: list[Lent]) -> None:
        start = group[0].address
        if len(group) == 1:
            group[0].offset = self._room.reserve(group[0].view.nbytes)
            return
        for one in group:
            if one.mode is Out:
                other = next(another for another in group if another is not one)
                raise _shares(one, other)
        inside = start % LINE
        place = self._room.reserve(max(one.end for one in group) - start + inside) + inside
        for one in group:
            one.offset = place + one.address - start

    def _fill(self, lent: Lent) -> None:
        if lent.view.nbytes:
            data = bytes(lent.view.nbytes) if lent.mode is Out else lent.view
            _native.write(self._window.base + lent.offset, data)

    def copy_back(self) -> None:
        for lent in self._lent:
            if lent.mode is not In and lent.view.nbytes:
                source = _native.Region(
                    self._window.base + lent.offset, lent.view.nbytes, self._window, False
                )
                # As bytes: a memoryview does not assign to items that it cannot name.
                np.frombuffer(lent.view, np.uint8)[:] = np.frombuffer(memoryview(source), np.uint8)

    def let_go(self) -> None:
        for lent in self._lent:
            lent.view.release()
        self._lent.clear()


def _shares(one: Lent, other: Lent) -> ValueError:
    return ValueError(
        f"{one.what}: Out(...) is zeroed first, but shares memory with {other.what}; "
        "pass InOut(...), or another buffer"
    )


def _overlapping(lent: list[Lent]) -> list[list[Lent]]:
    """Groups that share memory, each in the order of addresses."""
    groups: list[list[Lent]] = []
    end = 0
    for one in sorted(lent, key=lambda one: (one.alone, one.address)):
        if one.alone or not groups or groups[-1][0].alone or one.address >= end or not one.view.nbytes:
            groups.append([one])
            end = one.end
        else:
            groups[-1].append(one)
            end = max(end, one.end)
    return groups
