"""Where the command line writes: results on stdout, everything about them on stderr.

rich leaves colours out when the stream is not a terminal or NO_COLOR is set; nothing here overrides that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from tmebox.progress import STEPS, Report, to
from tmebox.shown import printable as without_controls

EXIT_OK = 0
EXIT_FAILED = 1
"""Source that does not compile, code that does not verify, a module that cannot be loaded."""
EXIT_TRAP = 134
"""What a shell reports for a process that abort() ended."""

WIDTH_WITHOUT_TERMINAL = 160


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # What reads a pipe wants whole lines, not lines cut at rich's default width.
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def stdout() -> Console:
    return _console(stderr=False)


def stderr() -> Console:
    return _console(stderr=True)


def plain(text: str) -> str:
    """`text` in which control characters other than newlines and tabs are spelled out."""
    return without_controls(text, keep="\n\t")


_SLASHED_BRACKET = re.compile(r"(\\+)\[(?![a-z#/@][^[]*?\])")
"""Backslashes and a bracket that does not begin a tag: rich takes the last backslash away, and `escape`
leaves them as they are. What ends in backslashes is about to be followed by a tag."""


def printable(text: str) -> str:
    """As `plain`, for where rich would read markup."""
    shown = _SLASHED_BRACKET.sub(r"\1\\[", plain(text))
    slashes = len(shown) - len(shown.rstrip("\\"))
    return escape(shown[: len(shown) - slashes]) + "\\" * (2 * slashes)


def complain(message: str, *, label: str = "error") -> None:
    """One error on stderr, in the form that compilers and editors know."""
    head, _, rest = printable(message).partition("\n")
    console = stderr()
    console.print(f"[bold]tmebox:[/] [bold red]{label}:[/] {head}", soft_wrap=True)
    if rest:
        console.print(rest, soft_wrap=True)


@contextmanager
def progress(*, alone: bool = False) -> Iterator[Report | None]:
    """A progress bar on a terminal's stderr, gone when the work is done; None where there is no terminal.

    alone: without the thread that draws it meanwhile, so it moves with reports only.
    """
    console = stderr()
    if not console.is_terminal:
        yield None
        return
    # Only here: every program that is started would take it along.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, auto_refresh=not alone) as bar:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in tasks:
                for earlier in tasks.values():
                    bar.update(earlier, visible=False)
                tasks[step] = bar.add_task(printable(STEPS.get(step, step)), total=total)
            bar.update(tasks[step], completed=done, total=total, refresh=alone)

        with to(report):
            yield report


def size(size_bytes: int) -> str:
    """A size for people: 12 bytes, 3.4 KiB, 5.0 MiB."""
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    value = float(size_bytes)
    for unit in ("KiB", "MiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} GiB"


def duration(duration_s: float) -> str:
    """A duration for people: 740 ns, 12.3 µs, 4.56 ms, 1.20 s."""
    for factor, unit in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
        if duration_s * factor < 999.5:
            return f"{duration_s * factor:.3g} {unit}"
    return f"{duration_s:.2f} s"


def examples(*commands: str) -> str:
    """Text below a command's help. Paragraphs become lines there."""
    return "\n\n".join(["Examples:", *(f"[bold cyan]  {command}[/]" for command in commands)])
