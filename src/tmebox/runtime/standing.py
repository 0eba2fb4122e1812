"""Traps that a program asks for itself: it called abort(), no thread can go on, or one ran over its stack.

The sandbox's scheduler says where its threads stand by rows in its memory, of which nothing is believed: a
wrong row is a misleading backtrace.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from signal import SIGABRT

from tmebox import abi
from tmebox.errors import Aborted, Deadlock, Frame, StackOverflow, StandingThread, Trap
from tmebox.runtime.surroundings import Surroundings
from tmebox.runtime.system.calls import U64, Abort, GuestMemory
from tmebox.runtime.thread_names import called, shown_name
from tmebox.runtime.traps import prepare_unwind
from tmebox.runtime.unwind import REGISTER_ORDER

ROW = struct.Struct("<3Q16s")
MOST_ROWS = 64
SAVED = struct.Struct("<8Q")
"""What guest/kernel/switch.S leaves at a thread's stack pointer: control words, r15 to r12, rbp, rbx, and the
address that it goes on at."""
SAVED_NAMES = ("r15", "r14", "r13", "r12", "rbp", "rbx")
OURS = ("__tmebox_kernel", "__tmebox_futex", "__tmebox_yield", "__tmebox_turn_over", "__tmebox_end_task")
"""Where the C library enters the scheduler, whose functions are not what a reader looks for."""
MOST_OURS = 16


@dataclass(frozen=True)
class _Row:
    number: int
    name: str
    waits_at: int
    unwind: Callable[[], tuple[Frame, ...]]

    def standing(self) -> StandingThread:
        return StandingThread(self.number, self.name, self.waits_at, self.unwind())

    def __str__(self) -> str:
        return called(self.number, self.name)


def aborted(request: Abort) -> Aborted:
    """What abort() and failed assertions become, and signals that end a program."""
    failed = request.assertion if request.signal == SIGABRT else None
    where = () if failed is None else (Frame(0, failed.function, failed.file, failed.line),)
    return Aborted(str(request), unwind=lambda: where)


def standing_trap(around: Surroundings, memory: GuestMemory, reason: int, rows_at: int, count: int) -> Trap:
    """The trap for what the scheduler said. The row of the thread that ran last is the first."""
    rows = tuple(_rows(around, memory, rows_at & U64, min(count & U64, MOST_ROWS)))
    unwind = rows[0].unwind if rows else tuple
    if reason == abi.STANDING_OVERFLOW:
        who = f"of {rows[0]} " if rows else ""
        return StackOverflow(f"the stack {who}ran out: it ran over into memory below it", unwind=unwind)
    if reason == abi.STANDING_BELOW:
        message = (
            "deadlock: the thread that could go on called a host function, or was called, before "
            "another that waits"
        )
    elif len(rows) > 1:
        message = f"deadlock: all {len(rows)} threads wait for each other"
    else:
        message = "deadlock: waiting for a lock that nobody is left to release"
    return Deadlock.of(message, unwind, partial(_standing, rows))


def _standing(rows: tuple[_Row, ...]) -> tuple[StandingThread, ...]:
    return tuple(row.standing() for row in rows)


def _rows(around: Surroundings, memory: GuestMemory, at: int, count: int) -> Iterator[_Row]:
    for place in range(at, at + count * ROW.size, ROW.size):
        try:
            number, rsp, waits_at, name = ROW.unpack(memory.read(place, ROW.size))
        except IndexError:
            return
        yield _Row(number, shown_name(name), waits_at, _unwind(around, memory, rsp))


def _unwind(around: Surroundings, memory: GuestMemory, rsp: int) -> Callable[[], tuple[Frame, ...]]:
    """Copies what is needed now: the sandbox may be gone when somebody asks."""
    try:
        read = memory.read if around.read_control is None else around.read_control
        saved = SAVED.unpack(read(rsp, SAVED.size))
    except (IndexError, struct.error):
        return tuple
    values = dict(zip(SAVED_NAMES, saved[1:7], strict=True))
    registers = struct.pack(f"<{len(REGISTER_ORDER)}Q", *(values.get(name, 0) for name in REGISTER_ORDER))
    address = max(saved[7] - 1, 0)
    text = around.text_at(address)
    frames = prepare_unwind(around, text, address, around.base + rsp + SAVED.size, registers)
    return partial(_without_ours, frames)


def _without_ours(frames: Callable[[], tuple[Frame, ...]]) -> tuple[Frame, ...]:
    """From the function on that called the scheduler."""
    found = frames()
    first = 0
    for index, frame in enumerate(found[:MOST_OURS]):
        if frame.function in OURS:
            first = index + 1
    return found[first:] or found
