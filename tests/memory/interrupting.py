"""Come in at every bytecode of tmebox's own code, as a signal handler or a finalizer would.

An opcode is also where Python runs signal handlers, so what holds here at each of them holds for those; and
here it is known which were tried.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dis import opname
from pathlib import Path
from types import FrameType
from typing import Any

import tmebox

LOOKS = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "GEN_START")
"""How instructions begin after which Python looks for signals. It takes care not to look between a context
manager's beginning, or end, and its block."""
PACKAGE = str(Path(tmebox.__file__).parent)


class Interrupted(BaseException):
    """What an interrupting handler raises, as KeyboardInterrupt would be."""


def opcodes_are_told() -> bool:
    """Whether this Python calls trace functions for opcodes: some versions of 3.12 do not."""
    told = []

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        frame.f_trace_opcodes = True
        told.append(event)
        return trace

    def traced() -> int:
        return len(told)

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        traced()
    finally:
        sys.settrace(before)
    return "opcode" in told


def opcodes(
    action: Callable[[], object], at: Callable[[int], None], *, where_python_looks: bool = False
) -> int:
    """Call `action`; before each opcode of tmebox's, `at(number)`. How many there were. What `at` does is not
    traced. where_python_looks: only there. An Interrupted that comes out of `action` is dropped."""
    count = 0
    inside = False
    last = ""

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count, inside, last
        if inside or not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before_this, last = last, opname[frame.f_code.co_code[frame.f_lasti]]
            if where_python_looks and not before_this.startswith(LOOKS):
                return trace
            number, count = count, count + 1
            inside = True
            try:
                at(number)
            finally:
                inside = False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except Interrupted:
        pass
    finally:
        sys.settrace(before)
    return count


def enter_everywhere(
    action: Callable[[], object],
    handler: Callable[[], object],
    every: int = 1,
    start: int = 0,
    *,
    where_python_looks: bool = False,
) -> int:
    """Run `action` once for each opcode it has, and at that one `handler`. How often that was."""
    total = opcodes(action, lambda number: None, where_python_looks=where_python_looks)
    places = range(start % every, total, every)
    for place in places:

        def at(number: int, place: int = place) -> None:
            if number == place:
                handler()

        opcodes(action, at, where_python_looks=where_python_looks)
    return len(places)


def raise_everywhere(action: Callable[[], object], every: int = 1) -> int:
    """Run `action` once for each opcode after which Python runs handlers, and raise Interrupted there."""

    def handler() -> None:
        raise Interrupted

    return enter_everywhere(action, handler, every, where_python_looks=True)
