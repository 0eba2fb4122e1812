"""Extents: parts of a range that are somebody's."""

from __future__ import annotations

import random

import pytest

from tmebox import _native


@pytest.mark.parametrize("seed", range(8))
def test_parts_never_overlap_and_all_of_it_comes_back(seed: int) -> None:
    """Against a plain list of who has which number."""
    dice, size = random.Random(seed), 1 << 9
    start = 1 << 20
    extents = _native.Extents(start, start + size)
    owner: list[int | None] = [None] * size
    held: dict[int, _native.Extent] = {}
    for turn in range(4000):
        if held and dice.random() < 0.48:
            key = dice.choice(list(held))
            given_back = held.pop(key)
            for place in range(given_back.start - start, given_back.end - start):
                assert owner[place] == key  # nobody else got it
                owner[place] = None
            del given_back
            part_or_none = None
            continue
        wanted = dice.randint(1, 40)
        if dice.random() < 0.3:
            at = dice.randint(-20, size + 20)
            part_or_none = extents.take_at(start + at, wanted)
            free = at >= 0 and at + wanted <= size and not any(owner[at : at + wanted])
            assert (part_or_none is not None) == free
        else:
            top = dice.random() < 0.5
            part_or_none = extents.take(wanted, from_the_top=top)
            holes = "".join("x" if who else "." for who in owner)
            place = holes.rfind("." * wanted) if top else holes.find("." * wanted)
            assert (part_or_none is not None) == (place >= 0)
            if part_or_none is not None:
                assert part_or_none.start - start == place
        if part_or_none is not None:
            assert part_or_none.size == wanted
            owner[part_or_none.start - start : part_or_none.end - start] = [turn + 1] * wanted
            held[turn + 1] = part_or_none
        assert extents.free == owner.count(None)
        assert extents.out == len(held)
    held.clear()
    part_or_none = None
    assert (extents.free, extents.out) == (size, 0)
    assert extents.take(size) is not None


def test_impossible_ranges_are_refused() -> None:
    extents = _native.Extents(64, 128)
    with pytest.raises(ValueError, match="nothing"):
        extents.take(0)
    with pytest.raises(ValueError, match="behind"):
        _native.Extents(2, 1)
    for start, size in ((0, 64), (64, 0), (127, 2), ((1 << 64) - 1, 2), (64, (1 << 64) - 64)):
        assert extents.take_at(start, size) is None
    assert extents.take(65) is None
    assert _native.Extents(7, 7).take(1) is None
