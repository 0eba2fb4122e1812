"""PCONFIG: its structure in memory, every command, every status, and what gives #GP or #UD."""

from __future__ import annotations

from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled

AT = 0x3000
XTS128, XTS128_MAC, XTS256, XTS256_MAC = 1, 2, 4, 8


def program(
    machine: Modelled,
    key_id: int = 1,
    command: int = 1,
    algorithm: int = XTS128_MAC,
    key: bytes = b"",
    tweak: bytes = b"",
    patch: tuple[int, int] | None = None,
    **how: Any,
) -> int:
    """Build a structure at AT and execute PCONFIG on it. patch: (offset, byte) to overwrite."""
    data = bytearray(tme.KeyProgram.of(key_id, command, algorithm, key, tweak).pack())
    assert len(data) == 256
    if patch:
        data[patch[0]] = patch[1]
    for start in range(0, 256, 64):
        machine.direct_store(AT + start, data[start : start + 64])
    return machine.pconfig_at(AT, **how)


STATUSES: list[tuple[dict[str, Any], int, str | None]] = [
    ({}, 0, None),
    ({"command": 4}, 1, "pconfig-command"),
    ({"command": 255}, 1, "pconfig-command"),
    ({"key_id": 0}, 3, "pconfig-key-id"),
    ({"key_id": 16}, 3, "pconfig-key-id"),
    ({"key_id": 0xFFFF}, 3, "pconfig-key-id"),
    ({"algorithm": 0}, 4, "pconfig-algorithm"),
    ({"algorithm": XTS128 | XTS128_MAC}, 4, "pconfig-algorithm"),
    ({"algorithm": XTS256}, 4, "pconfig-algorithm"),
    ({"algorithm": 1 << 15}, 4, "pconfig-algorithm"),
    # Clear and no-encrypt need an algorithm's bit as well.
    ({"command": 2, "algorithm": 0}, 4, "pconfig-algorithm"),
    ({"command": 3, "algorithm": 0}, 4, "pconfig-algorithm"),
    ({"command": 2}, 0, None),
    ({"command": 3}, 0, None),
    # The order of the checks: command, KeyID, algorithm.
    ({"command": 9, "key_id": 0, "algorithm": 0}, 1, "pconfig-command"),
    ({"key_id": 0, "algorithm": 0}, 3, "pconfig-key-id"),
]


@pytest.mark.parametrize(("what", "status", "rule"), STATUSES)
def test_pconfig_status_codes(build: Any, what: dict[str, Any], status: int, rule: str | None) -> None:
    from tmebox.tme.pconfig import STATUS

    machine = build(algorithms=("aes-xts-128", "aes-xts-128-integrity"))
    assert program(machine, **what) == status
    assert STATUS[status][1] == (rule or "")


def test_pconfig_without_entropy_or_the_key_table(build: Any) -> None:
    machine = build()
    machine.fail_entropy()
    assert program(machine) == 2
    assert program(machine) == 0
    machine.busy = True
    assert program(machine) == 5
    assert program(machine, key_id=0) == 3, "the checks come before the table"
    machine.busy = False
    machine.fail_entropy()
    with pytest.raises(tme.PconfigError) as caught:
        machine.pconfig(2, "random")
    assert (caught.value.status, caught.value.rule) == (2, "pconfig-entropy")


@pytest.mark.parametrize(
    ("patch", "what"),
    [
        ((5, 1), {}),  # control bits 31:24
        ((6, 1), {}),  # the first reserved byte
        ((63, 1), {}),  # the last
        ((64 + 16, 1), {}),  # beyond a key of 16 bytes
        ((128 + 63, 1), {}),
        ((64 + 32, 1), {"algorithm": XTS256_MAC}),
    ],
)
def test_pconfig_faults_on_reserved_bits(build: Any, patch: tuple[int, int], what: dict[str, Any]) -> None:
    with pytest.raises(tme.GeneralProtection) as caught:
        program(build(), patch=patch, **what)
    assert caught.value.rule == "pconfig-reserved"


def test_what_is_beyond_the_192_bytes_is_not_read(build: Any) -> None:
    assert program(build(), patch=(192, 1)) == 0
    assert program(build(), patch=(64 + 16, 1), algorithm=XTS256_MAC) == 0


def test_pconfig_faults(build: Any, kind: type[Modelled]) -> None:
    machine = build()

    def rule(at: int = AT, leaf: int = 0, on: Modelled = machine) -> str:
        with pytest.raises((tme.GeneralProtection, tme.UndefinedInstruction)) as caught:
            on.pconfig_at(at, leaf)
        return str(caught.value.rule)

    assert rule(leaf=1) == "pconfig-leaf"
    assert rule(at=AT + 64) == "pconfig-aligned"
    assert rule(on=kind(memory="64KiB", key_id_bits=2)) == "pconfig-active"
    alone = build(key_id_bits=0, most_key_id_bits=2)
    assert rule(on=alone) == "pconfig-active"
    assert rule(on=build(key_id_bits=0)) == "pconfig-leaf"
    machine.privilege_level = 3
    assert rule() == "pconfig-privilege"


@pytest.mark.parametrize("what", [{"command": 7}, {"key_id": 0}, {"algorithm": 3}])
def test_the_manuals_checks_fault_instead(build: Any, what: dict[str, Any]) -> None:
    with pytest.raises(tme.GeneralProtection, match="pconfig-checks"):
        program(build(pconfig_checks="manual"), **what)
    assert program(build()) == 0


def test_tdx_key_ids_are_programmed_in_seam_only(build: Any) -> None:
    machine = build(key_id_bits=3, tdx_key_id_bits=1)
    assert program(machine, key_id=3) == 0
    assert program(machine, key_id=4) == 3
    assert program(machine, key_id=4, seam=True) == 0


def test_random_keys_mix_in_what_is_given(build: Any) -> None:
    plain, mixed, other = build(), build(), build(seed=8)
    for one, entropy in ((plain, b""), (mixed, b"\x0f" * 16), (other, b"")):
        assert program(one, key=entropy, tweak=entropy) == 0
    keys = [one.key_slot(1, reveal=True) for one in (plain, mixed, other)]
    assert bytes(a ^ b for a, b in zip(keys[0].key, keys[1].key, strict=True)) == b"\x0f" * 16
    assert bytes(a ^ b for a, b in zip(keys[0].tweak_key, keys[1].tweak_key, strict=True)) == b"\x0f" * 16
    assert keys[0].key != keys[2].key
    assert keys[0].key != keys[0].tweak_key


def test_direct_keys_are_used_as_given(build: Any) -> None:
    machine = build()
    for algorithm, size in ((XTS128, 16), (XTS256, 32), (XTS256_MAC, 32)):
        assert program(machine, 2, 0, algorithm, b"k" * size, b"t" * size) == 0
        slot = machine.key_slot(2, reveal=True)
        assert (slot.key, slot.tweak_key) == (b"k" * size, b"t" * size)


def test_clear_and_plain(build: Any) -> None:
    machine = build()
    machine.pconfig(1, "random")
    machine.pconfig(1, "clear")
    machine.direct_store(0, b"x" * 64, key_id=1)
    assert machine.read(0, 64, key_id=0) == b"x" * 64
    assert machine.key_slot(1).mode == "platform"
    machine.pconfig(1, "no-encrypt")
    machine.direct_store(0, b"y" * 64, key_id=1)
    assert machine.dram[:64] == b"y" * 64
    assert machine.key_slot(1).algorithm is None
    machine.pconfig(1, "random")
    machine.direct_store(0, b"y" * 64, key_id=1)
    assert machine.dram[:64] != b"y" * 64


def test_programming_flushes_nothing(build: Any) -> None:
    """A dirty line of the old key stays cached, and goes out under the new one."""
    machine = build()
    machine.pconfig(1, "random")
    machine.write(0, b"old".ljust(64), key_id=1)
    before = machine.cached()
    flushes = machine.counters()["flush"]
    machine.pconfig(1, "random")
    assert [line for line in machine.cached() if line.key_id == 1] == [
        line for line in before if line.key_id == 1
    ]
    assert machine.counters()["flush"] == flushes
    assert machine.read(0, 3, key_id=1) == b"old"
    machine.flush()
    assert machine.read(0, 3, key_id=1) == b"old", "it was encrypted with the new key"


def test_the_structure_is_read_under_its_key_id(build: Any) -> None:
    """RBX is an address with KeyID bits: the structure of another KeyID is not what was written."""
    machine = build(algorithm="aes-xts-128-integrity")
    machine.pconfig(2, "random")
    for start in range(0, 256, 64):
        machine.direct_store(
            AT + start, tme.KeyProgram.of(3, 3, 2, b"", b"").pack()[start : start + 64], key_id=2
        )
    assert machine.pconfig_at(machine.physical(AT, 2)) == 0
    assert machine.key_slot(3).mode == "plain"
    machine.flush()
    with pytest.raises(tme.IntegrityError):
        machine.pconfig_at(AT)


def test_the_scratch_structure_is_gone_afterwards(build: Any) -> None:
    machine = build(bypass=True)
    machine.pconfig(1, "direct", key=b"secretkey0123456", tweak_key=b"secretkey6543210")
    assert b"secretkey" not in machine.dram[:]
    with pytest.raises(tme.PconfigError):
        machine.pconfig(0, "direct", key=b"secretkey0123456", tweak_key=b"secretkey6543210")
    assert b"secretkey" not in machine.dram[:]


def test_bad_arguments_are_no_status(build: Any) -> None:
    machine = build()
    for bad in (
        {"command": "erase"},
        {"algorithm": "rot13"},
        {"command": "direct", "key": b"short", "tweak_key": b"short"},
        {"key": b"x" * 17},
        {"key_id": -1},
    ):
        with pytest.raises(ValueError):
            machine.pconfig(**{"key_id": 1, **bad})
