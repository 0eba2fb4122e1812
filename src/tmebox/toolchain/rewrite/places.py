"""Where a line of assembly comes from: `.file`/`.loc` directives and `# 12 "file"` markers."""

from __future__ import annotations

import re
from bisect import bisect_right

from tmebox.errors import Diagnostic
from tmebox.once import once
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.asm import Directive, LineMarker, split_operands

PLACE = "\t.loc\t"
_IS_PLACE = regex(r"\t\.loc\t\d[\w.$ \t-]*\Z", re.ASCII)


def is_place(line: str) -> bool:
    """Whether it is a `.loc` and nothing else, as compilers write it. A third of their lines are."""
    return _IS_PLACE.match(line) is not None


class Places:
    """Filled in the order of the text. Lines count from 1."""

    def __init__(self, file: str, text: str = "") -> None:
        self._file = file
        self._text = text
        self._names: dict[str, str] = {}
        self._lines: list[int] = []
        self._events: list[LineMarker | str] = []

    def note(self, line: int, event: LineMarker | str) -> None:
        """From `line` on: a line marker, or the arguments of a `.loc`."""
        self._lines.append(line)
        self._events.append(event)

    def add_file(self, directive: Directive) -> None:
        """`.file 1 "directory" "name" …`; the unnumbered form names nothing that `.loc` uses."""
        words = split_operands(directive.arguments.replace('" "', '","').replace(' "', ',"', 1))
        if len(words) > 1 and words[0].isdecimal():
            names = [word.split('"')[1] for word in words[1:3] if word.startswith('"')] or [""]
            is_main = words[0] == "0"
            self._names[words[0]] = "/".join(names[-1:] if is_main else names)

    def diagnostic(self, message: str, line: int) -> Diagnostic:
        """At the C source if it is known, else at the line of the assembly."""
        position = bisect_right(self._lines, line) - 1
        if position >= 0:
            file, source_line = self._source(self._events[position], line - self._lines[position])
            if file and source_line > 0:
                return Diagnostic(f"{message} (line {line} of the assembly)", file, source_line)
        return Diagnostic(message, self._file, line)

    def shown(self, line: int) -> str:
        """A line of the text for a message: without comment, and as it is usually spaced."""
        return " ".join(self._all[line - 1].partition("#")[0].split())

    @once
    def _all(self) -> list[str]:
        return self._text.split("\n")

    def _source(self, event: LineMarker | str, distance: int) -> tuple[str, int]:
        if isinstance(event, LineMarker):
            return event.file, event.line + distance - 1 if event.file else 0
        words = [*event.split(), ""]
        return self._names.get(words[0], ""), _line(words[1] if len(words) > 1 else "")


def _line(text: str) -> int:
    """0 for what no source has."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0
