"""Dictionaries of numbers that a program chose so that their hashes collide."""

from __future__ import annotations

import contextlib
import random
import struct
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from tmebox.python import collisions, wire
from tmebox.python.reading import Reader
from tmebox.python.values import Encoder, Malformed

BITS = 15
FILL = (1 << BITS - 1) * 2 // 3 + 30
"""As many as make CPython's table one of 2 ** BITS places."""


@pytest.fixture(autouse=True, scope="session")
def guest_is_there() -> None:
    """Not needed: the host alone reads."""


def no_array(*_: Any) -> Any:
    raise Malformed("there is no such array")


def read(keys: Sequence[Any]) -> Any:
    data = bytes([wire.DICT]) + struct.pack("<I", len(keys))
    encode = Encoder(lambda array: None).encode
    data += b"".join(encode(key) + bytes([wire.NONE]) for key in keys)
    return Reader(data, 1 << 28, no_array).value()


@cache
def colliding(more: int) -> list[int]:
    """Numbers that fill places which CPython tries one after the other, each at once; then `more` which come
    upon the first of them, and so walk over all."""
    mask, walk = (1 << BITS) - 1, [0]
    while len(walk) < FILL:
        walk.append(5 * walk[-1] + 1 & mask)
    occupied = np.zeros(1 << BITS, bool)
    occupied[walk] = True
    early = np.zeros(1 << BITS, bool)
    early[walk[: FILL // 2]] = True
    keys = np.arange(1 << BITS, 1 << 25)
    rest, place = keys.copy(), keys & mask
    for _ in range(6):
        good = occupied[place]
        keys, rest, place = keys[good], rest[good] >> 5, place[good]
        place = 5 * place + rest + 1 & mask
    return walk + keys[early[place]][:more].tolist()


def steps_one_by_one(keys: Sequence[int], size: int) -> int:
    places, steps = [False] * size, 0
    for key in keys:
        rest = hash(key) & (1 << 64) - 1
        place = rest & size - 1
        while places[place]:
            rest >>= 5
            place = 5 * place + rest + 1 & size - 1
            steps += 1
        places[place] = True
    return steps


def test_numbers_chosen_to_collide_are_refused_at_once() -> None:
    keys = colliding(5000)
    assert len(keys) == FILL + 5000
    started = time.process_time()
    with pytest.raises(Malformed, match="collide"):
        read(keys)
    with pytest.raises(Malformed, match="collide"):
        read([float(key) for key in keys])
    with pytest.raises(Malformed, match="collide"):
        read([*keys, *map(str, range(1000))])
    assert time.process_time() - started < 5


def test_a_table_that_grows_past_the_collisions_is_no_way_around() -> None:
    keys = colliding(5000)
    with pytest.raises(Malformed, match="collide"):
        read([*keys, *range(1 << 40, (1 << 40) + 40_000)])
    with pytest.raises(Malformed, match="twice"):
        read([*range(5000), 1])
    with pytest.raises(Malformed):
        read([1] * 5000)


RANDOM = random.Random(1)


@pytest.mark.parametrize(
    "keys",
    [
        range(100_000),
        range(0, -100_000, -1),
        range(0, 100_000 << 12, 1 << 12),
        range(0, 100_000 << 24, 1 << 24),
        range(0, 100_000 * 10**6, 10**6),
        [RANDOM.randrange(1 << 60) for _ in range(100_000)],
        [RANDOM.random() for _ in range(100_000)],
        [n / 8 for n in range(100_000)],
        [*range(50_000), *map(str, range(50_000)), None],
        [1.0, 2.0**61, 2.0**122, -1, -2, *range(10, 10_000)],
    ],
    ids=range(10),
)
def test_other_numbers_are_read(keys: Sequence[Any]) -> None:
    assert list(read(keys)) == list(keys)


def test_few_numbers_may_collide() -> None:
    few = colliding(5000)[-collisions.FEW :]
    assert list(read(few)) == few


@pytest.mark.parametrize("keys", [range(5000), [k << 13 for k in range(5000)], colliding(20)], ids=range(3))
def test_steps_are_counted_as_if_keys_went_one_by_one(
    keys: Sequence[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collisions, "STEPS_OF_A_ROUND", 0)
    hashes = np.array(keys, np.uint64)
    assert collisions._steps(hashes, 1 << BITS, 1 << 60) == steps_one_by_one(keys, 1 << BITS)


def walking(size: int, steps: int) -> list[int]:
    """Numbers of which the last one walks over so many places of CPython's table that the others occupy. Each
    of those is found at once."""
    last = 123456789012345
    rest, place, walk = last, last & size - 1, {last & size - 1: None}
    for _ in range(steps):
        rest >>= 5
        place = 5 * place + rest + 1 & size - 1
        walk[place] = None
    others = [place + 7 * size for place in range(size) if place not in walk]
    occupied = [*walk, *others]
    return [*occupied[: collisions.FEW], last]


@pytest.mark.parametrize("steps", [100, 1000, 1500, 1990, 4000])
@pytest.mark.parametrize("size", [1 << 13, 1 << 14])
def test_a_long_walk_of_one_key_is_not_looked_at_for_long(
    size: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0
    plain = np.minimum

    def minimum(*arrays: Any) -> Any:
        nonlocal rounds
        rounds += 1
        return plain(*arrays)

    keys = walking(size, steps)
    monkeypatch.setattr(np, "minimum", minimum)
    with contextlib.suppress(Malformed):
        assert len(read(keys)) == len(keys)
    assert rounds <= len(keys) // 8 + 2
