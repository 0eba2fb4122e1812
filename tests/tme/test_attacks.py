"""A physical attacker: what cold boot, faults, splicing and replay come to."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.forgery import measure, sample
from tmebox.tme.machine import Modelled


def secret(machine: Modelled, address: int = 0x1000, text: bytes = b"secret", key_id: int = 1) -> None:
    machine.direct_store(address, text.ljust(64), key_id=key_id)
    machine.flush()


def stopped(machine: Modelled, address: int = 0x1000, key_id: int = 1) -> None:
    with pytest.raises(tme.IntegrityError):
        machine.read(address, 64, key_id=key_id)


def test_a_cold_boot_shows_cipher_text(machine: Modelled) -> None:
    secret(machine, text=b"A" * 64)
    secret(machine, 0x1040, text=b"A" * 64)
    dump = machine.dram[0x1000:0x1080]
    assert b"AAAA" not in dump
    assert dump[:64] != dump[64:], "equal lines look different"
    blocks = {dump[start : start + 16] for start in range(0, 128, 16)}
    assert len(blocks) == 8, "equal blocks within a line, too"


def test_a_fault_in_any_bit_is_caught(machine: Modelled) -> None:
    secret(machine)
    for bit in range(512):
        machine.dram.flip(0x1000 + bit // 8, bit % 8)
        stopped(machine)
        machine.dram.flip(0x1000 + bit // 8, bit % 8)
    for bit in range(28):
        machine.dram.flip_mac(0x1000, bit)
        stopped(machine)
        machine.dram.flip_mac(0x1000, bit)
    machine.dram[0x1007] ^= 4
    stopped(machine)
    machine.dram[0x1007] ^= 4
    assert machine.read(0x1000, 6, key_id=1) == b"secret"


def test_a_fault_without_integrity_garbles_one_block(build: Any) -> None:
    machine = build(algorithm="aes-xts-128")
    machine.pconfig(1, "random")
    secret(machine, text=b"B" * 64)
    machine.dram.flip(0x1000 + 16, 0)
    found = machine.read(0x1000, 64, key_id=1)
    assert (found[:16], found[32:]) == (b"B" * 16, b"B" * 32)
    assert found[16:32] != b"B" * 16


def test_splicing_between_addresses_is_caught(machine: Modelled) -> None:
    secret(machine, 0x1000, b"A" * 64)
    secret(machine, 0x2000, b"B" * 64)
    machine.dram.replay(machine.dram.record(0x1000), 0x2000)
    stopped(machine, 0x2000)
    assert machine.read(0x1000, 64, key_id=1) == b"A" * 64


def test_splicing_between_keys_is_caught(machine: Modelled) -> None:
    secret(machine, key_id=1)
    recorded = machine.dram.record(0x1000)
    secret(machine, text=b"other", key_id=2)
    machine.dram.replay(recorded)
    stopped(machine, key_id=2)


def test_replay_succeeds(machine: Modelled) -> None:
    """There is no freshness: an old line with its old MAC verifies. So the specification says, and so it
    is."""
    secret(machine, text=b"balance: 1000")
    old = machine.dram.record(0x1000)
    secret(machine, text=b"balance: 0")
    assert machine.read(0x1000, 10, key_id=1) == b"balance: 0"
    machine.flush()
    machine.dram.replay(old)
    assert machine.read(0x1000, 13, key_id=1) == b"balance: 1000"
    assert machine.machine_checks == []
    machine.flush()
    machine.pconfig(1, "random")
    stopped(machine)  # a new key is the remedy


def test_a_forged_td_bit_is_caught(build: Any) -> None:
    machine = build(key_id_bits=3, tdx_key_id_bits=1)
    with machine.seam():
        machine.direct_store(0x1000, b"private".ljust(64), key_id=4)
    machine.dram.flip_td(0x1000)
    stopped(machine, key_id=1)
    with machine.seam():
        stopped(machine, key_id=4)


def test_short_macs_are_forged_as_often_as_they_should_be(build: Any) -> None:
    """On the machine itself: 3 bits, 400 random changes."""
    machine = build(mac_bits=3)
    machine.pconfig(1, "random")
    rng = random.Random(11)
    secret(machine)
    passed = 0
    for _ in range(400):
        machine.dram[0x1000:0x1040] = rng.randbytes(64)
        try:
            machine.read(0x1000, 1, key_id=1)
            passed += 1
        except tme.IntegrityError:
            pass
        machine.flush()
    assert 25 <= passed <= 80  # 50 are expected; the odds of leaving this range are below 10^-3


def test_forgery_is_measured_and_extrapolated() -> None:
    result = measure(range(4, 13, 2), 400, seed=5)
    assert [one.bits for one in result.samples] == [4, 6, 8, 10, 12]
    assert all(one.interval[0] < one.rate < one.interval[1] for one in result.samples)
    assert result.low < result.rate < result.high
    assert result.low < 2.0**-28 * 4 and result.high > 2.0**-28 / 4
    assert abs(result.slope + 1) < 0.1
    assert "28 bits: 2^-2" in str(result)
    assert measure(range(4, 9, 2), 100, seed=5) != measure(range(4, 9, 2), 100, seed=6)


def test_forgery_without_a_pass_says_so() -> None:
    assert sample(28, 1000, seed=1).passed == 0
    with pytest.raises(ValueError, match="more passes"):
        measure((4,), 10)


def test_sample_intervals_cover_the_truth() -> None:
    inside = sum(
        one.interval[0] <= 2.0**-6 <= one.interval[1]
        for one in (sample(6, 6400, seed=seed) for seed in range(60))
    )
    assert inside >= 50
    assert math.isclose(sample(4, 1 << 16, seed=3).rate, 1 / 16, rel_tol=0.1)
