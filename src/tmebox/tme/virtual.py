"""Guests and devices: EPT, guest page tables that carry no KeyID, and DMA remapping."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.tme.faults import TranslationFault
from tmebox.tme.machine import Modelled
from tmebox.tme.paging import (
    LARGE,
    NAMES,
    PRESENT,
    TABLE_SIZE,
    Frames,
    Layout,
    Step,
    Tables,
    Translation,
    indices,
    load_entry,
    need_canonical,
    pieces,
)

EPT_READ, EPT_WRITE, EPT_EXECUTE = 1, 2, 4
EPT_ALL = 7
DMA_READ, DMA_WRITE = 1, 2


def walk_ept(
    machine: Modelled, guest_physical: int, pointer: int, *, write: bool = False, levels: int = 4
) -> Translation:
    """Translate a guest's physical address. `pointer`: of EPT's root table, with KeyID bits.

    TranslationFault "ept-violation" or "ept-misconfiguration". A guest-physical address has no KeyID: bits at
    and above the KeyIDs' place are not in any guest's memory.
    """
    layout = Layout(machine)
    table, key_id = layout.parts(pointer)
    steps = [Step("EPTP", 0, 0, pointer, key_id)]
    if guest_physical >> min(12 + 9 * levels, layout.width):
        raise TranslationFault("ept-violation", guest_physical, 0, "beyond EPT's reach", "ept-violation")
    read_only = 0  # the first level that says so: an entry that is malformed further down comes first
    for level, index in indices(guest_physical, levels):
        place = table + 8 * index
        entry = load_entry(machine, place, key_id)
        target, next_key = layout.parts(entry)
        steps.append(Step(f"EPT {NAMES[level]}", place, key_id, entry, next_key))
        rights = entry & EPT_ALL
        if rights == 0:
            raise TranslationFault(
                "ept-violation", guest_physical, level, "the entry is not present", "ept-violation"
            )
        read_only = read_only or (0 if entry & EPT_WRITE else level)
        large = bool(entry & LARGE) and level > 1
        span = 1 << (12 + 9 * (level - 1))
        bad = not rights & EPT_READ or layout.has_reserved_bits(entry)
        if bad or (large and level > 3) or (large and target & (span - 1)):
            raise TranslationFault(
                "ept-misconfiguration", guest_physical, level, "the entry is malformed", "ept-misconfigured"
            )
        if large or level == 1:
            if write and read_only:
                raise TranslationFault(
                    "ept-violation", guest_physical, read_only, "the access is not allowed", "ept-violation"
                )
            address = target | guest_physical & (span - 1)
            return Translation(address, next_key, address | next_key << layout.shift, tuple(steps))
        table, key_id = target, next_key
    raise AssertionError("a walk ends at level 1")


@dataclass(frozen=True)
class Guest:
    """A virtual machine: its EPT, and how wide it believes physical addresses to be.

    All that it reads and writes goes through EPT, its own page tables too. KeyIDs come from EPT's entries
    alone.
    """

    machine: Modelled
    name: str
    ept: Tables
    guest_physical_bits: int = 40

    def translate(self, guest_physical: int, *, write: bool = False) -> Translation:
        return walk_ept(self.machine, guest_physical, self.ept.root, write=write, levels=self.ept.levels)

    def read(self, guest_physical: int, size: int) -> bytes:
        """Bytes. Every page of them is translated, and before the first is read."""
        parts = [(self.translate(at), now) for at, now in pieces(guest_physical, size)]
        return b"".join(self.machine.read(found.physical, now) for found, now in parts)

    def write(self, guest_physical: int, data: bytes) -> None:
        """Bytes. Every page of them is translated, and before the first is written."""
        data = bytes(memoryview(data))  # it may be DRAM itself
        parts = [(self.translate(at, write=True), now) for at, now in pieces(guest_physical, len(data))]
        done = 0
        for found, now in parts:
            self.machine.write(found.physical, data[done : done + now])
            done += now

    def walk(self, linear: int, cr3: int, levels: int = 4) -> Translation:
        """Translate a linear address of the guest: its own tables, each found through EPT, then EPT for the
        page.

        An entry with bits above `guest_physical_bits`, such as a KeyID, is a page fault in the guest."""
        need_canonical(linear, levels)
        steps: list[Step] = [Step("CR3", 0, 0, cr3, 0)]
        span = TABLE_SIZE
        table = cr3 & ~0xFFF
        for level, index in indices(linear, levels):
            place = self.translate(table + 8 * index)
            entry = load_entry(self.machine, place.address, place.key_id)
            steps += [*place.steps, Step(f"guest {NAMES[level]}", table + 8 * index, place.key_id, entry, 0)]
            if not entry & PRESENT:
                raise TranslationFault("page-fault", linear, level, "not present", "paging-present")
            if entry & ((1 << 52) - (1 << self.guest_physical_bits)):
                raise TranslationFault(
                    "page-fault", linear, level, "guest tables have no KeyID bits", "guest-no-key-id"
                )
            table = entry & ((1 << self.guest_physical_bits) - 1) & ~0xFFF
            if entry & LARGE and level > 1:
                span = TABLE_SIZE << 9 * (level - 1)
                if level > 3 or table & (span - 1) & ~0x1FFF:
                    raise TranslationFault(
                        "page-fault", linear, level, "reserved bits are set", "paging-reserved"
                    )
                break
        found = self.translate(table & ~(span - 1) | linear & (span - 1))
        return Translation(found.address, found.key_id, found.physical, (*steps, *found.steps))


def _need_device(bus: int, function: int) -> None:
    if not (0 <= bus < 256 and 0 <= function < 256):
        raise ValueError(f"bus={bus}, function={function}: each has 8 bits")


class Iommu:
    """DMA remapping: root table, context table, second-stage tables. Devices carry no KeyID; the tables
    do."""

    def __init__(self, machine: Modelled, frames: Frames, *, key_id: int = 0) -> None:
        self._machine = machine
        self._frames = frames
        self.key_id = key_id
        self._root = self._page()

    def _page(self) -> int:
        page = self._frames.take()
        self._machine.clear(page, TABLE_SIZE, key_id=self.key_id)
        return page

    def _entry(self, table: int, number: int) -> int:
        return load_entry(self._machine, table + 16 * number, self.key_id)

    def _set_entry(self, table: int, number: int, low: int, high: int = 0) -> None:
        data = low.to_bytes(8, "little") + high.to_bytes(8, "little")
        self._machine.write(table + 16 * number, data, key_id=self.key_id)

    def attach(self, bus: int, function: int, tables: Tables) -> None:
        """Give a device, by bus and device-function number, a second-stage tree of four levels."""
        _need_device(bus, function)
        if tables.levels != 4:
            raise ValueError(f"a tree of {tables.levels} levels: a device's has 4")
        entry = self._entry(self._root, bus)
        if not entry & PRESENT:
            entry = self._machine.physical(self._page(), self.key_id) | PRESENT
            self._set_entry(self._root, bus, entry)
        context = Layout(self._machine).parts(entry)[0]
        self._set_entry(context, function, tables.root | PRESENT, tables.levels - 2)

    def translate(self, bus: int, function: int, address: int, *, write: bool = False) -> Translation:
        """Where a device's access goes; TranslationFault "dma-fault" if it is blocked."""
        _need_device(bus, function)
        if not 0 <= address < 1 << 48:
            raise TranslationFault("dma-fault", address, 0, "beyond four levels' reach", "iommu-fault")
        layout = Layout(self._machine)
        table, key_id = self._root, self.key_id
        span = TABLE_SIZE
        needed, refused = (DMA_WRITE if write else DMA_READ), 0
        steps = []
        for name, number in (("root", bus), ("context", function)):
            place = table + 16 * number
            entry = load_entry(self._machine, place, key_id)
            table, next_key = layout.parts(entry)
            steps.append(Step(name, place, key_id, entry, next_key))
            if not entry & PRESENT:
                raise TranslationFault(
                    "dma-fault", address, 0, f"no {name} entry for the device", "iommu-fault"
                )
            if layout.has_reserved_bits(entry, 64):
                raise TranslationFault(
                    "dma-fault", address, 0, f"the {name} entry is malformed", "iommu-fault"
                )
            key_id = next_key
        for level, index in indices(address, 4):
            place = table + 8 * index
            entry = load_entry(self._machine, place, key_id)
            table, next_key = layout.parts(entry)
            steps.append(Step(f"DMA {NAMES[level]}", place, key_id, entry, next_key))
            key_id = next_key
            if not entry & (DMA_READ | DMA_WRITE):
                raise TranslationFault("dma-fault", address, level, "not present", "iommu-fault")
            refused = refused or (0 if entry & needed else level)
            large = bool(entry & LARGE) and level > 1
            span = TABLE_SIZE << 9 * (level - 1)
            if layout.has_reserved_bits(entry) or (large and (level > 3 or table & (span - 1))):
                raise TranslationFault("dma-fault", address, level, "the entry is malformed", "iommu-fault")
            if large:
                break
        if refused:
            raise TranslationFault("dma-fault", address, refused, "not allowed", "iommu-fault")
        found = table | address & (span - 1)
        return Translation(found, key_id, found | key_id << layout.shift, tuple(steps))

    def read(self, bus: int, function: int, address: int, size: int) -> bytes:
        """What a device reads by DMA. Every page of it is translated, and before the first is read."""
        parts = [(self.translate(bus, function, at), now) for at, now in pieces(address, size)]
        return b"".join(self._machine.read(found.physical, now) for found, now in parts)

    def write(self, bus: int, function: int, address: int, data: bytes) -> None:
        """What a device writes by DMA. Every page of it is translated, and before the first is written."""
        data = bytes(memoryview(data))  # it may be DRAM itself
        parts = [
            (self.translate(bus, function, at, write=True), now) for at, now in pieces(address, len(data))
        ]
        done = 0
        for found, now in parts:
            self._machine.write(found.physical, data[done : done + now])
            done += now
