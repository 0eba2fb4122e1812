"""Caches, aliases, detection, poison, the TD bit: what an access does on its way to DRAM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled


def kinds_since(machine: Modelled, number: int) -> list[str]:
    return [event.kind for event in machine.trace() if event.number >= number]


def happened(machine: Modelled) -> int:
    return sum(machine.counters().values())


def test_dram_is_ciphertext_and_caches_are_plain(machine: Modelled) -> None:
    machine.write(0x1000, b"secret", key_id=3)
    assert [line.data[:6] for line in machine.cached() if line.key_id == 3] == [b"secret"]
    machine.flush()
    assert b"secret" not in machine.dram[:]
    assert machine.read(0x1000, 6, key_id=3) == b"secret"


def test_key_id_in_the_address(machine: Modelled) -> None:
    machine.write(machine.physical(0x1000, 3), b"secret")
    assert machine.read(0x1000, 6, key_id=3) == b"secret"
    assert machine.physical(0x1000, 3) == 0x1000 | 3 << 48


def test_key_ids_out_of_range(machine: Modelled) -> None:
    for key_id in (16, 17, 1 << 40):
        with pytest.raises(tme.AccessError) as caught:
            machine.read(0, 1, key_id=key_id)
        assert caught.value.rule == "key-id-range"


def test_two_key_ids_contradict(machine: Modelled) -> None:
    with pytest.raises(tme.AccessError, match="key-id-once"):
        machine.read(machine.physical(0, 3), 1, key_id=2)
    machine.write(machine.physical(0, 3), b"x", key_id=3)


@pytest.mark.parametrize("access", ["read", "write", "direct_store", "flush"])
def test_outside_memory(machine: Modelled, access: str) -> None:
    end = machine.options.memory
    calls: dict[str, Callable[[int], object]] = {
        "read": lambda at: machine.read(at, 64),
        "write": lambda at: machine.write(at, bytes(64)),
        "direct_store": lambda at: machine.direct_store(at, bytes(64)),
        "flush": lambda at: machine.flush(at, 64),
    }
    calls[access](end - 64) if access != "read" else None
    for at in (end, 1 << 47, 1 << 52):
        with pytest.raises(tme.AccessError):
            calls[access](at)
    with pytest.raises(tme.AccessError, match="address-in-memory"):
        machine.read(end - 1, 2)
    with pytest.raises(OverflowError):
        machine.read(-1, 1)


def test_the_default_key_is_the_platforms(build: Any) -> None:
    machine = build()
    machine.direct_store(0, b"x" * 64, key_id=9)
    assert machine.read(0, 64, key_id=0) == b"x" * 64
    assert machine.key_slot(9).mode == "platform"


def test_caches_are_tagged_by_key_id(machine: Modelled) -> None:
    """The same line under two KeyIDs is in the cache twice, with two contents."""
    machine.write(0x1000, b"one", key_id=1)
    machine.write(0x1000, b"two", key_id=2)
    assert machine.read(0x1000, 3, key_id=1) == b"one"
    assert machine.read(0x1000, 3, key_id=2) == b"two"
    assert len([line for line in machine.cached() if line.address == 0x1000]) == 2


def test_aliases_that_are_not_coherent_overwrite_each_other(machine: Modelled) -> None:
    """A dirty line under the old key is written back over the new owner's data."""
    machine.write(0x1000, b"old owner", key_id=1)
    machine.direct_store(0x1000, b"new owner".ljust(64), key_id=2)
    assert machine.read(0x1000, 9, key_id=2) == b"new owner"
    machine.flush(0x1000, key_id=2)
    machine.flush(0x1000, key_id=1)
    with pytest.raises(tme.IntegrityError):
        machine.read(0x1000, 9, key_id=2)


def test_aliases_that_are_coherent_do_not(build: Any) -> None:
    machine = build(coherent_aliases=True)
    for key_id in (1, 2):
        machine.pconfig(key_id, "random")
    machine.write(0x1000, b"old owner", key_id=1)
    start = happened(machine)
    machine.direct_store(0x1000, b"new owner".ljust(64), key_id=2)
    assert "alias-flush" in kinds_since(machine, start)
    machine.flush()
    assert machine.read(0x1000, 9, key_id=2) == b"new owner"
    with pytest.raises(tme.IntegrityError):
        machine.read(0x1000, 9, key_id=1)


def test_forbidden_aliases_are_refused(build: Any) -> None:
    machine = build(aliases_forbidden=True)
    assert machine.rdmsr(0x6F) >> 8 & 1 == 1
    for key_id in (1, 2):
        machine.pconfig(key_id, "random")
    machine.write(0x1000, b"x" * 64, key_id=1)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: machine.read(0x1000, 1, key_id=2),
        lambda: machine.write(0x1000, b"y", key_id=2),
        lambda: machine.direct_store(0x1000, bytes(64), key_id=2),
    )
    for refused in refusals:
        with pytest.raises(tme.AccessError, match="alias-forbidden"):
            refused()
    machine.flush(0x1000, key_id=1)
    machine.direct_store(0x1000, bytes(64), key_id=2)
    assert build().rdmsr(0x6F) == 0


@pytest.mark.parametrize("detection", ["paper", "specification"])
def test_detection_follows_the_chosen_rule(build: Any, detection: str) -> None:
    machine = build(detection=detection)
    for key_id in (1, 2):
        machine.pconfig(key_id, "random")
    machine.direct_store(0x1000, b"owner's".ljust(64), key_id=1)
    # A wrong-key read is caught under both rules.
    with pytest.raises(tme.IntegrityError):
        machine.read(0x1000, 1, key_id=2)
    machine.flush()
    machine.direct_store(0x1000, b"owner's".ljust(64), key_id=1)
    if detection == "paper":
        machine.write(0x1000, b"evil", key_id=2)  # not caught at once
        machine.flush()
        assert machine.read(0x1000, 4, key_id=2) == b"evil"
        with pytest.raises(tme.IntegrityError):
            machine.read(0x1000, 4, key_id=1)  # but by the owner's next read
    else:
        start = happened(machine)
        with pytest.raises(tme.IntegrityError) as caught:
            machine.write(0x1000, b"evil", key_id=2)
        assert caught.value.access == "write"
        expected = ["write", "miss", "ownership-read", "decrypt", "mac-mismatch", "poison-set"]
        assert kinds_since(machine, start) == expected


def test_detection_needs_integrity(build: Any) -> None:
    """Without a MAC the wrong key reads garbage, and nobody notices."""
    machine = build(algorithm="aes-xts-256")
    for key_id in (1, 2):
        machine.pconfig(key_id, "random")
    machine.direct_store(0, b"x" * 64, key_id=1)
    assert machine.read(0, 64, key_id=2) != b"x" * 64
    assert machine.machine_checks == []


def test_a_store_of_a_part_reads_the_line_first(machine: Modelled) -> None:
    machine.direct_store(0x1000, b"a" * 64, key_id=1)
    start = happened(machine)
    machine.write(0x1010, b"b" * 16, key_id=1)
    assert kinds_since(machine, start) == ["write", "miss", "ownership-read", "decrypt", "mac-match"]
    machine.flush()
    assert machine.read(0x1000, 64, key_id=1) == b"a" * 16 + b"b" * 16 + b"a" * 32
    start = happened(machine)
    machine.write(0x2000, b"c" * 64, key_id=1)
    assert "ownership-read" not in kinds_since(machine, start), "by the paper's rule a whole line is not read"


def test_a_whole_line_is_read_first_under_the_specification(build: Any) -> None:
    machine = build(detection="specification")
    machine.pconfig(1, "random")
    with pytest.raises(tme.IntegrityError):
        machine.write(0x1000, b"c" * 64, key_id=1)
    machine.direct_store(0x1000, b"c" * 64, key_id=1)
    assert machine.read(0x1000, 64, key_id=1) == b"c" * 64


def test_poison_stays_until_a_line_is_stored_directly(build: Any) -> None:
    machine = build(detection="specification")
    for key_id in (1, 2):
        machine.pconfig(key_id, "random")
    machine.direct_store(0x1000, b"owner".ljust(64), key_id=1)
    with pytest.raises(tme.IntegrityError) as first:
        machine.read(0x1000, 1, key_id=2)
    assert first.value.kind == "integrity"
    assert machine.dram.line(0x1000).poisoned
    for key_id in (1, 2):  # the owner's data is lost, in the cache and after a flush
        for _ in range(2):
            with pytest.raises(tme.IntegrityError) as again:
                machine.read(0x1000, 1, key_id=key_id)
            assert again.value.kind == "poison"
            machine.flush()
    with pytest.raises(tme.IntegrityError):
        machine.write(0x1000, b"x", key_id=1)
    with pytest.raises(tme.IntegrityError):
        machine.write(0x1000, b"x" * 64, key_id=1)
    machine.direct_store(0x1000, b"again".ljust(64), key_id=1)
    assert machine.counters()["poison-cleared"] == 1
    assert not machine.dram.line(0x1000).poisoned
    assert machine.read(0x1000, 5, key_id=1) == b"again"


def test_the_papers_rule_poisons_nothing(machine: Modelled) -> None:
    machine.direct_store(0x1000, b"owner".ljust(64), key_id=1)
    with pytest.raises(tme.IntegrityError):
        machine.read(0x1000, 1, key_id=2)
    assert machine.read(0x1000, 5, key_id=1) == b"owner"
    assert machine.counters()["poison-set"] == 0


@pytest.mark.parametrize("algorithm", ["aes-xts-128-integrity", "aes-xts-128"])
def test_td_bit(build: Any, algorithm: str) -> None:
    machine = build(key_id_bits=3, tdx_key_id_bits=1, detection="specification", algorithm=algorithm)
    with machine.seam():
        machine.direct_store(0x1000, b"private".ljust(64), key_id=5)
        assert machine.read(0x1000, 7, key_id=5) == b"private"
        machine.flush()
    assert machine.dram.line(0x1000).td
    # A shared read of a private line: zeros, and nothing is poisoned.
    assert machine.read(0x1000, 64, key_id=1) == bytes(64)
    machine.flush()
    assert not machine.dram.line(0x1000).poisoned
    # A private read of a shared line: a machine check, and poison.
    machine.direct_store(0x2000, b"shared".ljust(64), key_id=1)
    with machine.seam(), pytest.raises(tme.IntegrityError) as caught:
        machine.read(0x2000, 1, key_id=5)
    assert caught.value.kind == "td-mismatch"
    assert caught.value.record.mscod == 0x82B
    assert machine.dram.line(0x2000).poisoned


def test_private_key_ids_need_seam(build: Any) -> None:
    machine = build(key_id_bits=3, tdx_key_id_bits=1)
    with pytest.raises(tme.AccessError, match="private-needs-seam"):
        machine.read(0, 1, key_id=4)
    with pytest.raises(tme.AccessError, match="private-needs-seam"):
        machine.direct_store(0, bytes(64), key_id=7)
    machine.direct_store(0, bytes(64), key_id=3)


@pytest.mark.parametrize("replacement", ["lru", "fifo", "tree"])
def test_replacement_evicts_what_it_should(build: Any, replacement: str) -> None:
    machine = build(cache=256, ways=4, replacement=replacement, algorithm="aes-xts-128")
    for line in (0, 1, 2, 3, 0, 4):
        machine.read(64 * line, 1)
    held = {line.address // 64 for line in machine.cached()}
    assert held == {"lru": {0, 2, 3, 4}, "fifo": {1, 2, 3, 4}, "tree": {0, 1, 3, 4}}[replacement]


def test_random_replacement_repeats_with_its_seed(build: Any) -> None:
    def held(seed: int) -> list[int]:
        machine = build(cache=512, ways=8, replacement="random", seed=seed, algorithm="aes-xts-128")
        for line in range(100):
            machine.read(64 * line, 1)
        return [line.address for line in machine.cached()]

    assert held(1) == held(1)
    assert held(1) != held(2)


def test_a_machine_without_caches_keeps_nothing(build: Any) -> None:
    machine = build(cache=None)
    machine.pconfig(1, "random")
    machine.write(0x1000, b"text", key_id=1)
    assert machine.cached() == []
    assert machine.dram.line(0x1000).mac != 0
    assert machine.read(0x1000, 4, key_id=1) == b"text"


def test_a_clean_line_is_not_written_back(machine: Modelled) -> None:
    machine.direct_store(0, b"x" * 64, key_id=1)
    machine.read(0, 1, key_id=1)
    before = machine.counters()["write-back"]
    machine.flush()
    assert machine.counters()["write-back"] == before
    machine.dram[0:64] = bytes(64)  # nobody sees it before the line is read again
    with pytest.raises(tme.IntegrityError):
        machine.read(0, 1, key_id=1)


def test_accesses_cross_lines(machine: Modelled) -> None:
    data = bytes(range(200))
    machine.write(0x1FE0, data, key_id=1)
    machine.flush(0x1FE0, 200, key_id=1)
    assert not [line for line in machine.cached() if line.key_id == 1]
    assert machine.read(0x1FE0, 200, key_id=1) == data
    assert machine.read(0x1FE0, 0, key_id=1) == b""


def test_clear_takes_whole_lines(machine: Modelled) -> None:
    machine.clear(0x2000, 4096, key_id=2)
    assert machine.read(0x2000, 4096, key_id=2) == bytes(4096)
    with pytest.raises(ValueError):
        machine.clear(0x2001, 64)
    with pytest.raises(ValueError):
        machine.direct_store(0x2001, bytes(64))
    with pytest.raises(ValueError):
        machine.direct_store(0x2000, bytes(63))
