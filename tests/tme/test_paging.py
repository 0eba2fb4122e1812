"""Where KeyIDs go: host tables, EPT, guests without them, devices."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled
from tmebox.tme.paging import PRESENT, WRITE, Step, load_entry
from tmebox.tme.virtual import EPT_ALL, walk_ept

LINEAR = 0x7F12_3456_7000


def tables(machine: Modelled, **how: Any) -> tme.Tables:
    return tme.Tables(machine, tme.Pages(0x10000, 0x30000), **how)


@pytest.mark.parametrize("levels", [4, 5])
def test_host_tables_carry_key_ids_at_every_level(machine: Modelled, levels: int) -> None:
    tree = tables(machine, levels=levels, key_id=2)
    tree.map(LINEAR, 0x3000, 3)
    machine.direct_store(0x3000, b"found".ljust(64), key_id=3)
    result = tme.walk(machine, LINEAR + 5, tree.root, levels)
    assert (result.address, result.key_id) == (0x3005, 3)
    assert result.physical == 0x3005 | 3 << 48
    assert [step.key_id for step in result.steps] == [2] * levels + [3]
    assert tree.root >> 48 == 2, "CR3 has the KeyID of the top table"
    assert machine.read(tme.walk(machine, LINEAR, tree.root, levels).physical, 5) == b"found"
    # A table read under another KeyID than it was written with is a machine check.
    machine.flush()
    with pytest.raises(tme.IntegrityError):
        tme.walk(machine, LINEAR, tree.root & ~(0xF << 48) | 1 << 48, levels)


def test_large_pages_carry_key_ids(machine: Modelled) -> None:
    tree = tables(machine)
    tree.map(0x4000_0000, 0, 3, level=3)
    tree.map(0x20_0000, 0, 1, level=2)
    assert tme.walk(machine, 0x4000_1234, tree.root).physical == 0x1234 | 3 << 48
    assert tme.walk(machine, 0x20_4321, tree.root).physical == 0x4321 | 1 << 48


def test_not_present_entries_fault(machine: Modelled) -> None:
    tree = tables(machine)
    with pytest.raises(tme.TranslationFault) as caught:
        tme.walk(machine, LINEAR, tree.root)
    assert (caught.value.kind, caught.value.level, caught.value.rule) == ("page-fault", 4, "paging-present")
    tree.map(LINEAR, 0x3000, 3)
    tree.unmap(LINEAR)
    with pytest.raises(tme.TranslationFault) as caught:
        tme.walk(machine, LINEAR, tree.root)
    assert caught.value.level == 1
    tree.map(LINEAR, 0x3000, 3, flags=PRESENT)
    tme.walk(machine, LINEAR, tree.root)
    with pytest.raises(tme.TranslationFault, match="read-only"):
        tme.walk(machine, LINEAR, tree.root, write=True)


def test_reserved_bits_fault(build: Any) -> None:
    machine = build(physical_bits=46, algorithm="aes-xts-128")
    tree = tables(machine)
    tree.map(LINEAR, 0x3000, 3)
    place = tme.walk(machine, LINEAR, tree.root).steps[-1].address
    entry = int.from_bytes(machine.read(place, 8), "little")
    assert entry >> 42 == 3, "below 46 bits the KeyID's bits are no reserved ones"
    machine.write(place, (entry | 1 << 46).to_bytes(8, "little"))
    with pytest.raises(tme.TranslationFault, match="paging-reserved"):
        tme.walk(machine, LINEAR, tree.root)


def test_canonical_addresses_only(machine: Modelled) -> None:
    tree = tables(machine)
    for linear in (1 << 47, 1 << 63, (1 << 64) - (1 << 48)):
        with pytest.raises(tme.TranslationFault, match="paging-canonical"):
            tme.walk(machine, linear, tree.root)
    tree.map((1 << 64) - (1 << 47), 0x3000, 1)
    assert tme.walk(machine, (1 << 64) - (1 << 47), tree.root).key_id == 1
    with pytest.raises(ValueError):
        tme.walk(machine, 0, tree.root, 3)


def test_ept_carries_key_ids(kind: type[Modelled]) -> None:
    scene = tme.two_guests(kind(memory="2MiB", key_id_bits=6, seed=4))
    result = scene.one.translate(0x1000)
    assert (result.key_id, result.address) == (1, 0x100000)
    assert [step.key_id for step in result.steps] == [0, 0, 0, 0, 1]
    assert scene.two.translate(0x8000).key_id == scene.one.translate(0x8000).key_id == 3


def test_two_guests_share_a_third_key_id(kind: type[Modelled]) -> None:
    scene = tme.two_guests(kind(memory="2MiB", key_id_bits=6, seed=4))
    scene.one.write(0x8000, b"for both")
    assert scene.two.read(0x8000, 8) == b"for both"
    scene.one.write(0x1000, b"mine only")
    scene.machine.flush()
    assert scene.one.read(0x1000, 9) == b"mine only"
    for key_id in (0, 2, 3):  # the hypervisor's, the other guest's, the common one
        with pytest.raises(tme.IntegrityError):
            scene.machine.read(0x100000, 9, key_id=key_id)
    assert scene.machine.read(0x100000, 9, key_id=1) == b"mine only", "a hypervisor may use any KeyID"


def test_ept_faults(kind: type[Modelled]) -> None:
    scene = tme.two_guests(kind(memory="2MiB", key_id_bits=6, seed=4))
    with pytest.raises(tme.TranslationFault) as caught:
        scene.one.read(0x2000, 1)
    assert (caught.value.kind, caught.value.rule) == ("ept-violation", "ept-violation")
    with pytest.raises(tme.TranslationFault, match="ept-violation"):
        scene.one.read(1 << 50, 1)
    scene.one.ept.map(0x3000, 0x103000, 1, flags=2)
    with pytest.raises(tme.TranslationFault, match="ept-misconfigured"):
        scene.one.read(0x3000, 1)
    scene.one.ept.map(0x3000, 0x103000, 1, flags=1)
    with pytest.raises(tme.TranslationFault, match="ept-violation"):
        scene.one.write(0x3000, b"x")


def change(machine: Modelled, step: Step, *, add: int = 0, remove: int = 0) -> None:
    """Bits of the entry that a walk read."""
    entry = load_entry(machine, step.address, step.table_key_id) & ~remove | add
    machine.write(step.address, entry.to_bytes(8, "little"), key_id=step.table_key_id)


Walk = Callable[..., tme.Translation]


def walks(machine: Modelled) -> dict[str, tuple[Walk, str, str]]:
    """How the host, a guest and a device come to a page; what each says of an entry that is malformed, and of
    one that allows no write."""
    frames = tme.Pages(0x10000, 0x30000)
    host, ept, remapped = (tme.Tables(machine, frames, present=flags) for flags in (7, EPT_ALL, 3))
    for tree in (host, ept, remapped):
        tree.map(0x1000, 0x4000)
    iommu = tme.Iommu(machine, frames)
    iommu.attach(2, 8, remapped)
    return {
        "host": (partial(tme.walk, machine, 0x1000, host.root), "reserved bits", "read-only"),
        "guest": (partial(walk_ept, machine, 0x1000, ept.root), "ept-misconfiguration", "ept-violation"),
        "device": (partial(iommu.translate, 2, 8, 0x1000), "malformed", "not allowed"),
    }


@pytest.mark.parametrize("who", ["host", "guest", "device"])
@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_what_is_malformed_comes_before_what_is_not_allowed(build: Any, who: str, level: int) -> None:
    machine = build(physical_bits=46)
    walk, malformed, refused = walks(machine)[who]
    steps = walk(write=True).steps
    for above in range(1, 5):
        change(machine, steps[-above], remove=WRITE)
        with pytest.raises(tme.TranslationFault, match=refused) as caught:
            walk(write=True)
        assert caught.value.level == above
        walk()
        change(machine, steps[-level], add=1 << 50)
        for write in (False, True):
            with pytest.raises(tme.TranslationFault, match=malformed) as caught:
                walk(write=write)
            assert caught.value.level == level
        change(machine, steps[-level], remove=1 << 50)
        change(machine, steps[-above], add=WRITE)
    walk(write=True)


def test_a_device_reads_what_all_its_entries_let_it_read(build: Any) -> None:
    machine = build(physical_bits=46)
    walk, _, refused = walks(machine)["device"]
    for step in walk().steps[2:]:
        change(machine, step, remove=1)  # it may still write
        with pytest.raises(tme.TranslationFault, match=refused):
            walk()
        walk(write=True)
        change(machine, step, add=1)
    for step in walk().steps[:2]:  # the root's entry, and the device's
        change(machine, step, add=1 << 46)
        with pytest.raises(tme.TranslationFault, match="malformed"):
            walk()
        change(machine, step, remove=1 << 46)
    walk()


def test_a_guest_and_a_device_write_what_dram_was(build: Any) -> None:
    """Page by page the first store would change what the next one takes."""
    machine = build(cache=None)
    frames = tme.Pages(0x10000, 0x30000)
    for write in (guest_writer(machine, frames), device_writer(machine, frames)):
        machine.write(0x4000, bytes(range(256)) * 16)
        before = machine.dram[0x4000:0x6000]
        write(machine._dram()[0x4000:0x6000])
        assert machine.read(0x5000, 0x2000) == before


def guest_writer(machine: Modelled, frames: tme.Pages) -> Callable[[Any], None]:
    ept = tme.Tables(machine, frames, present=EPT_ALL)
    for page in (0x5000, 0x6000):
        ept.map(page, page)
    return lambda data: tme.Guest(machine, "guest", ept).write(0x5000, data)


def device_writer(machine: Modelled, frames: tme.Pages) -> Callable[[Any], None]:
    tree, iommu = tme.Tables(machine, frames, present=3), tme.Iommu(machine, frames)
    for page in (0x5000, 0x6000):
        tree.map(page, page)
    iommu.attach(0, 0, tree)
    return lambda data: iommu.write(0, 0, 0x5000, data)


def test_guest_tables_have_no_key_ids(kind: type[Modelled]) -> None:
    scene = tme.two_guests(kind(memory="2MiB", key_id_bits=6, seed=4))
    machine, guest = scene.machine, scene.one
    for index, page in enumerate((0x10000, 0x11000, 0x12000, 0x13000)):
        host = 0x110000 + 4096 * index
        machine.clear(host, 4096, key_id=1)
        guest.ept.map(page, host, 1)
    for level, page in ((4, 0x10000), (3, 0x11000), (2, 0x12000)):
        guest.write(page, (page + 0x1000 | 7).to_bytes(8, "little"))
        assert level
    guest.write(0x13000, (0x8000 | 7).to_bytes(8, "little"))
    result = guest.walk(0x123, 0x10000)
    assert (result.address, result.key_id) == (0x102123, 3), "the KeyID is EPT's"
    inside = [step for step in result.steps if step.table.startswith("guest")]
    assert len(inside) == 4
    assert all(step.key_id == 0 and step.table_key_id == 1 for step in inside)
    # The guest's own attempt to name a KeyID is a page fault.
    guest.write(0x13000, (machine.physical(0x8000, 2) | 7).to_bytes(8, "little"))
    with pytest.raises(tme.TranslationFault, match="guest-no-key-id"):
        guest.walk(0x123, 0x10000)


def test_iommu_tables_carry_key_ids(kind: type[Modelled]) -> None:
    scene = tme.two_guests(kind(memory="2MiB", key_id_bits=6, seed=4))
    machine = scene.machine
    iommu = tme.Iommu(machine, scene.frames)
    tree = tme.Tables(machine, scene.frames, present=EPT_ALL)
    tree.map(0x5000, 0x102000, 3)
    iommu.attach(2, 8, tree)
    scene.one.write(0x8000, b"to the device")
    assert iommu.read(2, 8, 0x5000, 13) == b"to the device"
    iommu.write(2, 8, 0x5010, b"from it")
    assert scene.two.read(0x8010, 7) == b"from it"
    assert iommu.translate(2, 8, 0x5000).key_id == 3
    for bus, function, address in ((1, 8, 0x5000), (2, 9, 0x5000), (2, 8, 0x6000)):
        with pytest.raises(tme.TranslationFault, match="iommu-fault"):
            iommu.read(bus, function, address, 1)


def test_tables_run_out_of_pages(machine: Modelled) -> None:
    with pytest.raises(MemoryError):
        tme.Tables(machine, tme.Pages(0x10000, 0x12000)).map(0, 0)
