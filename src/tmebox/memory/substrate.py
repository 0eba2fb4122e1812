"""Substrates: how the pages of windows come and go, by userfaultfd or by mapping them."""

from __future__ import annotations

import errno
import os
import struct
from typing import Protocol

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.contents import Contents, Layout
from tmebox.memory.shortage import limit_met
from tmebox.memory.templates import blank_template, native_template

READ_WRITE = _native.PROT_READ | _native.PROT_WRITE
VARIABLE = "TMEBOX_SUBSTRATE"
"""Environment variable that chooses one by name."""
CONTROL = (abi.CONTROL_PAGE, abi.CONTROL_PAGE + abi.PAGE_SIZE)


class Substrate(Protocol):
    """All methods raise OSError when the system has no more memory, mappings or addresses."""

    name: str
    windows_limit: str
    """What ends the number of windows, and how to raise it."""

    def reserve(self, count: int) -> int:
        """Address space for `count` windows; the base of the first. The others follow."""

    def template(self, contents: Contents) -> _native.Template | None: ...
    def start(self, base: int, contents: Contents, template: _native.Template | None) -> None:
        """Give an unused or parked window its first contents."""

    def recycle(self, base: int, keep: int) -> int:
        """Take a window back from its owner. Pages that stay in it, at most about `keep`, with the contents
        that it started with; 0: it is empty. Idempotent, like `empty`."""

    def empty(self, base: int) -> None:
        """Take away whatever is there."""

    def reset(self, instance: _native.Instance, base: int, contents: Contents, keep: int) -> None:
        """First contents for an owner that stays; its arena stays too. The instance refuses calls until
        `revive`. Raises busy while it runs, closed if it was killed."""

    def grow_arena(self, base: int, end: int) -> None:
        """Have memory for arrays up to offset `end`, or further."""

    def populate(self, base: int, offset: int, size_bytes: int, writable: bool) -> None:
        """Make pages present, so that the kernel too can read and write them on the host's behalf."""

    def blank(self, base: int, contents: Contents) -> None:
        """All zero, for views that outlive their sandbox."""


class Userfault:
    """Windows are parts of a few large mappings; their pages are installed when they are touched."""

    name = "userfault"
    windows_limit = "the address space: close sandboxes, or raise `ulimit -v` or `ulimit -d`"

    def __init__(self) -> None:
        _native.userfault_open()

    def reserve(self, count: int) -> int:
        _native.userfault_open()  # again, in a forked child
        return _native.reserve_windows(count, True)

    def template(self, contents: Contents) -> _native.Template:
        return native_template(contents)

    def start(self, base: int, contents: Contents, template: _native.Template | None) -> None:
        assert template is not None
        _native.window_start(base, template)

    def recycle(self, base: int, keep: int) -> int:
        return _native.window_recycle(base, keep)

    def empty(self, base: int) -> None:
        _native.window_empty(base)

    def reset(self, instance: _native.Instance, base: int, contents: Contents, keep: int) -> None:
        instance.reset(keep)

    def grow_arena(self, base: int, end: int) -> None:
        _native.window_grow_arena(base, end)

    def populate(self, base: int, offset: int, size_bytes: int, writable: bool) -> None:
        _native.window_populate(base, offset, size_bytes, writable)

    def blank(self, base: int, contents: Contents) -> None:
        _native.window_blank(base, blank_template(contents))


class Plain:
    """Each window's memory is mapped in a reservation without access: some mappings for every sandbox."""

    name = "plain"
    windows_limit = (
        "the number of mappings or the address space: close sandboxes, or raise vm.max_map_count, "
        "vm.overcommit_memory, `ulimit -v` or `ulimit -d`"
    )

    def reserve(self, count: int) -> int:
        return _native.reserve_windows(count, False)

    def template(self, contents: Contents) -> None:
        return None

    def start(self, base: int, contents: Contents, template: _native.Template | None) -> None:
        layout = contents.layout
        self._map(base, layout)
        _native.map_zero(base + abi.ARENA_START, abi.ARENA_FIRST_END - abi.ARENA_START, READ_WRITE)
        self._fill(base, contents)

    @staticmethod
    def _map(base: int, layout: Layout) -> None:
        """All zero, arena aside. What `empty` is to take away is known before it is there."""
        _native.window_set_upper(base, *layout.upper_part, layout.rsp_start != 0)
        for start, end in layout.parts:
            _native.map_zero(base + start, end - start, READ_WRITE)

    def _fill(self, base: int, contents: Contents) -> None:
        layout = contents.layout
        fields = (
            base, layout.heap_start, layout.heap_end, layout.stack_low, layout.stack_top, layout.upper_start,
            layout.upper_end, layout.rsp_mask, base + layout.rsp_start, layout.rsp_start + layout.rsp_mask,
            _native.processor(),
        )  # fmt: skip
        _native.write(base + abi.CONTROL_PAGE, struct.pack(f"<{len(fields)}Q", *fields))
        _native.write(base + abi.STACK_RANDOM, os.urandom(abi.STACK_TOP - abi.STACK_RANDOM))
        for offset, data in contents.data:
            _native.write(base + offset, data)
        for start, end in (CONTROL, *layout.read_only):
            _native.protect(base + start, end - start, _native.PROT_READ)

    def recycle(self, base: int, keep: int) -> int:
        self.empty(base)
        return 0

    def empty(self, base: int) -> None:
        private = abi.PRIVATE_END - abi.STACK_LOWEST
        _native.map_zero(base + abi.STACK_LOWEST, private, _native.PROT_NONE)
        _native.window_unmap_arena(base)  # and what of the heap is above it

    def reset(self, instance: _native.Instance, base: int, contents: Contents, keep: int) -> None:
        instance.pause()
        layout = contents.layout
        self._map(base, layout)
        self._fill(base, contents)
        instance.end_threads()

    def grow_arena(self, base: int, end: int) -> None:
        _native.window_map_arena(base, end)

    def populate(self, base: int, offset: int, size_bytes: int, writable: bool) -> None:
        pass

    def blank(self, base: int, contents: Contents) -> None:
        layout = contents.layout
        arena = _native.window_arena_end(base) - abi.ARENA_START
        self._map(base, layout)
        _native.map_zero(base + abi.ARENA_START, arena, READ_WRITE)


SUBSTRATES: dict[str, type[Userfault] | type[Plain]] = {"userfault": Userfault, "plain": Plain}


def choose(count: int) -> tuple[Substrate, int, int]:
    """The one that the environment names, or the best that works here, and its first piece: the base and
    number of windows, `count` if there is room. Raises ValueError, or LimitError when none works."""
    wanted = os.environ.get(VARIABLE)
    if wanted is not None and wanted not in SUBSTRATES:
        raise ValueError(f"{VARIABLE}={wanted!r}: write {' or '.join(SUBSTRATES)}")
    failure: OSError | None = None
    for name, make in SUBSTRATES.items():
        if wanted in (None, name):
            try:
                substrate = make()
                return substrate, *reserve_some(substrate, count, 1)
            except OSError as error:  # not permitted, too old a kernel, no overcommitting, no address space
                failure = error
            if failure.errno in (errno.EMFILE, errno.ENFILE):
                break
    assert failure is not None
    other = f"; or set {VARIABLE}=plain" if wanted == Userfault.name else ""
    raise LimitError(
        f"no room for windows of 4 GiB ({failure.strerror}); the limit is "
        f"{limit_met(failure, windows_bytes(1))}{other}"
    ) from failure


def windows_bytes(count: int) -> int:
    """Address space that so many take."""
    return (count + 1) * abi.WINDOW_SIZE + abi.GUARD + abi.STACK_LOWEST


def reserve_some(substrate: Substrate, count: int, least: int) -> tuple[int, int]:
    """(base, number) of `count` windows, or of half as many, and so on down to `least`. Raises OSError."""
    while True:
        try:
            return substrate.reserve(count), count
        except OSError:
            if count // 2 < least:
                raise
            count //= 2
