"""Where KeyIDs go on the way from a linear address to DRAM: host page tables, and what guests and devices
have instead.

A walk reads its tables through the machine's memory path, each under the KeyID that the pointer to it
carries. Only what a walk needs is modelled: present, write, user and page-size bits, addresses, reserved
bits. There is no TLB, so no entry is stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tmebox.tme.faults import TranslationFault
from tmebox.tme.machine import Modelled

PRESENT, WRITE, USER, LARGE = 1, 2, 4, 1 << 7
TABLE_SIZE = 4096
ENTRIES = 512


@dataclass(frozen=True)
class Step:
    """One table entry that a walk read: which table it is in ("CR3", "PML5", …, "EPT PT"), where, under which
    KeyID, what it holds, and the KeyID in it."""

    table: str
    address: int
    table_key_id: int
    entry: int
    key_id: int

    def __str__(self) -> str:
        return (
            f"{self.table:<8} entry at {self.address:#x} (read with KeyID {self.table_key_id}) holds "
            f"{self.entry:#018x}: KeyID {self.key_id}"
        )


@dataclass(frozen=True)
class Translation:
    """`address` is physical, without its KeyID; `physical` with it, as it goes to the caches."""

    address: int
    key_id: int
    physical: int
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps)) + f"\n→ {self.address:#x} with KeyID {self.key_id}"


NAMES = {5: "PML5", 4: "PML4", 3: "PDPT", 2: "PD", 1: "PT"}


class Layout:
    """How a machine's physical addresses are divided."""

    def __init__(self, machine: Modelled) -> None:
        self.shift = machine.key_shift
        self.width = machine.options.physical_bits

    def parts(self, entry: int) -> tuple[int, int]:
        """(address, KeyID) of a table entry or CR3."""
        whole = entry & ((1 << self.width) - 1) & ~0xFFF
        return whole & ((1 << self.shift) - 1), whole >> self.shift

    def has_reserved_bits(self, entry: int, end: int = 52) -> bool:
        """Whether an entry has bits below `end` that no physical address of this machine has."""
        return entry & ((1 << end) - (1 << self.width)) != 0


def load_entry(machine: Modelled, address: int, key_id: int) -> int:
    """An entry of 8 bytes."""
    return int.from_bytes(machine.read(address, 8, key_id=key_id), "little")


def indices(address: int, levels: int) -> list[tuple[int, int]]:
    """(level, index) from the top."""
    return [(level, address >> (12 + 9 * (level - 1)) & (ENTRIES - 1)) for level in range(levels, 0, -1)]


def pieces(address: int, size: int) -> list[tuple[int, int]]:
    """(address, size) of the parts of a range that lie in one page of 4 KiB each: each is translated."""
    if size < 0:
        raise ValueError(f"size={size}: not negative")
    parts = []
    while size > 0:
        now = min(size, TABLE_SIZE - address % TABLE_SIZE)
        parts.append((address, now))
        address, size = address + now, size - now
    return parts


def walk(machine: Modelled, linear: int, cr3: int, levels: int = 4, *, write: bool = False) -> Translation:
    """Translate a linear address of the host. TranslationFault "page-fault"; IntegrityError where a table is
    bad.

    cr3: with KeyID bits, as the tables' entries are. levels: 4 or 5.
    """
    need_canonical(linear, levels)
    layout = Layout(machine)
    table, key_id = layout.parts(cr3)
    steps = [Step("CR3", 0, 0, cr3, key_id)]
    read_only = (
        0  # the first level that says so: it counts where a translation ends, after all that is malformed
    )
    for level, index in indices(linear, levels):
        place = table + 8 * index
        entry = load_entry(machine, place, key_id)
        target, next_key = layout.parts(entry)
        steps.append(Step(NAMES[level], place, key_id, entry, next_key))
        if not entry & PRESENT:
            raise TranslationFault("page-fault", linear, level, "the entry is not present", "paging-present")
        read_only = read_only or (0 if entry & WRITE else level)
        large = bool(entry & LARGE) and level > 1
        span = 1 << (12 + 9 * (level - 1))
        if layout.has_reserved_bits(entry) or (large and level > 3):
            raise TranslationFault("page-fault", linear, level, "reserved bits are set", "paging-reserved")
        if large and target & (span - 1) & ~0x1FFF:
            raise TranslationFault(
                "page-fault", linear, level, "a large page is not aligned", "paging-reserved"
            )
        if large or level == 1:
            if write and read_only:
                raise TranslationFault(
                    "page-fault", linear, read_only, "the page is read-only", "paging-present"
                )
            offset = linear & (span - 1)
            address = (target & ~(span - 1)) | offset
            return Translation(address, next_key, address | next_key << layout.shift, tuple(steps))
        table, key_id = target, next_key
    raise AssertionError("a walk ends at level 1")


def need_canonical(linear: int, levels: int) -> None:
    if levels not in (4, 5):
        raise ValueError(f"levels={levels}: page tables have 4 or 5")
    sign = linear >> (12 + 9 * levels - 1)
    if not 0 <= linear < 1 << 64 or sign not in (0, (1 << (64 - (12 + 9 * levels - 1))) - 1):
        raise TranslationFault("page-fault", linear, 0, "the address is not canonical", "paging-canonical")


class Frames(Protocol):
    """Where tables come from."""

    def take(self) -> int:
        """The physical address of a page that nobody else uses."""


class Pages:
    """Pages of a range, one after the other."""

    def __init__(self, start: int, end: int) -> None:
        self._next, self._end = start, end

    def take(self) -> int:
        """The physical address of a page that nobody else uses; MemoryError when there is none."""
        if self._next + TABLE_SIZE > self._end:
            raise MemoryError("no more pages for tables")
        self._next += TABLE_SIZE
        return self._next - TABLE_SIZE


class Tables:
    """Tables of one tree in a machine's memory. `key_id` is the KeyID of the tables themselves.

    Each table is zeroed through its KeyID first, as the specification asks of software that gives a page to a
    KeyID.
    """

    def __init__(
        self, machine: Modelled, frames: Frames, *, levels: int = 4, key_id: int = 0, present: int = 7
    ) -> None:
        self._machine = machine
        self._frames = frames
        self._present = present
        self.levels = levels
        self.key_id = key_id
        self._root = self._table()

    @property
    def root(self) -> int:
        """The value of CR3, or the address in an EPT pointer or context entry: with KeyID bits."""
        return self._machine.physical(self._root, self.key_id)

    def _table(self) -> int:
        page = self._frames.take()
        self._machine.clear(page, TABLE_SIZE, key_id=self.key_id)
        return page

    def map(
        self, address: int, physical: int, key_id: int = 0, *, flags: int | None = None, level: int = 1
    ) -> None:
        """Map the page at `address` to `physical` under a KeyID. level: 2 and 3 are pages of 2 MiB and 1
        GiB. ValueError for what is not aligned, and where a larger page is."""
        if level not in (1, 2, 3) or (address | physical) % (TABLE_SIZE << 9 * (level - 1)):
            raise ValueError(f"level={level}: pages of 4 KiB, 2 MiB or 1 GiB, and aligned")
        table = self._root
        for current, index in indices(address, self.levels):
            place = table + 8 * index
            if current == level:
                entry = self._machine.physical(physical, key_id)
                entry |= (self._present if flags is None else flags) | (LARGE if level > 1 else 0)
                self._machine.write(place, entry.to_bytes(8, "little"), key_id=self.key_id)
                return
            entry = load_entry(self._machine, place, self.key_id)
            if not entry & self._present:
                entry = self._machine.physical(self._table(), self.key_id) | self._present
                self._machine.write(place, entry.to_bytes(8, "little"), key_id=self.key_id)
            elif entry & LARGE and current < 4:
                raise ValueError(f"{address:#x} is in a larger page")
            table = Layout(self._machine).parts(entry)[0]

    def unmap(self, address: int) -> None:
        """Take a page of 4 KiB away. Nothing if it is not mapped; ValueError where a larger page is."""
        table = self._root
        for level, index in indices(address, self.levels):
            place = table + 8 * index
            if level == 1:
                self._machine.write(place, bytes(8), key_id=self.key_id)
                return
            entry = load_entry(self._machine, place, self.key_id)
            if not entry & self._present:
                return
            if entry & LARGE and level < 4:
                raise ValueError(f"{address:#x} is in a larger page")
            table = Layout(self._machine).parts(entry)[0]
