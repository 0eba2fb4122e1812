"""From a signal in sandboxed code to a Python exception that says what happened, where and why."""

from __future__ import annotations

import signal as signals
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tmebox import _native, abi
from tmebox.errors import (
    ArithmeticTrap,
    ControlFlowViolation,
    Frame,
    IllegalInstruction,
    IntegrityViolation,
    MemoryFault,
    OutOfMemory,
    StackOverflow,
    Timeout,
    Trap,
)
from tmebox.memory.windows import Window
from tmebox.runtime.failed_checks import failed_check
from tmebox.runtime.unwind import REGISTER_ORDER, Unwinder

SI_KERNEL = 0x80
R11 = REGISTER_ORDER.index("r11")
RDI = REGISTER_ORDER.index("rdi")
FLAGS = REGISTER_ORDER.index("flags")
ZERO_FLAG = 1 << 6
HLT = 0xF4
ACCESS = {0: "read", 1: "write", 2: "execute"}
STACK_SNAPSHOT = 16 * abi.KIB
PAST_GUARD = abi.R15_REACH + 64
"""How far behind the window an access can be: a displacement beside r15 and r14, and the access's width."""


class Text(Protocol):
    """The code that an address is in."""

    @property
    def unwinder(self) -> Unwinder: ...
    def code_byte(self, address: int) -> int | None: ...


@dataclass(frozen=True)
class Surroundings:
    """What a trap handler must know of its sandbox. `hold` keeps the window mapped, or says that it is gone;
    `text_at` finds the code of any module; `exhausted_bytes` is the last allocation refused. `import_name`
    says what a host call was of, by its index and first argument; `log_check` logs what the shared heap's
    memory said of a read, by outcome, offset in a window and key."""

    base: int
    stack_low: int
    hold: Callable[[], Window | None]
    text_at: Callable[[int], Text | None]
    exhausted_bytes: Callable[[], int]
    timeout_s: Callable[[], float]
    import_name: Callable[[int, int], str]
    key_id: int = 0
    log_check: Callable[[int, int, int], Any] | None = None
    read_control: Callable[[int, int], bytes | None] | None = None
    """Of the control stack, by offset and size, if the sandbox has one."""

    def stack(self, window: Window, offset: int, size_bytes: int) -> bytes:
        """Where return addresses are."""
        if self.read_control is None:
            return _native.read(window.base + offset, size_bytes)
        return self.read_control(offset, size_bytes) or b""


def make_trap(
    around: Surroundings,
    signal: int,
    code: int,
    fault_address: int,
    instruction_address: int,
    access: int,
    rsp: int,
    registers: bytes,
    owner: int = -1,
    outcome: int = 0,
    outcome_key: int = 0,
) -> Trap:
    """The exception for one trap; the core calls this with the GIL held, after the sandbox was left.

    Kept here is what may be gone later; lines and frames are looked up when someone asks."""
    where = ""
    if signal == 0 and instruction_address == abi.GATE_HOSTCALL:
        where = ", in " + around.import_name(_word(registers, R11), _word(registers, RDI))
        instruction_address, rsp = _caller(around, rsp)
    text = around.text_at(instruction_address)
    unwind = _prepare_unwind(around, text, instruction_address, rsp, registers)
    if signal == 0:
        message = f"the call ran longer than {around.timeout_s():g} s{where}"
        return Timeout(message, address=instruction_address, unwind=unwind)
    if signal == signals.SIGFPE:
        what = "integer division by zero or overflow" if code <= 2 else "floating-point exception"
        return ArithmeticTrap(what, address=instruction_address, unwind=unwind)
    if signal in (signals.SIGILL, signals.SIGTRAP):
        what = (
            "breakpoint instruction" if signal == signals.SIGTRAP else failed_check(text, instruction_address)
        )
        return IllegalInstruction(what, address=instruction_address, unwind=unwind)
    if owner >= 0:
        where_and_how = fault_address, instruction_address, access
        return _violation(around, *where_and_how, owner, (outcome, outcome_key), unwind)
    return _fault(around, text, code, fault_address, instruction_address, access, rsp, registers, unwind)


def _violation(
    around: Surroundings,
    fault_address: int,
    instruction_address: int,
    access: int,
    owner: int,
    check: tuple[int, int],
    unwind: Callable[[], tuple[Frame, ...]],
) -> IntegrityViolation:
    kind, offset = ACCESS.get(access, "access"), fault_address - around.base
    outcome, key_id = check
    record = around.log_check(outcome, offset, key_id) if outcome and around.log_check is not None else None
    what = f"the line is key {owner}'s" if owner else "the line is the host's, or nobody's"
    if outcome and key_id == owner:
        what = f"memory no longer holds what key {owner} wrote"
    return IntegrityViolation(
        f"{kind} at {offset:#x} in the shared heap, where {what}, by key {around.key_id}",
        offset=offset,
        access=kind,
        address=instruction_address,
        unwind=unwind,
        key_id=around.key_id,
        owner_key_id=owner,
        record=record,
    )


def _fault(
    around: Surroundings,
    text: Text | None,
    code: int,
    fault_address: int,
    instruction_address: int,
    access: int,
    rsp: int,
    registers: bytes,
    unwind: Callable[[], tuple[Frame, ...]],
) -> Trap:
    if code == SI_KERNEL and fault_address == 0:
        at_gate = abi.GATE_BASE <= instruction_address < abi.CODE_END  # a host call's checked return
        if at_gate or (text is not None and text.code_byte(instruction_address) == HLT):
            return ControlFlowViolation(
                _failed_check(registers),
                access="execute",
                address=instruction_address,
                unwind=unwind,
            )
        return MemoryFault("misaligned access", address=instruction_address, unwind=unwind)
    if abi.TARGET_MAP <= fault_address < abi.TARGET_MAP_END and fault_address != instruction_address:
        target = fault_address - abi.TARGET_MAP
        return ControlFlowViolation(
            f"a return or indirect branch to {target:#x}, where there is no code, was stopped",
            access="execute",
            address=instruction_address,
            unwind=unwind,
        )
    if access == 2:
        return ControlFlowViolation(
            f"execution at {fault_address:#x}, where there is no code",
            access="execute",
            address=instruction_address,
            unwind=unwind,
        )
    kind = ACCESS.get(access, "access")
    offset = fault_address - around.base
    if not -abi.GUARD <= offset < abi.WINDOW_SIZE + PAST_GUARD:
        return MemoryFault(
            f"{kind} outside the window", access=kind, address=instruction_address, unwind=unwind
        )
    near_stack = abs(fault_address - rsp) <= 2 * abi.STACK_REACH
    if offset == abi.STACK_EXHAUSTED:
        return StackOverflow(
            "the stack ran out: a frame or an array is larger than what was left of it",
            offset=offset,
            access=kind,
            address=instruction_address,
            unwind=unwind,
        )
    if near_stack and offset < around.stack_low:
        return StackOverflow(
            f"the stack ran out ({kind} at {offset:#x}, stack ends at {around.stack_low:#x})",
            offset=offset,
            access=kind,
            address=instruction_address,
            unwind=unwind,
        )
    exhausted = around.exhausted_bytes()
    if exhausted and 0 <= offset < abi.GUARD:
        return OutOfMemory(
            f"an allocation of {exhausted:,} bytes failed at the memory limit, then {kind} at {offset:#x}",
            offset=offset,
            access=kind,
            address=instruction_address,
            unwind=unwind,
        )
    what = "null pointer: " if 0 <= offset < abi.PAGE_SIZE else ""
    return MemoryFault(
        f"{what}{kind} at {offset:#x}", offset=offset, access=kind, address=instruction_address, unwind=unwind
    )


def _caller(around: Surroundings, rsp: int) -> tuple[int, int]:
    """(address of the call, stack pointer before it) of a host call; the gate where nothing is known."""
    offset, window = rsp - around.base, around.hold()
    if window is None or not around.stack_low <= offset <= abi.STACK_TOP - 8:
        return abi.GATE_HOSTCALL, rsp
    return int.from_bytes(around.stack(window, offset, 8), "little") - 1, rsp + 8


def _failed_check(registers: bytes) -> str:
    """Which check it was, by the flags it left behind: a bit of the map that is zero, or an index above. A
    program's own `hlt`, such as libc's a_crash, leaves any flags."""
    if not _word(registers, FLAGS) & ZERO_FLAG:
        return "a jump through a table, with an index outside of it, was stopped; or the code stopped itself"
    return f"a return or indirect branch to {_word(registers, R11):#x} was stopped"


def _word(registers: bytes, number: int) -> int:
    return int.from_bytes(registers[8 * number : 8 * number + 8], "little")


def _prepare_unwind(
    around: Surroundings, text: Text | None, address: int, rsp: int, registers: bytes
) -> Callable[[], tuple[Frame, ...]]:
    """Copies what unwinding needs (the sandbox may be gone when someone asks), works it out later."""
    if text is None:
        return partial(tuple, (Frame(address, None, None, None),))
    stack_offset = rsp - around.base
    stack = b""
    # After an overflow rsp is in the guard, which reads as zeros here: the frames above it are what matters.
    start = max(stack_offset, around.stack_low)
    window = around.hold()
    if window is not None and start - stack_offset <= abi.STACK_REACH and start < abi.STACK_TOP:
        stack = bytes(start - stack_offset)
        stack += around.stack(window, start, min(STACK_SNAPSHOT, abi.STACK_TOP - start))
    return partial(text.unwinder.frames, address, stack_offset, stack, registers)
