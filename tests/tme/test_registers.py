"""CPUID and the model-specific registers: what they hold, what locks them, which writes give #GP."""

from __future__ import annotations

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled

CAPABILITY, ACTIVATE, MASK, BASE, CORE = 0x981, 0x982, 0x983, 0x984, 0x9FF


def fresh(kind: type[Modelled], **options: object) -> Modelled:
    return kind(**{"memory": "64KiB", "key_id_bits": 3, "seed": 1, **options})  # type: ignore[arg-type]


def refused(machine: Modelled, index: int, value: int) -> str:
    """The rule that a write breaks."""
    with pytest.raises(tme.GeneralProtection) as caught:
        machine.wrmsr(index, value)
    return caught.value.rule


def test_cpuid_enumerates_tme_and_its_targets(kind: type[Modelled]) -> None:
    machine = fresh(kind, physical_bits=46)
    before = machine.cpuid(0x8000_0008)
    assert machine.cpuid(7)[2] >> 13 & 1 == 1
    assert machine.cpuid(7)[3] >> 18 & 1 == 1
    assert machine.cpuid(0x1B) == (1, 1, 0, 0)
    assert machine.cpuid(0x1B, 1)[0] == 0
    assert before[0] & 0xFF == 46
    machine.activate()
    assert machine.cpuid(0x8000_0008) == before
    alone = fresh(kind, key_id_bits=0)
    assert alone.cpuid(7)[3] == 0
    assert alone.cpuid(0x1B) == (0, 0, 0, 0)


def test_the_capability_register(kind: type[Modelled]) -> None:
    machine = fresh(
        kind, most_key_id_bits=6, algorithms=("aes-xts-128", "aes-xts-256-integrity"), algorithm="aes-xts-128"
    )
    value = machine.rdmsr(CAPABILITY)
    assert value & 0xF == 0b1001
    assert value >> 31 & 1 == 1
    assert value >> 32 & 0xF == 6
    assert value >> 36 & 0x7FFF == 63


def test_unknown_msrs_fault(kind: type[Modelled]) -> None:
    machine = fresh(kind)
    assert refused(machine, 0x123, 0) == "msr-known"
    with pytest.raises(tme.GeneralProtection, match="msr-known"):
        machine.rdmsr(0x985)


def test_registers_need_privilege_level_0(kind: type[Modelled]) -> None:
    machine = fresh(kind)
    machine.privilege_level = 3
    assert refused(machine, ACTIVATE, 3) == "msr-privilege"
    with pytest.raises(tme.GeneralProtection, match="msr-privilege"):
        machine.rdmsr(ACTIVATE)


@pytest.mark.parametrize("index", [CAPABILITY, 0x87, 0x6F])
def test_read_only_msrs_fault(kind: type[Modelled], index: int) -> None:
    assert refused(fresh(kind), index, 0) == "msr-read-only"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (2 | 1 << 8, "activate-reserved"),
        (2 | 1 << 30, "activate-reserved"),
        (2 | 1 << 40, "activate-reserved"),
        (2 | 1 << 52, "activate-reserved"),
        (2 | 2 << 4, "activate-policy"),
        (2 | 4 << 4, "activate-policy"),
        (2 | 4 << 32, "activate-key-bits"),
        (3 << 32, "activate-needs-enable"),
        (2 | 2 << 32 | 3 << 36, "activate-tdx-bits"),
        (2 | 1 << 50, "activate-algorithms"),
    ],
)
def test_activate_rules(kind: type[Modelled], value: int, rule: str) -> None:
    machine = fresh(kind, algorithms=("aes-xts-128", "aes-xts-128-integrity"))
    assert refused(machine, ACTIVATE, value) == rule
    assert machine.rdmsr(ACTIVATE) == 0, "a write that faults changes nothing"
    machine.wrmsr(ACTIVATE, 2)
    assert refused(machine, ACTIVATE, 2) == "activate-locked"


def test_bypass_needs_the_capability(kind: type[Modelled], monkeypatch: pytest.MonkeyPatch) -> None:
    from tmebox.tme.registers import Registers

    monkeypatch.setattr(Registers, "capability", 1 << 1)
    assert refused(fresh(kind), ACTIVATE, 2 | 1 << 4 | 1 << 31) == "activate-bypass"


@pytest.mark.parametrize("value", [0, 2, 3, 2 | 1 << 31, 2 | 1 << 4 | 3 << 32 | 0xF << 48])
def test_a_successful_write_locks(kind: type[Modelled], value: int) -> None:
    machine = fresh(kind)
    machine.wrmsr(ACTIVATE, value)
    assert machine.rdmsr(ACTIVATE) == value | 1
    assert machine.registers.enabled == bool(value & 2)
    assert refused(machine, ACTIVATE, value) == "activate-locked"


def test_entropy_fails_and_nothing_is_locked(kind: type[Modelled]) -> None:
    machine = fresh(kind)
    machine.fail_entropy()
    with pytest.raises(tme.GeneralProtection, match="activate-entropy"):
        machine.activate()
    assert machine.rdmsr(ACTIVATE) == 0
    machine.activate()
    assert machine.rdmsr(ACTIVATE) & 3 == 3


def test_the_platform_key_is_restored(kind: type[Modelled]) -> None:
    machine = fresh(kind, algorithm="aes-xts-128")
    machine.wrmsr(ACTIVATE, 2 | 4)
    assert machine.rdmsr(ACTIVATE) & 7 == 4, "nothing to restore: not enabled, not locked"
    machine.wrmsr(ACTIVATE, 2 | 8)
    machine.write(0, b"stays")
    machine.flush()
    machine.standby()
    machine.wrmsr(ACTIVATE, 2 | 4)
    assert machine.rdmsr(ACTIVATE) & 7 == 7
    assert machine.read(0, 5) == b"stays"
    machine.reset()
    machine.wrmsr(ACTIVATE, 2 | 4)
    assert machine.rdmsr(ACTIVATE) & 3 == 0, "a reset loses the saved key too"


@pytest.mark.parametrize("algorithm", ["aes-xts-128-integrity", "aes-xts-256-integrity"])
def test_the_mac_key_is_restored_with_the_platform_key(kind: type[Modelled], algorithm: str) -> None:
    machine = fresh(kind, algorithm=algorithm)
    machine.wrmsr(ACTIVATE, machine.activation() | 8)
    machine.wrmsr(CORE, 0)
    machine.pconfig(1)
    machine.write(0, b"stays")
    machine.direct_store(64, b"is lost".ljust(64), key_id=1)
    machine.flush()
    machine.standby()
    machine.wrmsr(ACTIVATE, machine.activation() | 4)
    machine.wrmsr(CORE, 0)
    assert machine.read(0, 5) == b"stays"
    with pytest.raises(tme.IntegrityError):
        machine.read(64, 7, key_id=1)
    machine.standby()
    machine.wrmsr(ACTIVATE, machine.activation())
    with pytest.raises(tme.IntegrityError):
        machine.read(0, 5)


def test_seam_mode_ends_with_the_outermost_block(kind: type[Modelled]) -> None:
    machine = fresh(kind, tdx_key_id_bits=1)
    machine.activate()
    private = 1 << (machine.options.key_id_bits - 1)
    with machine.seam():
        with machine.seam():
            machine.direct_store(0, bytes(64), key_id=private)
        assert machine.read(0, 1, key_id=private) == b"\0"
        machine.reset()
        machine.activate()
        with pytest.raises(tme.AccessError, match="private-needs-seam"):
            machine.read(0, 1, key_id=private)
    with pytest.raises(tme.AccessError, match="private-needs-seam"):
        machine.read(0, 1, key_id=private)


def test_core_activate_gives_the_key_id_bits(kind: type[Modelled]) -> None:
    machine = fresh(kind)
    assert refused(machine, CORE, 1) == "core-activate"
    machine.wrmsr(ACTIVATE, machine.activation())
    assert machine.rdmsr(CORE) == 0
    with pytest.raises(tme.AccessError, match="key-id-range"):
        machine.read(0, 1, key_id=1)
    machine.wrmsr(CORE, 0)
    assert machine.rdmsr(CORE) == 3 << 32
    machine.read(0, 0, key_id=1)
    assert refused(fresh(kind, key_id_bits=0), CORE, 0) == "core-activate"


def test_partitioning_takes_tdx_key_ids_from_the_top(kind: type[Modelled]) -> None:
    machine = fresh(kind, key_id_bits=3, tdx_key_id_bits=1)
    assert machine.rdmsr(0x87) == 0
    machine.activate()
    assert machine.rdmsr(0x87) == 3 | 4 << 32
    assert [machine.key_slot(key_id).private for key_id in range(8)] == [False] * 4 + [True] * 4


def test_exclusion_rules(kind: type[Modelled]) -> None:
    machine = fresh(kind, physical_bits=40)
    frame = (1 << 40) - 4096
    assert refused(machine, MASK, 1) == "exclude-reserved"
    assert refused(machine, MASK, 1 << 40 | 1 << 11) == "exclude-reserved"
    assert refused(machine, BASE, 1 << 11) == "exclude-reserved"
    for holes in (0, frame & ~(1 << 20), 1 << 13, frame >> 1 & frame):
        assert refused(machine, MASK, holes | 1 << 11) == "exclude-contiguous"
    machine.wrmsr(BASE, 0x4000)
    machine.wrmsr(MASK, frame & ~0x1FFF | 1 << 11)
    assert machine.rdmsr(MASK) == frame & ~0x1FFF | 1 << 11
    machine.wrmsr(ACTIVATE, 2)
    assert refused(machine, MASK, 0) == "exclude-locked"
    assert refused(machine, BASE, 0) == "exclude-locked"


def test_the_excluded_range_is_plain_for_key_id_0_only(kind: type[Modelled]) -> None:
    machine = fresh(kind, exclusion=(0x4000, 0x2000))
    machine.activate()
    machine.pconfig(1, "random")
    for address, key_id, plain in (
        (0x4000, 0, True),
        (0x5FC0, 0, True),
        (0x6000, 0, False),
        (0x4000, 1, False),
    ):
        machine.write(address, b"p" * 64, key_id=key_id)
        machine.flush()
        assert (machine.dram[address : address + 64] == b"p" * 64) == plain
        assert machine.read(address, 64, key_id=key_id) == b"p" * 64


def test_bypass_leaves_key_id_0_plain(kind: type[Modelled]) -> None:
    machine = fresh(kind, bypass=True)
    machine.activate()
    machine.pconfig(1, "random")
    for key_id in (0, 1):
        machine.write(0, b"p" * 64, key_id=key_id)
        machine.flush()
        assert (machine.dram[:64] == b"p" * 64) == (key_id == 0)
    assert machine.key_slot(0).mode == "plain"


def test_reset_loses_all_keys(kind: type[Modelled]) -> None:
    machine = fresh(kind)
    machine.activate()
    machine.pconfig(1, "random")
    before = machine.key_slot(0, reveal=True), machine.key_slot(1, reveal=True)
    for key_id, address in ((0, 0), (1, 64)):
        machine.write(address, b"kept in DRAM".ljust(64), key_id=key_id)
    machine.flush()
    machine.write(128, b"only cached".ljust(64), key_id=1)
    ciphertext = machine.dram[:192]
    machine.reset()
    assert machine.dram[:192] == ciphertext
    assert machine.cached() == []
    assert machine.rdmsr(ACTIVATE) == 0
    machine.activate()
    after = machine.key_slot(0, reveal=True), machine.key_slot(1, reveal=True)
    assert before[0].key != after[0].key
    assert before[1].key not in (after[0].key, after[1].key)
    for key_id, address in ((0, 0), (1, 64)):
        with pytest.raises(tme.IntegrityError):
            machine.read(address, 12, key_id=key_id)


def test_before_activation_memory_is_plain(kind: type[Modelled]) -> None:
    machine = fresh(kind)
    machine.write(0, b"plain text")
    machine.flush()
    assert machine.dram[:10] == b"plain text"
    assert machine.key_slot(0).mode == "plain"
