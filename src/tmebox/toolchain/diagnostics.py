"""Messages of clang and lld as `Diagnostic`s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from tmebox.errors import Diagnostic
from tmebox.records import replace
from tmebox.toolchain.patterns import regex

_CLANG = regex(r"^(?:(.+?):(\d+)(?::(\d+))?: )?(fatal error|error|warning|note): (.*)$")
_COLOUR = regex("\x1b\\[[0-9;]*[mK]")
_LLD = regex(r"^(?:ld\.lld|lld): (error|warning): (.*)$")
_EXCERPT = regex(r"^ *\d* \|(?: |$)")
MAX_DIAGNOSTICS, MAX_NOTES = 200, 50
MAX_EXCERPT_LINES, MAX_EXCERPT_WIDTH = 12, 300


def parse_clang(text: str, rename: Callable[[str], str] = str) -> tuple[Diagnostic, ...]:
    """Errors and warnings with their source excerpts, and with the notes that follow them."""
    found: list[Diagnostic] = []
    lines = _COLOUR.sub("", text).split("\n")
    for index, line in enumerate(lines):
        match = _CLANG.match(line)
        if match is None:
            continue
        file, row, column, severity, message = match.groups()
        item = Diagnostic(
            message,
            rename(file) if file and file != "clang" else None,
            int(row) if row else None,
            int(column) if column else None,
            "error" if severity == "fatal error" else severity,
            _excerpt(lines[index + 1 : index + 1 + MAX_EXCERPT_LINES]),
        )
        if severity != "note" and len(found) == MAX_DIAGNOSTICS:
            break
        if severity != "note":
            found.append(item)
        elif found and len(found[-1].notes) < MAX_NOTES:
            found[-1] = replace(found[-1], notes=(*found[-1].notes, item))
    return tuple(found)


def _excerpt(lines: Sequence[str]) -> str:
    return "\n".join(line[:MAX_EXCERPT_WIDTH] for line in takewhile(_EXCERPT.match, lines))


def parse_lld(text: str) -> tuple[Diagnostic, ...]:
    """Errors and warnings; the `>>>` lines that follow one become part of its message."""
    found: list[Diagnostic] = []
    for line in text.splitlines():
        match = _LLD.match(line)
        if match and len(found) < MAX_DIAGNOSTICS:
            found.append(Diagnostic(match[2], severity=match[1]))
        elif line.startswith(">>>") and found:
            last = found[-1]
            found[-1] = Diagnostic(f"{last.message} {line[4:].strip()}", severity=last.severity)
    return tuple(found)


def errors(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    return tuple(item for item in diagnostics if item.severity == "error")
