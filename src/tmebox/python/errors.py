"""What ends a run of untrusted Python, other than a trap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tmebox.errors import IN_TEXTS, LimitError, TmeboxError
from tmebox.shown import Fact, Shown, printable


@dataclass(frozen=True)
class PythonFrame:
    """One line of the traceback of an exception in the sandbox."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return printable(f'File "{self.file}", line {self.line}, in {self.function}')


class PythonError(Shown, TmeboxError):
    """An exception that the sandboxed program raised and did not handle. The sandbox can be used on.

    `type` is the name of its type there ("ZeroDivisionError"), `message` its text, `frames` the traceback,
    outermost first. All of them are the program's words, so as untrusted as the program, and cut where they
    are long. Where it began as an exception of a host function, that one is the `__cause__`.
    """

    def __init__(self, type: str, message: str, frames: tuple[PythonFrame, ...] = ()) -> None:
        self.type = type
        self.message = message
        self.frames = frames
        super().__init__(type, message, frames)

    @property
    def traceback(self) -> str:
        """As Python prints it, in printable characters."""
        lines = [f"  {frame}" for frame in self.frames]
        head = ["Traceback (most recent call last):"] if lines else []
        return "\n".join([*head, *lines, self._summary, ""])

    @property
    def _summary(self) -> str:
        said = f"{self.type}: {self.message}" if self.message else self.type
        return printable(said, keep=IN_TEXTS)

    def _facts(self) -> Iterable[Fact]:
        yield "type", self.type
        yield "message", self.message
        yield "traceback", tuple(map(str, reversed(self.frames)))

    def __str__(self) -> str:
        place = self.frames[-1] if self.frames else None
        where = f" ({place.file}, line {place.line}, in {place.function})" if place else ""
        return f"{self._summary}{printable(where)}"


class OutOfInstructions(LimitError):
    """The program has executed as many of the interpreter's instructions as it may. What it was doing is
    undone nowhere; the sandbox can be used on."""
