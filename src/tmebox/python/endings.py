"""How a run ended, other than with a value: what the sandbox says of it, which may be anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tmebox.python import wire
from tmebox.python.errors import OutOfInstructions, PythonError, PythonFrame
from tmebox.python.opaque import Opaque

LAST_LINE = (1 << 31) - 1
"""There is none behind it, and a number of thousands of digits could not be shown."""
LONGEST_NAME = 1000
"""Characters of a type's, a file's or a function's name."""
LONGEST_TEXT = 1 << 16
"""Characters of a message, and of what an Opaque says. To show them costs many times as much, for which no
limit of the program's would pay."""
MOST_FRAMES = 100
"""As many as the guest tells of."""


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
                return Opaque(_cut(type_name, LONGEST_NAME), _cut(text, LONGEST_TEXT))
    if status == wire.RAISED:
        match said():
            case (str(type_name), str(message), list(frames), int(number)):
                error = PythonError(
                    _cut(type_name, LONGEST_NAME), _cut(message, LONGEST_TEXT), _frames(frames[-MOST_FRAMES:])
                )
                error.__cause__ = cause(number)
                return error
    return PythonError("SystemError", "the sandbox ended in no known way")


def _frames(frames: list[Any]) -> tuple[PythonFrame, ...]:
    found = []
    for frame in frames:
        match frame:
            case (str(file), int(line), str(function)):
                names = _cut(file, LONGEST_NAME), _cut(function, LONGEST_NAME)
                found.append(PythonFrame(names[0], min(max(line, 0), LAST_LINE), names[1]))
    return tuple(found)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… (cut: {len(text):,} characters)"
