"""Every way a sandbox can be stopped by the CPU, and what is said about it."""

from __future__ import annotations

import signal

import pytest

from tests.native.machine import DATA, Closed, Machine, Trapped
from tmebox import _native, abi

SI_KERNEL = 0x80
READ, WRITE, EXECUTE, UNKNOWN = 0, 1, 2, -1
RSP, R15 = 4, 15
RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8 = 0, 1, 2, 3, 5, 6, 7, 8


def trap_of(machine: Machine, name: str, *arguments: int) -> Trapped:
    with pytest.raises(Trapped) as caught:
        machine.call(name, *arguments)
    return caught.value


def test_an_undefined_instruction_is_sigill_where_it_stands(machine: Machine) -> None:
    trap = trap_of(machine, "undefined")
    assert (trap.signal, trap.access) == (signal.SIGILL, UNKNOWN)
    assert trap.instruction_address == machine.address("undefined")


def test_a_halt_is_sigsegv_from_the_kernel_without_an_address(machine: Machine) -> None:
    trap = trap_of(machine, "halt")
    assert (trap.signal, trap.code, trap.fault_address) == (signal.SIGSEGV, SI_KERNEL, 0)
    assert trap.instruction_address == machine.address("halt")


def test_a_breakpoint_is_sigtrap_at_the_breakpoint(machine: Machine) -> None:
    trap = trap_of(machine, "breakpoint")
    assert trap.signal == signal.SIGTRAP
    assert trap.instruction_address == machine.address("breakpoint")


@pytest.mark.parametrize(("dividend", "divisor"), [(1, 0), (0x8000_0000, 0xFFFF_FFFF)])
def test_impossible_divisions_are_sigfpe(machine: Machine, dividend: int, divisor: int) -> None:
    assert trap_of(machine, "divide", dividend, divisor).signal == signal.SIGFPE


def test_an_unmasked_float_exception_is_sigfpe_and_the_hosts_mask_returns(machine: Machine) -> None:
    assert trap_of(machine, "float_exception").signal == signal.SIGFPE
    assert float("1e308") * 10 == float("inf")


def test_a_misaligned_access_is_sigsegv_from_the_kernel(machine: Machine) -> None:
    trap = trap_of(machine, "misaligned")
    assert (trap.signal, trap.code, trap.fault_address) == (signal.SIGSEGV, SI_KERNEL, 0)


@pytest.mark.parametrize("offset", [0, 8, abi.GUARD - 4, abi.PRIVATE_END, 1 << 31, (1 << 32) - 4])
def test_a_load_from_unmapped_memory_says_which_address_was_read(machine: Machine, offset: int) -> None:
    trap = trap_of(machine, "load", offset)
    assert (trap.signal, trap.access) == (signal.SIGSEGV, READ)
    assert trap.fault_address == machine.base + offset


def test_an_index_beyond_32_bits_stays_in_the_window(machine: Machine) -> None:
    _native.write(machine.base + DATA, (0x1234).to_bytes(4, "little"))
    assert machine.call("load", (77 << 32) + DATA) == 0x1234


def test_a_store_to_the_control_page_says_which_address_was_written(machine: Machine) -> None:
    assert machine.call("window_base") == machine.base
    trap = trap_of(machine, "store", abi.CONTROL_WINDOW_BASE, 1)
    assert (trap.signal, trap.access) == (signal.SIGSEGV, WRITE)
    assert trap.fault_address == machine.base + abi.CONTROL_WINDOW_BASE


def test_endless_recursion_ends_at_the_guard_below_the_stack(machine: Machine) -> None:
    trap = trap_of(machine, "recurse")
    assert (trap.signal, trap.access) == (signal.SIGSEGV, WRITE)
    assert trap.fault_address == machine.base + machine.stack_low - 8
    assert trap.rsp == machine.base + machine.stack_low


def test_a_return_to_where_no_call_stands_ends_at_a_halt(machine: Machine) -> None:
    trap = trap_of(machine, "return_to", machine.address("add"))
    assert (trap.signal, trap.code) == (signal.SIGSEGV, SI_KERNEL)
    assert trap.instruction_address == machine.address("failed")


@pytest.mark.parametrize("target", [0, abi.CODE_BASE, abi.CODE_END, (1 << 32) - 1])
def test_a_return_to_where_no_code_is_faults_in_the_target_map(machine: Machine, target: int) -> None:
    trap = trap_of(machine, "return_to", target)
    assert trap.signal == signal.SIGSEGV
    assert trap.fault_address == target + abi.TARGET_MAP


@pytest.mark.parametrize("gate", [abi.GATE_BASE, abi.GATE_EXIT - 3, abi.GATE_BASE + 0x80, abi.GATE_EXIT + 1])
def test_the_gate_page_has_no_return_site_but_the_exit(machine: Machine, gate: int) -> None:
    assert trap_of(machine, "return_to", gate).instruction_address == machine.address("failed")


def test_a_sandbox_may_return_to_the_exit_gate_from_anywhere(machine: Machine) -> None:
    machine.call("return_to", abi.GATE_EXIT)
    assert machine.call("add", 1, 2) == 3


def test_a_call_of_an_unmapped_address_is_an_execution_fault(machine: Machine) -> None:
    with pytest.raises(Trapped) as caught:
        machine.instance.call(abi.CODE_BASE + abi.PAGE_SIZE, (), (), b"", -1.0)
    assert caught.value.access == EXECUTE
    assert caught.value.fault_address == caught.value.instruction_address == abi.CODE_BASE + abi.PAGE_SIZE


def test_a_trap_carries_all_registers(machine: Machine) -> None:
    trap = trap_of(machine, "marked_fault")
    numbers = {RAX: 1, RCX: 2, RDX: 3, RBX: 4, RBP: 6, RSI: 7, RDI: 0, R8: 9, R15: 16}
    assert {index: trap.register(index) for index in numbers} == numbers
    assert trap.register(RSP) == trap.rsp
    assert trap.instruction_address == machine.address("marked_fault_at")


def test_a_trapped_instance_is_dead_and_others_are_not(machine: Machine) -> None:
    other = Machine()
    trap_of(machine, "undefined")
    assert machine.instance.state == _native.DEAD
    assert machine.instance.depth == 0
    with pytest.raises(Closed):
        machine.call("add", 1, 2)
    assert other.call("add", 1, 2) == 3


def test_a_trap_maker_that_fails_is_what_the_caller_sees(machine: Machine) -> None:
    def broken(*_: object) -> BaseException:
        raise LookupError("no")

    top = machine.base + abi.STACK_TOP
    for maker, error in ((broken, LookupError), (lambda *_: 5, TypeError)):
        instance = _native.Instance(machine.base, top - abi.MIB, top, maker)  # type: ignore[arg-type]
        with pytest.raises(error):
            instance.call(machine.address("undefined"), (), (), b"", -1.0)
        assert instance.state == _native.DEAD


def test_thousands_of_traps_leave_nothing_behind() -> None:
    machine = Machine()
    top = machine.base + abi.STACK_TOP
    for _ in range(3000):
        instance = _native.Instance(machine.base, top - abi.MIB, top, Trapped)
        with pytest.raises(Trapped):
            instance.call(machine.address("load"), (0,), (), b"", -1.0)
    assert machine.call("add", 1, 2) == 3
