"""How a run ended, other than with a value: what the sandbox says of it, which may be anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmebox.python import wire
from tmebox.python.errors import OutOfInstructions, PythonError, PythonFrame
from tmebox.python.opaque import Opaque

LAST_LINE = (1 << 31) - 1
"""There is none behind it, and a number of thousands of digits could not be shown."""


def ending(
    status: int, said: Callable[[], Any], cause: Callable[[int], BaseException | None], allowed: int
) -> Opaque | PythonError | OutOfInstructions:
    """said(): what the sandbox left about it; raises PythonError. cause(number): what a host function raised.
    allowed: instructions."""
    if status == wire.SPENT:
        return OutOfInstructions(
            f"the program has executed {allowed:,} instructions, which is its limit; raise instructions="
        )
    if status == wire.OPAQUE:
        match said():
            case (str(type_name), str(text)):
                return Opaque(type_name, text)
    if status == wire.RAISED:
        match said():
            case (str(type_name), str(message), list(frames), int(number)):
                error = PythonError(type_name, message, _frames(frames))
                error.__cause__ = cause(number)
                return error
    return PythonError("SystemError", "the sandbox ended in no known way")


def _frames(frames: list[Any]) -> tuple[PythonFrame, ...]:
    found = []
    for frame in frames:
        match frame:
            case (str(file), int(line), str(function)):
                found.append(PythonFrame(file, min(max(line, 0), LAST_LINE), function))
    return tuple(found)
