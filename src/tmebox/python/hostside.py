"""What the host does for a program that runs: functions, output, clocks, modules. Every argument is
hostile."""

from __future__ import annotations

import inspect
import os
import struct
import sys
import time
import weakref
from types import FrameType
from typing import TYPE_CHECKING

from tmebox.errors import LimitError
from tmebox.python import wire
from tmebox.python.awaited import AwaitedRun, result_without_loop

if TYPE_CHECKING:
    from tmebox.python.interpreter import Python

LONGEST_SLEEP_NS = 20_000_000
"""Time limits and interrupts take effect in between."""
LONGEST_NAME = 200
LONGEST_MESSAGE = 4096
_DATA = frozenset((type(None), bool, int, float, str, bytes, list, tuple, dict))
_CLOCKS = frozenset((wire.HOST_CLOCK, wire.HOST_TICKS, wire.HOST_SLEEP))
U64 = (1 << 64) - 1


class HostSide:
    """The one import of the guest. Knows its interpreter weakly, which owns it by way of the sandbox."""

    __name__ = "python_host"
    __signature__ = inspect.Signature(
        [inspect.Parameter("operation", inspect.Parameter.POSITIONAL_ONLY, annotation=int)]
    )
    """Known: working it out for each interpreter would take longer than the rest of a start."""

    def __init__(self, python: weakref.ref[Python]) -> None:
        self._python = python
        self._failures: tuple[int, BaseException | None] = (0, None)
        self.awaited: AwaitedRun | None = None
        """The run that goes on, if a task waits for it."""
        self._frame: FrameType | None = None
        """In which the host answers the program; None: it does not, now."""
        self.depth = 0
        """Functions of the host that run now, one called by a program that another has started."""

    def runs(self) -> bool:
        """Whether a function of the host runs now."""
        return self.depth > 0

    def is_below(self) -> bool:
        """Whether the program waits for who asks, or for what has called that. Threads have stacks of their
        own, and so do greenlets, which may go on in any order."""
        wanted = self._frame
        frame = None if wanted is None else sys._getframe()
        while frame is not wanted and frame is not None:
            frame = frame.f_back
        return frame is not None

    def __call__(self, operation: int) -> int:
        python = self._python()
        if python is None:  # it is going while its program runs, which cannot be
            raise LimitError("the interpreter is gone")
        before, self._frame = self._frame, sys._getframe()
        try:
            reply = self._reply(python, operation)
        finally:
            self._frame = before
        if reply is None:
            return 0
        offset, size = python.reply(reply)
        return offset << 32 | size

    def _reply(self, python: Python, operation: int) -> bytes | None:
        """An encoded value, or None for what has none. Raises LimitError for what nobody may ask, and what
        is no Exception of a host function's."""
        mailbox = python.mailbox
        if operation == wire.HOST_CALL:
            python.take_output()
            self.depth += 1
            try:
                return self._call(python)
            finally:
                self.depth -= 1
        if operation == wire.HOST_PRINT:
            python.take_output()
        elif operation in _CLOCKS and python.settings.clock is not None:
            # The guest keeps such a clock by itself. A program that has taken it over gets no other one.
            raise LimitError("the sandbox asks for the host's clock, in place of the one that it was given")
        elif operation == wire.HOST_CLOCK:
            struct.pack_into("<Q", mailbox, wire.CLOCK, time.time_ns() & U64)
        elif operation == wire.HOST_TICKS:
            struct.pack_into("<Q", mailbox, wire.CLOCK, time.monotonic_ns() & U64)
        elif operation == wire.HOST_SLEEP:
            time.sleep(min(struct.unpack_from("<Q", mailbox, wire.CLOCK)[0], LONGEST_SLEEP_NS) * 1e-9)
        elif operation == wire.HOST_MODULE:
            return self._module(python)
        elif operation == wire.HOST_SEED:
            seed = python.settings.seed
            given = os.urandom(8) if seed is None else (seed & U64).to_bytes(8, "little")
            mailbox[wire.SEED : wire.SEED + 8] = given
        else:
            raise LimitError(f"the sandbox asks the host for something unknown ({operation})")
        return None

    def _module(self, python: Python) -> bytes:
        name = python.result()
        source = python.settings.modules.get(name) if isinstance(name, str) else None
        return python.encoder.encode(source)

    def _call(self, python: Python) -> bytes:
        """The encoded result, or what went wrong. What is no Exception goes through the sandbox."""
        try:
            match python.result():
                case (str(name), tuple(arguments), dict(keywords)):
                    function = python.settings.functions.get(name)
                    if function is None:
                        raise NameError(f"the host has no function {name[:LONGEST_NAME]!r}")
                    result = function(*arguments, **keywords)
                    if type(result) not in _DATA and inspect.isawaitable(result):
                        awaited = self.awaited
                        result = result_without_loop(result) if awaited is None else awaited.result_of(result)
                    return python.encoder.encode(result)
            raise TypeError("the sandbox does not say what to call")
        except Exception as error:
            number = self._failures[0] + 1
            self._failures = number, error
            return bytes([wire.FAILED]) + python.encoder.encode((number, *_described(error)))

    def failure(self, number: int) -> BaseException | None:
        """What a host function raised, by its number: only the latest."""
        known, error = self._failures
        return error if known == number else None

    def forget(self) -> None:
        """What they raised: its traceback has frames that have the interpreter."""
        self._failures = self._failures[0], None


def _described(error: Exception) -> tuple[str, str]:
    """The built-in exception that it is in the sandbox, and what it says there."""
    kind = next(one for one in type(error).__mro__ if one.__module__ == "builtins")
    try:
        text = str(error)
    except Exception:  # its class's own doing
        text = "its text cannot be had"
    message = text[:LONGEST_MESSAGE].encode(errors="replace")[:LONGEST_MESSAGE].decode(errors="replace")
    if kind is Exception:
        return "RuntimeError", f"{type(error).__name__[:LONGEST_NAME]}: {message}"
    return kind.__name__, message
