"""What a dictionary of numbers costs, before it is made: whoever chooses them chooses their hashes, too.

Texts and bytes are hashed with a secret of the process. A number's hash is the number, so that keys can be
made which all walk over the same occupied places of CPython's table: a dictionary of 100,000 took 10 s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tmebox.python.values import Malformed

FEW = 4096
"""So many numbers may collide as they like: it takes some milliseconds."""
MOST_STEPS = 64
"""Of each key, on average; one or two are usual, and some 40 where all keys are multiples of 8192, say."""
STEPS_OF_A_ROUND = 512
"""So many more count each time that keys go on, however few do: it takes about as long. One key whose walk is
long would have thousands of rounds."""
_U64 = (1 << 64) - 1


def require_spread(keys: Sequence[Any]) -> None:
    """Raises Malformed unless a dictionary takes these keys, in this order, in linear time."""
    if sum(isinstance(key, int | float) for key in keys) <= FEW:
        return
    hashes = np.fromiter((hash(key) & _U64 for key in keys), np.uint64, len(keys))
    left, size = MOST_STEPS * len(keys), FEW
    while size * 2 // 3 < len(keys):
        left -= _steps(hashes[: size * 2 // 3], size, left)
        size *= 2
    _steps(hashes, size, left)
    _require_different(keys, hashes)


def _require_different(keys: Sequence[Any], hashes: NDArray[np.uint64]) -> None:
    """The table is as large as there are different keys: one that comes again would be in none."""
    order = np.argsort(hashes, kind="stable")
    ordered, same = hashes[order].tolist(), np.flatnonzero(np.diff(hashes[order]) == 0)
    places = order.tolist()
    for first in same.tolist():
        second = first + 1
        while second < len(keys) and ordered[second] == ordered[first]:
            if keys[places[second]] == keys[places[first]]:
                raise Malformed("a dictionary has a key twice")
            second += 1


def _steps(hashes: NDArray[np.uint64], size: int, most: int) -> int:
    """How often keys find a place occupied, in CPython's table of so many (Objects/dictobject.c). All keys go
    at once: the earliest keeps a place, as where they go one by one, the others go on. Raises Malformed where
    counting that takes more than `most` of them do."""
    count, mask = len(hashes), np.uint64(size - 1)
    rest, place = hashes.copy(), hashes & mask
    holders = np.full(size, count)
    moving, steps = np.arange(count), 0  # always in order
    while steps <= most:
        wanted = place[moving]
        before = holders[wanted]
        holders[wanted[::-1]] = moving[::-1]  # the earliest comes last, and stays
        earliest = np.minimum(holders[wanted], before)
        holders[wanted] = earliest
        stays = earliest == moving
        put_out = before[stays]
        moving = np.concatenate([moving[~stays], put_out[put_out < count]])
        moving.sort(kind="stable")
        if not len(moving):
            return steps
        steps += len(moving) + STEPS_OF_A_ROUND
        rest[moving] >>= np.uint64(5)
        place[moving] = (place[moving] * np.uint64(5) + rest[moving] + np.uint64(1)) & mask
    raise Malformed("the hashes of a dictionary's keys collide, as if they were chosen for that")
