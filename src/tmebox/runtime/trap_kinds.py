"""Which trap it was: the table of all of them, one a row. The first row that fits the evidence decides."""

from __future__ import annotations

from collections.abc import Callable, Container
from signal import SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP
from typing import NamedTuple

from tmebox import abi
from tmebox.errors import (
    ArithmeticTrap,
    ControlFlowViolation,
    IllegalInstruction,
    IntegrityViolation,
    MemoryFault,
    OutOfMemory,
    StackOverflow,
    Timeout,
    Trap,
)
from tmebox.runtime.failed_checks import Code, failed_check
from tmebox.runtime.unwind import REGISTER_ORDER

ANY = FAULTS = (0, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP)
"""What the core makes traps of."""
R11 = REGISTER_ORDER.index("r11")
FLAGS = REGISTER_ORDER.index("flags")
SI_KERNEL = 0x80
FPE_INTOVF = 2
"""The largest code of SIGFPE that is about integers."""
ZERO_FLAG = 1 << 6
HLT = 0xF4
ILL_BADSTK = 8
"""The code of SIGILL by which the core, and no processor, says that a frame is not there. Without a signal:
that a handler has run on the sandbox's stack."""
PAST_GUARD = abi.STACK_LOWEST
"""How far behind the window an access can be: beside r15 and r14, or an rsp at the window's last byte."""


def word(registers: bytes, number: int) -> int:
    """One of those that REGISTER_ORDER names."""
    return int.from_bytes(registers[8 * number : 8 * number + 8], "little")


class Evidence(NamedTuple):
    """What is known of one trap. Addresses are the host's, `offset` is in the sandbox's window. `signal` is 0
    for a time limit, or an interrupt that could not be handled. `owner` is the key that owns the line of a
    shared heap; -1: it was not about one."""

    signal: int
    code: int
    fault_address: int
    instruction_address: int
    offset: int
    access: str
    rsp: int
    registers: bytes
    text: Code | None
    where: str
    timeout_s: float
    stack_low: int
    exhausted_bytes: int
    key_id: int
    owner: int
    wrong_bytes: bool
    """The line is the sandbox's own, and memory no longer holds what was written."""
    thread: str = ""
    """Whose stack has run out, if it is not the first thread's: text, and a space behind it."""

    @property
    def r11(self) -> int:
        return word(self.registers, R11)

    @property
    def flags(self) -> int:
        return word(self.registers, FLAGS)

    @property
    def in_target_map(self) -> bool:
        """The fault is a look-up in the map of targets, not a jump into it."""
        is_there = abi.TARGET_MAP <= self.fault_address < abi.TARGET_MAP_END
        return is_there and self.fault_address != self.instruction_address

    @property
    def is_protection(self) -> bool:
        """The processor refused it whatever the address: a stop, or an address that is not aligned."""
        return self.code == SI_KERNEL and self.fault_address == 0

    @property
    def at_a_stop(self) -> bool:
        """At a `hlt`: a check that failed. At the gate it is a host call's checked return."""
        at_gate = abi.GATE_BASE <= self.instruction_address < abi.CODE_END
        return at_gate or (self.text is not None and self.text.code_byte(self.instruction_address) == HLT)

    @property
    def in_reach(self) -> bool:
        return -abi.GUARD <= self.offset < abi.WINDOW_SIZE + PAST_GUARD

    @property
    def below_stack(self) -> bool:
        return self.offset < self.stack_low and abs(self.fault_address - self.rsp) <= 2 * abi.STACK_REACH


class TrapKind(NamedTuple):
    """One row: of these signals, the evidence that fits. `access` and `has_offset` say what the exception
    carries beside its message."""

    exception: type[Trap]
    signals: Container[int]
    fits: Callable[[Evidence], bool]
    message: Callable[[Evidence], str]
    access: Callable[[Evidence], str | None] = lambda e: None
    has_offset: bool = False


def _seen(e: Evidence) -> str:
    return e.access


def _execute(e: Evidence) -> str:
    return "execute"


def _stopped_check(e: Evidence) -> str:
    """Which check it was, by the flags it left behind: a bit of the map that is zero, or an index above. A
    program's own `hlt`, such as libc's a_crash, leaves any flags."""
    if not e.flags & ZERO_FLAG:
        return "a jump through a table, with an index outside of it, was stopped; or the code stopped itself"
    return f"a return or indirect branch to {e.r11:#x} was stopped"


def _lost_frame(e: Evidence) -> str:
    if e.instruction_address == abi.GATE_EXIT:
        return "a call ended on the stack of another thread than it began on"
    return "longjmp(), or an exception, was stopped on its way to a frame that has returned, or never was"


def _foreign_line(e: Evidence) -> str:
    what = f"the line is key {e.owner}'s" if e.owner else "the line is the host's, or nobody's"
    if e.wrong_bytes:
        what = f"memory no longer holds what key {e.owner} wrote"
    return f"{e.access} at {e.offset:#x} in the shared heap, where {what}, by key {e.key_id}"


def _always(e: Evidence) -> bool:
    return True


# fmt: off
TRAP_KINDS = (
    TrapKind(StackOverflow, {0}, lambda e: e.code == ILL_BADSTK,
             lambda e: "a signal came while this thread had no stack for signal handlers: host code has "
                       "taken it away (sigaltstack); have it put one back before sandboxed code goes on"),
    TrapKind(Timeout, {0}, _always,
             lambda e: f"the call ran longer than {e.timeout_s:g} s{e.where}"),
    TrapKind(ArithmeticTrap, {SIGFPE}, lambda e: e.code <= FPE_INTOVF,
             lambda e: "integer division by zero or overflow"),
    TrapKind(ArithmeticTrap, {SIGFPE}, _always,
             lambda e: "floating-point exception"),
    TrapKind(IllegalInstruction, {SIGTRAP}, _always,
             lambda e: "breakpoint instruction"),
    TrapKind(ControlFlowViolation, {SIGILL}, lambda e: e.code == ILL_BADSTK,
             _lost_frame, _execute),
    TrapKind(IllegalInstruction, {SIGILL}, _always,
             lambda e: failed_check(e.text, e.instruction_address)),
    TrapKind(IntegrityViolation, ANY, lambda e: e.owner >= 0,
             _foreign_line, _seen, True),
    TrapKind(ControlFlowViolation, ANY, lambda e: e.code == SI_KERNEL and e.is_protection and e.at_a_stop,
             _stopped_check, _execute),
    TrapKind(MemoryFault, ANY, lambda e: e.code == SI_KERNEL and e.is_protection,
             lambda e: "misaligned access"),
    TrapKind(ControlFlowViolation, ANY, lambda e: e.in_target_map,
             lambda e: f"a return or indirect branch to {e.fault_address - abi.TARGET_MAP:#x}, "
                       "where there is no code, was stopped", _execute),
    TrapKind(ControlFlowViolation, ANY, lambda e: e.access == "execute",
             lambda e: f"execution at {e.fault_address:#x}, where there is no code", _execute),
    TrapKind(MemoryFault, ANY, lambda e: not e.in_reach,
             lambda e: f"{e.access} outside the window", _seen),
    TrapKind(StackOverflow, ANY, lambda e: e.offset == abi.STACK_EXHAUSTED,
             lambda e: f"the stack {e.thread}ran out" if e.thread else
             "the stack ran out: a frame or an array is larger than what was left of it",
             _seen, True),
    TrapKind(StackOverflow, ANY, lambda e: e.below_stack,
             lambda e: f"the stack ran out ({e.access} at {e.offset:#x}, stack ends at {e.stack_low:#x})",
             _seen, True),
    TrapKind(OutOfMemory, ANY, lambda e: e.exhausted_bytes > 0 and 0 <= e.offset < abi.GUARD,
             lambda e: f"an allocation of {e.exhausted_bytes:,} bytes failed at the memory limit, then "
                       f"{e.access} at {e.offset:#x}", _seen, True),
    TrapKind(MemoryFault, ANY, lambda e: 0 <= e.offset < abi.PAGE_SIZE,
             lambda e: f"null pointer: {e.access} at {e.offset:#x}", _seen, True),
    TrapKind(MemoryFault, ANY, _always,
             lambda e: f"{e.access} at {e.offset:#x}", _seen, True),
)
# fmt: on
"""Every way in which the processor, or the clock, stops a sandbox. `Aborted` and `Deadlock` are not here: the
program itself asks for them, by a host call."""


_ROWS_OF = {number: tuple(kind for kind in TRAP_KINDS if number in kind.signals) for number in FAULTS}


def kind_of(evidence: Evidence) -> TrapKind:
    """The first row that fits. The last one fits always."""
    for kind in _ROWS_OF.get(evidence.signal, _ROWS_OF[SIGSEGV]):
        if kind.fits(evidence):
            return kind
    raise AssertionError(evidence)
