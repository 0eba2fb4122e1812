"""What nobody should give a machine: every value of a wrong kind, and every place at an edge, is refused by
name and changes nothing."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tmebox import tme
from tmebox.tme import forgery
from tmebox.tme.explain import explain
from tmebox.tme.machine import KEPT_CHECKS, Modelled
from tmebox.tme.paging import Pages, Tables
from tmebox.tme.virtual import Iommu

NAN = float("nan")
END = 256 << 10


class Index:
    """A number that is none of Python's own."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.mark.parametrize(
    "name",
    ["key_id_bits", "most_key_id_bits", "tdx_key_id_bits", "physical_bits", "mac_bits", "events", "ways"],
)
@pytest.mark.parametrize("value", [NAN, 2.0, -1, 1 << 40, 1 << 70, "4", True, [], None])
def test_numbers_that_are_none_are_refused_with_a_rule(name: str, value: object) -> None:
    options: dict[str, Any] = {name: value if value is not None or name != "most_key_id_bits" else "None"}
    with pytest.raises(tme.ConfigurationError, match="rule "):
        tme.Machine("64KiB", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"memory": "9" * 5000},
        {"memory": "1EiB"},
        {"memory": NAN},
        {"memory": 1 << 70},
        {"coherent_aliases": "no"},
        {"bypass": NAN},
        {"algorithm": []},
        {"algorithms": [[]]},
        {"seed": -1},
        {"seed": 1 << 64},
        {"seed": "a"},
        {"exclusion": (0,)},
        {"exclusion": "ab"},
        {"exclusion": 5},
        {"exclusion": (NAN, 4096)},
        {"exclusion": (0, 1 << 52)},
        {"exclusion": (1 << 52, 4096)},
    ],
)
def test_other_values_that_cannot_be_are_refused_with_a_rule(options: dict[str, Any]) -> None:
    with pytest.raises(tme.ConfigurationError, match="rule "):
        tme.Machine(**{"memory": "64KiB", **options})


@pytest.mark.parametrize("address", [-1, END, 1 << 66, 1 << 70, -(1 << 70)])
def test_dram_has_no_line_where_no_memory_is(machine: Modelled, address: int) -> None:
    machine.write(0, b"first")
    machine.flush()
    before = machine.dram.line(0)
    for act in (
        machine.dram.line,
        machine.dram.flip_td,
        machine.dram.record,
        machine.verifying,
        lambda at: machine.dram.flip(at, 0),
        lambda at: machine.dram.flip_mac(at, 0),
        lambda at: machine.dram.replay((before,), at),
        lambda at: machine.dram[at],
    ):
        with pytest.raises(IndexError):
            act(address)
    assert machine.dram.line(0) == before
    at_the_end = machine.dram[END - 64 : END]
    with pytest.raises(IndexError):
        machine.dram.replay((before, before), END - 64)
    assert machine.dram[END - 64 : END] == at_the_end


def test_the_core_takes_no_line_number_modulo_2_to_the_64() -> None:
    machine = tme.Machine("64KiB")
    for number in (1 << 64, -1 << 64):
        with pytest.raises(OverflowError):
            machine._side(number, 5)
        with pytest.raises(OverflowError):
            machine._verifying(number)
    assert machine._side(0) == 0


def test_a_byte_of_dram_is_what_it_is_set_to(machine: Modelled) -> None:
    dram: Any = machine.dram
    values: tuple[Any, ...] = (7, True, Index(7), np.uint8(7), np.int64(7), b"\7")
    for value in values:
        dram[5] = 0xAA
        dram[5] = value
        assert dram[5] == int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    dram[np.int64(5)] ^= np.int64(4)
    dram[Index(0) : Index(2)] = np.array([1, 2], np.uint8)
    assert dram[0:2] == b"\1\2"
    for bad in (300, -1, NAN, "x", None, b"", b"ab"):
        with pytest.raises((ValueError, TypeError)):
            dram[5] = bad
    for where in (slice(-4, None), slice(4, 0), slice(0, 4, 2), slice(0, 4, -1), slice(NAN, 4), "a", NAN):
        with pytest.raises((ValueError, TypeError, IndexError)):
            dram[where]
    for bit in (-1, 8, 1 << 70):
        with pytest.raises(ValueError, match="8 bits"):
            dram.flip(0, bit)
    for size in (0, -1):
        with pytest.raises(ValueError, match="one byte"):
            dram.record(0, size)


@pytest.mark.parametrize("key_id", [16, 65535, 65539, (1 << 32) - 1])
def test_an_error_names_the_key_id_that_was_asked_for(machine: Modelled, key_id: int) -> None:
    with pytest.raises(tme.AccessError, match=f"KeyID {key_id}:"):
        machine.read(0, 1, key_id=key_id)
    with pytest.raises(tme.AccessError, match=f"KeyID {key_id} "):
        machine.physical(0, key_id)


def test_the_last_byte_under_every_key_id(machine: Modelled) -> None:
    for key_id in (1, 4):
        machine.clear(END - 64, 64, key_id=key_id)
        machine.write(machine.physical(END - 1, key_id), b"x")
        assert machine.read(END - 1, 1, key_id=key_id) == b"x"
        for address, size in ((END - 1, 2), (END - 32, 64), (END, 1)):
            with pytest.raises(tme.AccessError):
                machine.read(machine.physical(address, key_id), size)
            with pytest.raises(tme.AccessError):
                machine.write(address, bytes(size), key_id=key_id)
        machine.flush()


@pytest.mark.parametrize(
    ("bits", "trials", "seed"),
    [
        (0, 1, 1),
        (29, 1, 1),
        (64, 1, 1),
        (-1, 1, 1),
        (4, -1, 1),
        (4, 0, 1),
        (4, 1 << 60, 1),
        (4, 1, -1),
        (4, 1, 1 << 64),
    ],
)
def test_forgeries_that_cannot_be_or_would_not_end_are_refused(bits: int, trials: int, seed: int) -> None:
    with pytest.raises(ValueError, match="whole number"):
        forgery.sample(bits, trials, seed=seed)


def test_lengths_of_mac_that_give_no_line_are_refused() -> None:
    for bits in ((4, 4), (0, 1), (-1, 1), (4, 40), (), (4,)):
        with pytest.raises(ValueError, match=r"two lengths|from 1 to 28"):
            forgery.measure(bits, 10)


def test_no_key_is_in_a_pickle_unless_asked(kind: type[Modelled]) -> None:
    machine = kind("64KiB", key_id_bits=4)
    machine.activate()
    machine.pconfig(1, "direct", key=b"K" * 16, tweak_key=b"T" * 16)
    machine.write(0, b"x", key_id=1)
    for shown in (
        machine.trace(),
        machine.cached(),
        machine.key_slot(1),
        machine.options,
        machine.counters(),
    ):
        held = pickle.dumps(shown)
        assert b"K" * 16 not in held and b"T" * 16 not in held
    for whole in (machine, machine.dram, machine.registers):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(whole)
        with pytest.raises(TypeError, match="cannot pickle"):
            copy.deepcopy(whole)
    slot = machine.key_slot(1, reveal=True)
    assert slot.key == b"K" * 16 and "KKKK" not in repr(slot)


def test_a_trace_that_is_read_does_not_change(machine: Modelled) -> None:
    trace = machine.trace()
    before = list(trace)
    for _ in trace:
        machine.write(0, b"x")
    assert list(trace) == before and len(machine.trace()) > len(before)


def test_machine_checks_do_not_fill_memory() -> None:
    machine = tme.Machine("64KiB", key_id_bits=4)
    machine.activate()
    for _ in range(3 * KEPT_CHECKS):
        last = machine.log_check(1, 0, 1)
    assert KEPT_CHECKS <= len(machine.machine_checks) <= 2 * KEPT_CHECKS
    assert machine.machine_checks[-1] is last


def test_threads_share_a_machine() -> None:
    machine = tme.Machine("256KiB", key_id_bits=4, coherent_aliases=True)
    machine.activate()
    wrong: list[str] = []

    def work(key_id: int) -> None:
        machine.pconfig(key_id)
        for turn in range(300):
            machine.direct_store(key_id * 4096, bytes([turn % 256]) * 64, key_id=key_id)
            if machine.read(key_id * 4096, 1, key_id=key_id) != bytes([turn % 256]):
                wrong.append(f"{key_id} {turn}")
            len(machine.trace()), machine.cached(), machine.counters()

    threads = [threading.Thread(target=work, args=(key_id,)) for key_id in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_machine_is_another_one() -> None:
    machine = tme.Machine("64KiB", key_id_bits=4)
    machine.activate()
    machine.pconfig(1)
    machine.direct_store(0, b"parent".ljust(64), key_id=1)
    child = os.fork()
    if child == 0:
        try:
            good = machine.read(0, 6, key_id=1) == b"parent"
            machine.pconfig(1)
            machine.direct_store(0, b"child".ljust(64), key_id=1)
            os._exit(0 if good else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    machine.flush()
    assert machine.read(0, 6, key_id=1) == b"parent"


def test_a_view_of_dram_outlives_its_machine() -> None:
    machine = tme.Machine("64KiB")
    view = memoryview(machine)
    machine.write(0, b"kept")
    machine.flush()
    del machine
    gc.collect()
    assert bytes(view[:4]) == b"kept"


def test_a_guest_reaches_no_page_that_is_only_next_to_its_own(kind: type[Modelled]) -> None:
    """Bytes that cross the end of a page are of two guest pages, wherever the host has put them."""
    scene = tme.two_guests(kind(memory="2MiB", key_id_bits=6))
    scene.two.write(0x1000, b"two's own")
    scene.machine.flush()
    before = scene.machine.dram[0x101000:0x101040]
    for act in (lambda: scene.one.read(0x1FF0, 32), lambda: scene.one.write(0x1FF0, bytes(32))):
        with pytest.raises(tme.TranslationFault, match="ept-violation"):
            act()
    scene.machine.flush()
    assert scene.machine.dram[0x101000:0x101040] == before
    assert scene.two.read(0x1000, 9) == b"two's own"
    scene.one.ept.map(0x2000, 0x104000, 1)
    scene.machine.clear(0x104000, 4096, key_id=1)
    scene.one.write(0x1FF0, bytes(range(32)))
    assert scene.one.read(0x1FF0, 32) == bytes(range(32))
    assert scene.machine.read(0x104000, 16, key_id=1) == bytes(range(16, 32))


def test_a_device_reaches_no_page_that_is_only_next_to_its_own(machine: Modelled) -> None:
    frames = Pages(0x10000, 0x20000)
    iommu, tree = Iommu(machine, frames), Tables(machine, frames, present=3)
    tree.map(0x5000, 0x2000)
    iommu.attach(3, 7, tree)
    machine.write(0x3000, b"another's")
    iommu.write(3, 7, 0x5FF0, bytes(16))
    for act in (lambda: iommu.read(3, 7, 0x5FF0, 32), lambda: iommu.write(3, 7, 0x5FF0, bytes(32))):
        with pytest.raises(tme.TranslationFault, match="dma-fault"):
            act()
    assert machine.read(0x3000, 9) == b"another's"
    for bus, function in ((256, 0), (-1, 0), (0, 256), (0, -1)):
        with pytest.raises(ValueError, match="8 bits"):
            iommu.attach(bus, function, tree)
        with pytest.raises(ValueError, match="8 bits"):
            iommu.translate(bus, function, 0x5000)
    for address in (1 << 48 | 0x5000, -1):
        with pytest.raises(tme.TranslationFault, match="dma-fault"):
            iommu.translate(3, 7, address)
    with pytest.raises(ValueError, match="has 4"):
        iommu.attach(0, 0, Tables(machine, frames, levels=5))


def test_large_pages_of_guests_and_devices(machine: Modelled) -> None:
    frames = Pages(0x10000, 0x20000)
    iommu, tree = Iommu(machine, frames), Tables(machine, frames, present=3)
    tree.map(0x200000, 0, 2, level=2)
    iommu.attach(0, 0, tree)
    assert iommu.translate(0, 0, 0x201234).physical == machine.physical(0x1234, 2)

    ept = Tables(machine, frames, present=7)
    for page in range(0, 0x30000, 4096):
        ept.map(page, page)
    guest = tme.Guest(machine, "guest", ept)
    own = Tables(machine, frames)
    own.map(0x200000, 0, level=2)
    assert guest.walk(0x201234, own.root).address == 0x1234
    with pytest.raises(tme.TranslationFault, match="canonical"):
        guest.walk(1 << 47, own.root)


def test_an_address_has_one_key_id(machine: Modelled) -> None:
    """Two KeyIDs that are joined would be a third one's."""
    assert machine.physical(machine.physical(0x40, 2), 2) == machine.physical(0x40, 2)
    with pytest.raises(tme.AccessError, match="key-id-once"):
        machine.physical(machine.physical(0x40, 1), 2)
    for address in (-1, 1 << 52, 1 << 70):
        with pytest.raises(tme.AccessError, match="address-in-memory"):
            machine.physical(address, 0)
        assert "none" in {fact.where: fact.what for fact in explain(machine, address, 1)}["physical address"]
    joined = explain(machine, machine.physical(0x40, 1), 2)
    assert "none" in {fact.where: fact.what for fact in joined}["physical address"]


def test_tables_are_never_changed_by_half(machine: Modelled) -> None:
    machine.write(0, b"at address 0")
    tables = Tables(machine, Pages(0x10000, 0x20000))
    tables.unmap(0x40001000)
    assert machine.read(0, 12) == b"at address 0"
    tables.map(0x200000, 0, level=2)
    for act in (
        lambda: tables.unmap(0x201000),
        lambda: tables.map(0x201000, 0x1000),
        lambda: tables.map(0x1000, 0x1234),
        lambda: tables.map(0x1001, 0x1000),
        lambda: tables.map(0, 0, level=0),
        lambda: tables.map(0, 0, level=4),
        lambda: tables.map(0, 0x1000, level=2),
    ):
        call: Callable[[], object] = act
        with pytest.raises(ValueError):
            call()
    with pytest.raises(tme.AccessError, match="key-id-range"):
        tables.map(0x1000, 0x1000, 16)
    assert tme.walk(machine, 0x200000, tables.root).address == 0
