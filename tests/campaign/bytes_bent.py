"""Bytes of a file, bent: flipped, cut, moved, and with numbers that sizes and counts are made of."""

from __future__ import annotations

import random
from typing import Any

NUMBERS = (
    0,
    1,
    2,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)


def bent(rng: random.Random, data: bytes) -> bytes:
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        place = rng.randrange(len(result)) if result else 0
        match rng.randrange(8):
            case 0 | 1 if result:
                result[place] ^= 1 << rng.randrange(8)
            case 2 if result:
                result[place] = rng.randrange(256)
            case 3 | 4:
                width = rng.choice((1, 2, 4, 8))
                place -= place % width
                number = rng.choice(NUMBERS) % (1 << 8 * width)
                result[place : place + width] = number.to_bytes(width, "little")
            case 5:
                del result[place : place + rng.choice((1, 4, 16, 200))]
            case 6:
                other = rng.randrange(len(result) + 1)
                result[place:place] = result[other : other + rng.choice((1, 8, 64))]
            case _:
                digits = [index for index in range(len(result)) if 48 <= result[index] < 58]
                if digits:
                    result[rng.choice(digits)] = rng.choice(b"0123456789-,]")
    return bytes(result)


def bent_tree(rng: random.Random, tree: Any, chance: float = 0.1) -> Any:
    """What JSON holds, with some numbers changed, some parts exchanged, repeated or left out."""
    if isinstance(tree, dict):
        return {key: bent_tree(rng, item, chance) for key, item in tree.items() if rng.random() > chance / 10}
    if isinstance(tree, list):
        items = [bent_tree(rng, item, chance) for item in tree]
        if items and rng.random() < chance:
            items.insert(rng.randrange(len(items) + 1), rng.choice(items))
        return items
    if rng.random() > chance:
        return tree
    if isinstance(tree, int) and not isinstance(tree, bool):
        return rng.choice(
            (0, 1, 2, 3, 7, 8, 12, 16, 32, 64, 80, 128, -1, tree + 1, tree * 2, 1 << 31, 1 << 63)
        )
    return rng.choice((tree, None, 1, "", "int", True, [], {}))
