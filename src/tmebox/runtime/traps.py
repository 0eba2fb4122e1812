"""From a signal in sandboxed code to a Python exception that says what happened, where and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from signal import SIGILL
from typing import Any, Protocol

from tmebox import _native, abi
from tmebox.errors import Frame, IntegrityViolation, Trap
from tmebox.memory.windows import Window
from tmebox.runtime.trap_kinds import Evidence, kind_of
from tmebox.runtime.unwind import REGISTER_ORDER, Unwinder

R11 = REGISTER_ORDER.index("r11")
RDI = REGISTER_ORDER.index("rdi")
FLAGS = REGISTER_ORDER.index("flags")
ACCESS = {0: "read", 1: "write", 2: "execute"}
STACK_SNAPSHOT = 16 * abi.KIB


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
    memory said of a read, by outcome, offset in a window and key. `data_parts`: (start, end) of image and
    heap, in which stacks of threads lie."""

    base: int
    stack_low: int
    data_parts: tuple[tuple[int, int], ...]
    stack_top: int
    hold: Callable[[], Window | None]
    text_at: Callable[[int], Text | None]
    exhausted_bytes: Callable[[], int]
    timeout_s: Callable[[], float]
    import_name: Callable[[int, int], str]
    key_id: int = 0
    log_check: Callable[[int, int, int], Any] | None = None
    read_control: Callable[[int, int], bytes] | None = None
    """Of the control stack, by offset and size, if the sandbox has one."""
    thread_at: Callable[[int], str] | None = None
    """Who has a control stack that ends there, for messages."""

    def stack(self, window: Window, offset: int, size_bytes: int) -> bytes:
        """Where return addresses are."""
        if self.read_control is None:
            return _native.read(window.base + offset, size_bytes)
        return self.read_control(offset, size_bytes)


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
            where = ", in " + around.import_name(_word(registers, R11), _word(registers, RDI))
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
        r11=_word(registers, R11),
        flags=_word(registers, FLAGS),
        text=text,
        where=where,
        timeout_s=around.timeout_s(),
        stack_low=around.stack_low,
        exhausted_bytes=around.exhausted_bytes(),
        key_id=around.key_id,
        owner=owner,
        wrong_bytes=bool(outcome) and outcome_key == owner,
        thread=f"of {around.thread_at(stack_top)} " if stack_top and around.thread_at is not None else "",
    )
    kind = kind_of(evidence)
    more: dict[str, Any] = {}
    if kind.exception is IntegrityViolation:
        more = {"key_id": around.key_id, "owner_key_id": owner}
        if outcome and around.log_check is not None:
            more["record"] = around.log_check(outcome, evidence.offset, outcome_key)
    return kind.exception(
        kind.message(evidence),
        offset=evidence.offset if kind.has_offset else None,
        access=kind.access(evidence),
        address=instruction_address,
        unwind=prepare_unwind(around, text, instruction_address, rsp, registers),
        **more,
    )


def _caller(around: Surroundings, rsp: int) -> tuple[int, int]:
    """(address of the call, stack pointer before it) of a host call; the gate where nothing is known."""
    offset, window = rsp - around.base, around.hold()
    if window is None or not 0 <= offset <= _stack_end(around, offset) - 8:
        return abi.GATE_HOSTCALL, rsp
    return int.from_bytes(around.stack(window, offset, 8), "little") - 1, rsp + 8


def _stack_end(around: Surroundings, offset: int) -> int:
    """Of the stack that an offset is in: the first thread's, or one of those in the heap. All memory up to
    there can be read. 0 if it is in none."""
    if around.stack_low <= offset < around.stack_top:
        return around.stack_top
    return next((end for start, end in around.data_parts if start <= offset < end), 0)


def _word(registers: bytes, number: int) -> int:
    return int.from_bytes(registers[8 * number : 8 * number + 8], "little")


def prepare_unwind(
    around: Surroundings, text: Text | None, address: int, rsp: int, registers: bytes
) -> Callable[[], tuple[Frame, ...]]:
    """Copies what unwinding needs (the sandbox may be gone when someone asks), works it out later."""
    if text is None:
        return partial(tuple, (Frame(address, None, None, None),))
    stack_offset = rsp - around.base
    stack = b""
    # After an overflow rsp is in the guard, which reads as zeros here: the frames above it are what matters.
    start = max(stack_offset, around.stack_low)
    if any(start <= stack_offset < end for start, end in around.data_parts):
        start = stack_offset  # a thread's
    window, end = around.hold(), _stack_end(around, start)
    if window is not None and start - stack_offset <= abi.STACK_REACH and start < end:
        stack = bytes(start - stack_offset)
        stack += around.stack(window, start, min(STACK_SNAPSHOT, end - start))
    return partial(text.unwinder.frames, address, stack_offset, stack, registers)
