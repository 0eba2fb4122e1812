"""The table of traps: each row is the first to fit some evidence, and each class of trap has a row."""

from __future__ import annotations

import signal as signals
import struct
from typing import Any

import pytest

from tmebox import abi, errors
from tmebox.runtime.trap_kinds import HLT, ILL_BADSTK, SI_KERNEL, TRAP_KINDS, ZERO_FLAG, Evidence, kind_of
from tmebox.runtime.unwind import REGISTER_ORDER

CODE = abi.CODE_BASE + 0x10_0000


class Text:
    """Code of one byte, over and over."""

    def __init__(self, byte: int) -> None:
        self.byte = byte

    def code_byte(self, address: int) -> int | None:
        return self.byte


def registers(**values: int) -> bytes:
    """As the core records them, 0 but for these."""
    return struct.pack(f"<{len(REGISTER_ORDER)}Q", *(values.get(name, 0) for name in REGISTER_ORDER))


READ = Evidence(
    signal=signals.SIGSEGV,
    code=1,
    fault_address=0x10_1234_5678,
    instruction_address=CODE,
    offset=0x1234_5678,
    access="read",
    rsp=0x10_8000_0000,
    registers=registers(r11=0x4242),
    text=Text(0x90),
    where="",
    timeout_s=0.5,
    stack_low=0x100_0000,
    exhausted_bytes=0,
    key_id=3,
    owner=-1,
    wrong_bytes=False,
)

CASES: list[tuple[dict[str, Any], type[errors.Trap], str, str | None, bool]] = [
    ({"signal": 0, "code": ILL_BADSTK}, errors.StackOverflow, "no stack for signal handlers", None, False),
    ({"signal": 0, "where": ", in f"}, errors.Timeout, "longer than 0.5 s, in f", None, False),
    ({"signal": signals.SIGFPE, "code": 1}, errors.ArithmeticTrap, "by zero", None, False),
    ({"signal": signals.SIGFPE, "code": 3}, errors.ArithmeticTrap, "floating-point", None, False),
    ({"signal": signals.SIGTRAP}, errors.IllegalInstruction, "breakpoint", None, False),
    (
        {"signal": signals.SIGILL, "code": ILL_BADSTK},
        errors.ControlFlowViolation,
        "a frame that has returned",
        "execute",
        False,
    ),
    ({"signal": signals.SIGILL}, errors.IllegalInstruction, "illegal instruction", None, False),
    ({"owner": 5}, errors.IntegrityViolation, "key 5's, by key 3", "read", True),
    (
        {
            "code": SI_KERNEL,
            "fault_address": 0,
            "text": Text(HLT),
            "registers": registers(r11=0x4242, flags=ZERO_FLAG),
        },
        errors.ControlFlowViolation,
        "branch to 0x4242 was stopped",
        "execute",
        False,
    ),
    ({"code": SI_KERNEL, "fault_address": 0}, errors.MemoryFault, "misaligned", None, False),
    (
        {"fault_address": abi.TARGET_MAP + 0x99},
        errors.ControlFlowViolation,
        "branch to 0x99",
        "execute",
        False,
    ),
    ({"access": "execute"}, errors.ControlFlowViolation, "execution at", "execute", False),
    ({"offset": abi.WINDOW_SIZE + (1 << 40)}, errors.MemoryFault, "outside the window", "read", False),
    ({"offset": abi.STACK_EXHAUSTED}, errors.StackOverflow, "larger than what was left", "read", True),
    (
        {"offset": 0xFF_FFF8, "rsp": 0x10_1234_5680, "access": "write"},
        errors.StackOverflow,
        "write at 0xfffff8, stack ends at 0x1000000",
        "write",
        True,
    ),
    ({"offset": 16, "exhausted_bytes": 4096}, errors.OutOfMemory, "4,096 bytes failed", "read", True),
    ({"offset": 16}, errors.MemoryFault, "null pointer: read at 0x10", "read", True),
    ({}, errors.MemoryFault, "read at 0x12345678", "read", True),
]


@pytest.mark.parametrize("row", range(len(TRAP_KINDS)))
def test_each_row_is_the_first_to_fit_some_evidence(row: int) -> None:
    changes, exception, message, access, has_offset = CASES[row]
    evidence = READ._replace(**changes)
    kind = kind_of(evidence)
    assert kind is TRAP_KINDS[row]
    assert kind.exception is exception
    assert message in kind.message(evidence)
    assert (kind.access(evidence), kind.has_offset) == (access, has_offset)


def test_every_class_of_trap_has_a_row() -> None:
    classes = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.Trap)
    }
    asked_for_by_programs = {errors.Aborted, errors.Deadlock}
    assert {kind.exception for kind in TRAP_KINDS} == classes - {errors.Trap} - asked_for_by_programs


def test_a_look_up_in_the_map_is_told_from_a_jump_into_it() -> None:
    place = abi.TARGET_MAP + 0x99
    jump = READ._replace(fault_address=place, instruction_address=place, access="execute")
    assert "execution at" in kind_of(jump).message(jump)


def test_a_signal_that_the_core_makes_no_trap_of_is_no_time_limit() -> None:
    assert kind_of(READ._replace(signal=signals.SIGSYS)).exception is errors.MemoryFault
