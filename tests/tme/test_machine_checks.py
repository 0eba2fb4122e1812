"""Machine-check records: the codes, the address with KeyID bits, the banks as a kernel reads them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled

VAL, OVER, UC, PCC = (1 << bit for bit in (63, 62, 61, 57))


def provoke(machine: Modelled, address: int, key_id: int = 2) -> tme.IntegrityError:
    machine.direct_store(address, bytes(64), key_id=1)
    with pytest.raises(tme.IntegrityError) as caught:
        machine.read(address + 3, 1, key_id=key_id)
    machine.flush()
    return caught.value


def test_records_hold_what_hardware_logs(machine: Modelled) -> None:
    error = provoke(machine, 0x1040)
    record = error.record
    assert record.mscod == 0x82A
    assert record.mcacod & 0xFFF0 == 0x0090
    assert record.address == 0x1040 | 2 << 48
    assert (record.physical_address, record.key_id, record.kind) == (0x1040, 2, "integrity")
    assert record.status & (VAL | UC | PCC) == VAL | UC | PCC
    assert machine.machine_checks == [record]
    assert f"Bank {record.bank}: {record.status:016x}" in record.log()
    assert error.rule == "integrity-mismatch"
    assert "integrity-mismatch: TDX" in str(error)


def test_every_kind_has_its_code(build: Any) -> None:
    machine = build(detection="specification", key_id_bits=3, tdx_key_id_bits=1)
    for key_id in (1, 2):
        machine.pconfig(key_id, "random")
    codes = [provoke(machine, 0x1000).record.mscod]
    with pytest.raises(tme.IntegrityError) as caught:
        machine.read(0x1000, 1, key_id=1)
    codes.append(caught.value.record.mscod)
    machine.direct_store(0x2000, bytes(64), key_id=1)
    with machine.seam(), pytest.raises(tme.IntegrityError) as caught:
        machine.read(0x2000, 1, key_id=4)
    codes.append(caught.value.record.mscod)
    assert codes == [0x82A, 0x82D, 0x82B]


def test_banks_are_read_and_cleared_as_a_kernel_does(machine: Modelled) -> None:
    assert machine.rdmsr(0x179) & 0xFF == 21
    first = provoke(machine, 0x1000).record
    status, address, misc = (0x400 + 4 * first.bank + number for number in (1, 2, 3))
    assert machine.rdmsr(status) == first.status
    assert machine.rdmsr(address) == first.address
    assert machine.rdmsr(misc) & 0x3F == 6
    assert machine.rdmsr(0x17A) & 4
    provoke(machine, 0x1000 + 64 * 8, key_id=3)  # the same channel
    assert machine.rdmsr(status) == first.status | OVER
    assert machine.rdmsr(address) == first.address
    other = provoke(machine, 0x1040).record
    assert other.bank == first.bank + 1
    with pytest.raises(tme.GeneralProtection):
        machine.wrmsr(status, 1)
    machine.wrmsr(status, 0)
    machine.wrmsr(0x17A, 0)
    assert machine.rdmsr(status) == machine.rdmsr(address) == machine.rdmsr(0x17A) == 0
    assert machine.rdmsr(0x400 + 4 * other.bank + 1) == other.status
    machine.reset()
    assert machine.rdmsr(0x400 + 4 * other.bank + 1) == 0


def test_errors_travel_between_processes(machine: Modelled) -> None:
    error = provoke(machine, 0x1000)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.record, again.rule) == (str(error), error.record, error.rule)
