"""A trap, told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tmebox.cli.output import complain, printable, stderr
from tmebox.demangle import demangled
from tmebox.errors import Deadlock, Frame, StandingThread, Trap

FRAMES_SHOWN = 12
THREADS_SHOWN = 8


def show_trap(trap: Trap, source: Path | None = None) -> None:
    """Kind, what happened, where, and how it came there, on stderr.

    `source` is the file the user named, whose line is quoted. Other paths in a module's line table are its
    author's word and are never opened: one could name a device or someone's secrets.
    """
    complain(trap.message.removeprefix(f"{trap.kind}: "), label=f"trap: {trap.kind}")
    console = stderr()
    rows = [("kind", trap.kind)]
    if trap.function is not None:
        rows.append(("function", demangled(trap.function)))
    if trap.source is not None:
        rows.append(("source", trap.source))
    if trap.offset is not None:
        rows.append(("offset", f"{trap.offset:#010x}"))
    if trap.access is not None:
        rows.append(("access", trap.access))
    for name, value in rows:
        console.print(f"  {name:<9}{printable(value)}", soft_wrap=True)
    line = _quoted_line(trap, source)
    if line is not None:
        console.print(f"\n  {trap.line:>5} | {printable(line)}\n", soft_wrap=True)
    _show_callers(trap.backtrace)
    if isinstance(trap, Deadlock):
        _show_threads(trap.threads)


def _show_callers(backtrace: Sequence[Frame]) -> None:
    console = stderr()
    callers = backtrace[1:]
    for number, frame in enumerate(callers[:FRAMES_SHOWN]):
        console.print(f"  {'called by' if number == 0 else '':<9} {printable(str(frame))}", soft_wrap=True)
    if len(callers) > FRAMES_SHOWN:
        console.print(f"  {'':<9} … and {len(callers) - FRAMES_SHOWN} more")


def _show_threads(threads: Sequence[StandingThread]) -> None:
    """The others: where the first stands is the trap's own backtrace."""
    console = stderr()
    for thread in threads[1 : 1 + THREADS_SHOWN]:
        where = f" at {thread.backtrace[0]}" if thread.backtrace else ""
        console.print(f"\n  {'thread':<9} {printable(thread.label + where)}", soft_wrap=True)
        _show_callers(thread.backtrace)
    if len(threads) > 1 + THREADS_SHOWN:
        console.print(f"\n  … and {len(threads) - 1 - THREADS_SHOWN} more threads")


def _quoted_line(trap: Trap, source: Path | None) -> str | None:
    if source is None or trap.file is None or trap.line is None or Path(trap.file).name != source.name:
        return None
    try:
        lines = source.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return lines[trap.line - 1].rstrip() if 0 < trap.line <= len(lines) else None
