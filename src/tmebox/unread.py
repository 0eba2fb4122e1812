"""Output that nobody reads any more ends a command, at once and quietly: `tmebox inspect x.tbx | head`.

Other tools are ended by SIGPIPE. Python ignores that, and nobody may change it here: it would also end the
process when the other side of a sandbox's connection is gone.

What standard output's encoding does not have ends none: sandboxes and module files choose such characters.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TextIO

EXIT_UNREAD: Final = 141
"""What a shell reports for a process that SIGPIPE ended."""


class _Pipe(io.FileIO):
    """Standard output. What comes after the end, as what is still buffered then, is dropped."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
            raise SystemExit(EXIT_UNREAD) from None


def quietly(command: Callable[[], int]) -> int:
    """Run a command of the command line, and return its exit code. Raises SystemExit from its next write to
    standard output once nobody reads that, whatever the command does about errors."""
    given = sys.stdout
    _spell_out_what_it_lacks(given)
    if not _is_pipe(given):
        return command()
    sys.stdout = _with(_Pipe(given.fileno(), "w", closefd=False), given)
    try:
        code = command()
        sys.stdout.flush()
    finally:
        sys.stdout = given
    return code


def _spell_out_what_it_lacks(stream: TextIO | None) -> None:
    """As standard error does. Who has asked for something else, by PYTHONIOENCODING, gets that."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
        with suppress(OSError, ValueError):  # closed
            stream.reconfigure(errors="backslashreplace")


def _is_pipe(stream: TextIO | None) -> bool:
    """Whether others can stop reading it. Not what a program has put there instead."""
    if not isinstance(stream, io.TextIOWrapper):
        return False
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):  # closed
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _with(pipe: _Pipe, like: TextIO) -> TextIO:
    """A stream of text that is buffered as the given one is."""
    is_unbuffered = isinstance(like.buffer, io.RawIOBase)
    below: Any = pipe if is_unbuffered else io.BufferedWriter(pipe)
    return io.TextIOWrapper(
        below,
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=bool(like.line_buffering),
        write_through=is_unbuffered,
    )
