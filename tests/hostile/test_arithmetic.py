"""Arithmetic traps, illegal instructions, and floating-point state that must stay in the sandbox.

The witness of every attack compares the host's arithmetic before and after, x87 included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.hostile.scene import attack, hostile


@dataclass(frozen=True)
class Row:
    function: str
    arguments: tuple[Any, ...]
    exception: str


TRAPS = [
    Row("divide", (1, 0), "ArithmeticTrap"),
    Row("divide", (-(1 << 31), -1), "ArithmeticTrap"),
    Row("divide_long", (5, 0), "ArithmeticTrap"),
    Row("divide_long", (-(1 << 63), -1), "ArithmeticTrap"),
    Row("divide_with_huge_quotient", (), "ArithmeticTrap"),
    Row("divide_unmasked", (1.0, 0.0), "ArithmeticTrap"),
    Row("divide_unmasked", (1.0, 3.0), "ArithmeticTrap"),
    Row("trap_in_x87", (), "ArithmeticTrap"),
    Row("illegal", (), "IllegalInstruction"),
    Row("builtin_trap", (), "IllegalInstruction"),
    Row("breakpoint", (), "IllegalInstruction"),
    Row("halt", (), "ControlFlowViolation"),
]


def invoke(sandbox: Any, row: Row) -> Any:
    """`long double` results do not reach Python, so such functions are called without their prototype."""
    if row.arguments:
        return sandbox.call(row.function, *row.arguments)
    return sandbox.call_raw(row.function)


@pytest.mark.parametrize("row", TRAPS, ids=lambda row: f"{row.function}{row.arguments}")
def test_an_instruction_that_cannot_go_on_is_a_trap_of_its_kind(row: Row) -> None:
    ending = attack(hostile("arithmetic"), lambda sandbox: invoke(sandbox, row))
    assert (ending.exception, ending.function) == (row.exception, row.function), ending


STATES = [
    "leave_mxcsr_changed",
    "leave_exceptions_unmasked",
    "leave_x87_rounding_changed",
    "leave_x87_stack_full",
    "leave_x87_exception_pending",
]


@pytest.mark.parametrize("function", STATES)
def test_floating_point_state_does_not_follow_the_host_home(function: str) -> None:
    assert attack(hostile("arithmetic"), lambda sandbox: sandbox.call_raw(function) & 0).value == 0


@pytest.mark.parametrize("function", STATES)
def test_floating_point_state_does_not_leak_into_the_next_call(function: str) -> None:
    def act(sandbox: Any) -> list[Any]:
        sandbox.call_raw(function)
        sandbox.call_raw(function)
        return [sandbox.divide(7, 2), sandbox.alive()]

    assert attack(hostile("arithmetic"), act).value == [3, 42]


@pytest.mark.parametrize("state", ["mxcsr", "full", "pending"])
def test_the_core_answers_in_any_floating_point_state_and_keeps_it(state: str) -> None:
    ending = attack(hostile("asking"), lambda sandbox: sandbox.run(["asking", state]).exit_code)
    assert ending.value == 0


def test_reserved_bits_of_mxcsr_fault_in_the_sandbox() -> None:
    ending = attack(hostile("arithmetic"), lambda sandbox: sandbox.reserved_mxcsr_bits())
    assert (ending.exception, ending.function) == ("MemoryFault", "reserved_mxcsr_bits")


def test_running_into_what_the_compiler_thought_unreachable_stays_inside() -> None:
    ending = attack(hostile("arithmetic"), lambda sandbox: sandbox.unreachable_end(1))
    assert ending.exception is None or ending.trap
