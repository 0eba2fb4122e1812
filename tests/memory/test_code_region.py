"""Where text goes: anywhere free, at a given address, or at the usual one of its contents."""

from __future__ import annotations

import pytest

import tmebox
from tmebox import _native, abi
from tmebox.memory.code_region import CODE_REGION, CodeRegion, usual_address

ADD_C = "int add(int a, int b) { return a + b; }"


@pytest.fixture
def free() -> CodeRegion:
    """A region with one hole of 16 slots; nothing is mapped in it."""
    region = CodeRegion()
    region._extents = _native.Extents(abi.CODE_BASE, abi.CODE_BASE + 16 * abi.TEXT_ALIGN)
    return region


def test_a_slot_in_the_middle_leaves_a_hole_on_either_side(free: CodeRegion) -> None:
    address = abi.CODE_BASE + 5 * abi.TEXT_ALIGN
    middle = free.allocate(1, address)
    assert (middle.address, middle.size_bytes) == (address, abi.TEXT_ALIGN)
    assert free.free_bytes() == 15 * abi.TEXT_ALIGN
    above = free.allocate(5 * abi.TEXT_ALIGN)
    assert above.end == abi.CODE_BASE + 16 * abi.TEXT_ALIGN
    below = free.allocate(5 * abi.TEXT_ALIGN, abi.CODE_BASE)
    assert below.end == address


def test_an_address_that_is_taken_or_outside_is_refused(free: CodeRegion) -> None:
    slot = free.allocate(2 * abi.TEXT_ALIGN, abi.CODE_BASE + 4 * abi.TEXT_ALIGN)
    for address in (slot.address, slot.end - abi.TEXT_ALIGN, slot.address - abi.TEXT_ALIGN, 0, 1 << 63):
        with pytest.raises(tmebox.LimitError, match="another module"):
            free.allocate(2 * abi.TEXT_ALIGN, address)


def test_the_usual_address_depends_on_contents_and_lies_in_its_part_of_the_region() -> None:
    addresses = {usual_address(bytes([value]) * 100_000) for value in range(100)}
    assert len(addresses) > 90
    for address in addresses:
        assert address is not None and address % abi.TEXT_ALIGN == 0
        assert abi.GATE_BASE - abi.USUAL_TEXT_SIZE <= address <= abi.GATE_BASE - 100_000
    assert usual_address(bytes(abi.USUAL_TEXT_SIZE)) is None


def test_a_module_can_be_had_at_another_address_and_works_there() -> None:
    module = tmebox.compile(source_text=ADD_C + "int (*pointer)(int, int) = add;"
                            "int through(int a, int b) { return pointer(a, b); }")  # fmt: skip
    assert module.address == usual_address(module.file.text)
    assert module.at(module.address) is module
    with pytest.raises(tmebox.LimitError):
        tmebox.Module(module.file, address=module.address)
    elsewhere = CODE_REGION.allocate(1)
    CODE_REGION.release(elsewhere)
    moved = module.at(elsewhere.address)
    assert moved.address == elsewhere.address
    assert module.at(elsewhere.address) is moved
    with tmebox.Sandbox(moved) as there, tmebox.Sandbox(module) as here:
        assert there.through(3, 4) == here.through(3, 4) == 7
