"""From a signal in sandboxed code to a Python exception that says what happened, where and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from signal import SIGILL

from tmebox import abi
from tmebox.errors import Frame, IntegrityViolation, Trap
from tmebox.runtime.module import Module
from tmebox.runtime.surroundings import Surroundings
from tmebox.runtime.trap_kinds import R11, Evidence, kind_of, word
from tmebox.runtime.unwind import REGISTER_ORDER

RDI = REGISTER_ORDER.index("rdi")
ACCESS = {0: "read", 1: "write", 2: "execute"}
STACK_SNAPSHOT = 16 * abi.KIB


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
    stack_top: int = 0,
) -> Trap:
    """The exception for one trap; the core calls this with the GIL held, after the sandbox was left.

    Kept here is what may be gone later; lines and frames are looked up when someone asks."""
    where = ""
    if signal in (0, SIGILL) and instruction_address == abi.GATE_HOSTCALL:
        if signal == 0:
            where = ", in " + around.import_name(word(registers, R11), word(registers, RDI))
        instruction_address, rsp = _caller(around, rsp)
    text = around.text_at(instruction_address)
    evidence = Evidence(
        signal=signal,
        code=code,
        fault_address=fault_address,
        instruction_address=instruction_address,
        offset=fault_address - around.base,
        access=ACCESS.get(access, "access"),
        rsp=rsp,
        registers=registers,
        text=text,
        where=where,
        timeout_s=around.timeout_s,
        stack_low=around.layout.stack_low,
        exhausted_bytes=around.exhausted_bytes,
        key_id=around.key_id,
        owner=owner,
        wrong_bytes=bool(outcome) and outcome_key == owner,
        thread=f"of {around.thread_at(stack_top)} " if stack_top else "",
    )
    kind = kind_of(evidence)
    trap = kind.exception(
        kind.message(evidence),
        offset=evidence.offset if kind.has_offset else None,
        access=kind.access(evidence),
        address=instruction_address,
        unwind=prepare_unwind(around, text, instruction_address, rsp, registers),
    )
    if isinstance(trap, IntegrityViolation):
        trap.key_id, trap.owner_key_id = around.key_id, owner
        trap.record = around.log_check(outcome, evidence.offset, outcome_key) if outcome else None
    return trap


def _caller(around: Surroundings, rsp: int) -> tuple[int, int]:
    """(address of the call, stack pointer before it) of a host call; the gate where nothing is known."""
    offset, window = rsp - around.base, around.hold()
    if window is None or not 0 <= offset <= _stack_end(around, offset) - 8:
        return abi.GATE_HOSTCALL, rsp
    return int.from_bytes(around.stack(window, offset, 8), "little") - 1, rsp + 8


def _stack_end(around: Surroundings, offset: int) -> int:
    """Of the stack that an offset is in: the first thread's, or one of those in the heap. All memory up to
    there can be read. 0 if it is in none."""
    if around.layout.stack_low <= offset < around.layout.stack_top:
        return around.layout.stack_top
    for start, end in around.layout.data_parts:
        if start <= offset < end:
            return end
    return 0


def prepare_unwind(
    around: Surroundings, text: Module | None, address: int, rsp: int, registers: bytes
) -> Callable[[], tuple[Frame, ...]]:
    """Copies what unwinding needs (the sandbox may be gone when someone asks), works it out later."""
    if text is None:
        return partial(tuple, (Frame(address, None, None, None),))
    layout = around.layout
    stack_offset = rsp - around.base
    stack = b""
    # After an overflow rsp is in the guard, which reads as zeros here: the frames above it are what matters.
    start = max(stack_offset, layout.stack_low)
    for low, high in layout.data_parts:
        if low <= stack_offset < high:
            start = stack_offset  # a thread's
    window, end = around.hold(), _stack_end(around, start)
    if window is not None and start - stack_offset <= abi.STACK_REACH and start < end:
        stack = bytes(start - stack_offset)
        stack += around.stack(window, start, min(STACK_SNAPSHOT, end - start))
    return partial(text.unwinder.frames, address, stack_offset, stack, registers)
