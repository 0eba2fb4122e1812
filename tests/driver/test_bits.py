"""The driver's arithmetic over registers, page-table entries and offsets, against the specification."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.driver import bits
from tmebox.driver import registers

INTEGRITY_ALLOWED = 2 << 48
WORDS = st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return bits.load(tmp_path_factory.mktemp("bits"))


def part(**changes: int | bool) -> bits.Registers:
    """A server part with six KeyID bits, 63 keys and integrity."""
    good: dict[str, int | bool] = {
        "has_tme": True,
        "has_pconfig": True,
        "has_mktme_target": True,
        "has_movdir64b": True,
        "has_capability": True,
        "has_partitioning": False,
        "has_aliases": False,
        "has_core_activate": True,
        "address_bits": 52,
        "capability": 0b11 | 6 << 32 | 63 << 36,
        "activate": 0b11 | 6 << 32 | INTEGRITY_ALLOWED | 1 << 48,
        "partitioning": 0,
        "aliases": 0,
        "core_activate": 6 << 32,
    }
    return bits.Registers(**{**good, **changes})


def asked(library: ctypes.CDLL, found: bits.Registers) -> tuple[str, bits.Layout]:
    layout = bits.Layout()
    refusal = library.hardware_layout(ctypes.byref(found), ctypes.byref(layout))
    return library.refusal_text(refusal).decode(), layout


def test_structures_have_the_sizes_that_user_space_passes(library: ctypes.CDLL) -> None:
    sizes = {"info": 64, "create": 8, "key_number": 8, "range": 24, "key_program": 256}
    for name, size in sizes.items():
        assert getattr(library, f"size_of_{name}")() == size, name


def test_a_part_with_integrity_is_usable(library: ctypes.CDLL) -> None:
    text, layout = asked(library, part())
    assert text == "usable"
    assert (layout.key_bits, layout.key_shift, layout.keys) == (6, 46, 63)
    assert layout.algorithms == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"has_tme": False}, "no memory encryption"),
        ({"has_pconfig": False}, "cannot program keys"),
        ({"has_mktme_target": False}, "cannot program keys"),
        ({"has_movdir64b": False}, "no MOVDIR64B"),
        ({"has_capability": False}, "cannot be read"),
        ({"activate": 0b10 | 6 << 32 | INTEGRITY_ALLOWED}, "unlocked"),
        ({"activate": 0b01 | 6 << 32 | INTEGRITY_ALLOWED}, "did not enable"),
        ({"activate": 0b11 | 1 << 31 | 6 << 32 | INTEGRITY_ALLOWED}, "bypassed"),
        ({"activate": 0b11 | INTEGRITY_ALLOWED}, "no KeyID bits"),
        ({"core_activate": 0}, "did not give the core"),
        ({"core_activate": 4 << 32}, "did not give the core"),
        ({"capability": 0b01 | 6 << 32 | 63 << 36}, "no integrity"),
        ({"activate": 0b11 | 6 << 32 | 1 << 48}, "does not allow keys with integrity"),
        ({"has_aliases": True, "aliases": 1 << 8}, "forbids one page under several"),
        ({"activate": 0b11 | 6 << 32 | 6 << 36 | INTEGRITY_ALLOWED}, "TDX has all"),
        ({"has_partitioning": True, "partitioning": 63 << 32}, "TDX has all"),
        ({"capability": 0b11 | 6 << 32}, "TDX has all"),
        ({"address_bits": 6}, "do not fit"),
        ({"address_bits": 53}, "do not fit"),
        ({"address_bits": 17}, "do not fit"),
    ],
)
def test_a_part_that_lacks_something_is_refused_with_the_reason(
    library: ctypes.CDLL, changes: dict[str, int], reason: str
) -> None:
    text, layout = asked(library, part(**changes))
    assert reason in text
    assert layout.keys == 0


def test_a_core_whose_register_cannot_be_read_is_not_asked(library: ctypes.CDLL) -> None:
    assert asked(library, part(has_core_activate=False, core_activate=0))[0] == "usable"


def test_tdx_takes_its_part_of_the_keys(library: ctypes.CDLL) -> None:
    _, layout = asked(library, part(activate=0b11 | 6 << 32 | 2 << 36 | INTEGRITY_ALLOWED))
    assert (layout.key_bits, layout.key_shift, layout.keys) == (6, 46, 15)
    _, layout = asked(library, part(has_partitioning=True, partitioning=56 << 32 | 7))
    assert layout.keys == 7
    _, layout = asked(library, part(capability=0b11 | 6 << 32 | 40 << 36))
    assert layout.keys == 40


@settings(max_examples=500, deadline=None)
@given(
    flags=st.integers(0, 255),
    address_bits=st.integers(0, 64),
    capability=WORDS,
    activate=WORDS,
    partitioning=WORDS,
    aliases=WORDS,
    core_activate=WORDS,
    likely=st.booleans(),
)
def test_the_driver_and_doctor_say_the_same(
    library: ctypes.CDLL,
    flags: int,
    address_bits: int,
    capability: int,
    activate: int,
    partitioning: int,
    aliases: int,
    core_activate: int,
    likely: bool,
) -> None:
    if likely:  # otherwise hardly any is usable
        flags, activate = flags | 31, activate | 3 & ~(1 << 31) | INTEGRITY_ALLOWED
        activate &= ~(1 << 31)
        capability |= 2
        core_activate = activate
    names = [name for name, kind, *_ in bits.Registers._fields_ if kind is ctypes.c_bool]
    has = {name: bool(flags >> number & 1) for number, name in enumerate(names)}
    text, layout = asked(
        library,
        bits.Registers(
            **has,
            address_bits=address_bits,
            capability=capability,
            activate=activate,
            partitioning=partitioning,
            aliases=aliases,
            core_activate=core_activate,
        ),
    )
    found = registers.Registers(
        has_tme=has["has_tme"],
        has_pconfig=has["has_pconfig"] and has["has_mktme_target"],
        has_movdir64b=has["has_movdir64b"],
        address_bits=address_bits,
        capability=capability if has["has_capability"] else None,
        activate=activate if has["has_capability"] else None,
        partitioning=partitioning if has["has_partitioning"] else None,
        aliases=aliases if has["has_aliases"] else None,
        core_activate=core_activate if has["has_core_activate"] else None,
    )
    try:
        ours = registers.layout(found)
    except registers.UnusableError as error:
        assert str(error) == text
    else:
        assert text == "usable"
        assert (ours.key_bits, ours.key_shift, ours.keys) == (layout.key_bits, layout.key_shift, layout.keys)


def test_simulated_layouts_fit_an_entry(library: ctypes.CDLL) -> None:
    assert library.layout_fits(6, 36, 46)
    assert library.layout_fits(10, 36, 46)
    assert not library.layout_fits(11, 36, 46)
    assert not library.layout_fits(0, 36, 46)
    assert not library.layout_fits(16, 30, 52)
    assert not library.layout_fits(1, 12, 46)
    assert not library.layout_fits(1, 46, 46)
    assert not library.layout_fits(1, 2**32 - 1, 46)
    assert not library.layout_fits(1, 36, 57)


def test_only_what_is_locked_enabled_and_has_keys_is_active(library: ctypes.CDLL) -> None:
    assert library.active(3 | 6 << 32)
    for activate in (0, 1 | 6 << 32, 2 | 6 << 32, 3):
        assert not library.active(activate)


@given(key=st.integers(0, 2**15 - 1), address=st.integers(0, 2**36 - 1))
@settings(deadline=None)
def test_key_bits_lie_above_the_address(library: ctypes.CDLL, key: int, address: int) -> None:
    layout = bits.Layout(15, 36, 2**15 - 1, 2)
    entry = library.entry_bits(ctypes.byref(layout), key)
    assert entry == key << 36
    assert library.address_without_key(ctypes.byref(layout), entry | address) == address
    assert library.frame_fits(ctypes.byref(layout), address >> 12)
    assert not library.frame_fits(ctypes.byref(layout), 1 << 24 | address >> 12)


@given(offset=st.one_of(WORDS, st.integers(0, 2**42), st.builds(lambda k, p: k << 24 | p, WORDS, WORDS)))
@settings(deadline=None)
def test_offsets_are_taken_apart_or_refused(library: ctypes.CDLL, offset: int) -> None:
    offset &= 2**52 - 1  # in pages
    key, alias, page = ctypes.c_uint(), ctypes.c_int(), ctypes.c_uint64()
    good = library.place_of(offset, ctypes.byref(key), ctypes.byref(alias), ctypes.byref(page))
    alias_bit = 1 << 40
    assert bool(good) == (offset & ~alias_bit < 1 << 39)
    if good:
        assert offset == alias.value * alias_bit | key.value << 24 | page.value
        assert page.value < 1 << 24


EDGES = [0, 1, 2, 15, 16, 17, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 16, 2**64 - 2, 2**64 - 1]


def wrong_ranges(library: ctypes.CDLL) -> list[tuple[int, int, int]]:
    numbers = [(p, f, c) for p in (0, 1, 16, 2**24) for f in EDGES for c in EDGES]
    return [(p, f, c) for p, f, c in numbers if bool(library.range_fits(p, f, c)) != (c > 0 and f + c <= p)]


def test_ranges_are_right_at_every_edge(library: ctypes.CDLL) -> None:
    assert wrong_ranges(library) == []


def test_a_sum_that_wraps_would_be_seen(tmp_path: Path) -> None:
    careless = ("first < pages && count <= pages - first", "first + count <= pages")
    assert wrong_ranges(bits.load(tmp_path, careless))


def test_rights_that_make_sense(library: ctypes.CDLL) -> None:
    read, write, owner, as_owner = 1, 2, 4, 8
    sensible = {read, read | write, read | owner, read | write | owner, owner}
    sensible |= {read | as_owner, read | write | as_owner}
    for rights in [*range(32), 1 << 31, (1 << 31) | 1]:
        assert bool(library.grant_makes_sense(1, rights)) == (rights in sensible)
        assert bool(library.grant_makes_sense(0, rights)) == (rights == owner)
        assert bool(library.revocation_makes_sense(1, rights)) == (rights in {read, write, read | write})
        assert not library.revocation_makes_sense(0, rights)


def test_the_structure_for_pconfig_is_laid_out_as_specified(library: ctypes.CDLL) -> None:
    program = ctypes.create_string_buffer(b"\xff" * 256, 256)
    library.key_program(program, 0x1234, 2, 1 << 1)
    key, control = struct.unpack_from("<HI", program.raw)
    assert key == 0x1234
    assert control & 0xFF == 2
    assert control >> 8 & 0xFFFF == 0b10
    assert control >> 24 == 0
    assert program.raw[6:] == bytes(250)


def test_only_busy_and_missing_entropy_are_tried_again(library: ctypes.CDLL) -> None:
    assert [status for status in range(16) if library.worth_another_try(status)] == [2, 5]
