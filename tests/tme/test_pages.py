"""Pages past the cache, as the shared heap will use them: the same as line by line, in every mode."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tmebox import tme

LINE = 64


@pytest.mark.parametrize("seed", range(12))
def test_a_page_is_what_its_lines_are(seed: int) -> None:
    rng = random.Random(seed)
    bits = rng.choice((1, 3))
    options: dict[str, Any] = {
        "memory": "64KiB",
        "key_id_bits": bits,
        "algorithm": rng.choice(tuple(tme.ALGORITHMS)),
        "tdx_key_id_bits": rng.choice((0, 1)) if bits > 1 else 0,
        "bypass": rng.random() < 0.3,
        "exclusion": rng.choice((None, (0x1000, 0x1000))),
        "mac_bits": rng.choice((28, 5)),
        "path": rng.choice(("portable", None)),
        "cache": None,
        "seed": seed,
    }
    paged, lined = tme.Machine(**options), tme.Machine(**options)
    for machine in (paged, lined):
        machine.activate()
    for _ in range(60):
        key_id, first, count = rng.randrange(1 << bits), rng.randrange(900), rng.randint(1, 64)
        data = rng.randbytes(LINE * count)
        paged._store_uncached(key_id, first, data)
        with lined.seam():
            for index in range(count):
                part = data[LINE * index : LINE * index + LINE]
                lined.direct_store(LINE * (first + index), part, key_id=key_id)
        if rng.random() < 0.5:
            place, bit = rng.randrange(first * LINE, (first + count) * LINE), rng.randrange(8)
            for machine in (paged, lined):
                machine.dram.flip(place, bit)
        assert paged.dram[:] == lined.dram[:]
        assert [paged.dram.line(LINE * at) for at in range(1024)] == [
            lined.dram.line(LINE * at) for at in range(1024)
        ]
        reader, start = rng.randrange(1 << bits), max(0, first - 5)
        plain, wrong = paged._load_uncached(reader, start, 64)
        with lined.seam():
            for index in range(64):
                part = plain[LINE * index : LINE * index + LINE]
                try:
                    assert lined.read(LINE * (start + index), LINE, key_id=reader) == part
                    assert not wrong >> index & 1
                except tme.IntegrityError:
                    assert wrong >> index & 1
                    assert part == bytes(LINE), "what does not verify is not shown"


def test_poisoned_lines_of_a_page_are_not_read() -> None:
    machine = tme.Machine("64KiB", 2, detection="specification", seed=1)
    machine.activate()
    machine.pconfig(1)
    machine._store_uncached(1, 0, b"x" * 4096)
    with pytest.raises(tme.IntegrityError):
        machine.read(128, 1, key_id=2)
    plain, wrong = machine._load_uncached(1, 0, 64)
    assert wrong == 1 << 2
    assert plain == b"x" * 128 + bytes(64) + b"x" * (4096 - 192)


def test_pages_that_are_not_there_are_refused() -> None:
    machine = tme.Machine("64KiB", 2)
    machine.activate()
    for call in (
        lambda: machine._load_uncached(4, 0, 1),
        lambda: machine._load_uncached(0, 0, 65),
        lambda: machine._load_uncached(0, 1000, 64),
        lambda: machine._load_uncached(0, 1 << 60, 1),
        lambda: machine._store_uncached(0, 0, bytes(63)),
        lambda: machine._store_uncached(0, 1023, bytes(128)),
        lambda: machine._store_uncached(9, 0, bytes(64)),
    ):
        with pytest.raises(ValueError):
            call()
