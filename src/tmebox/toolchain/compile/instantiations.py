"""Errors of C++ where the person who wrote the source looks for them.

A wrong call of a template is an error in the template's text, and each consequence one more. What the person
can change is the line that asks for the template, which clang tells in a note.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import Diagnostic
from tmebox.records import replace
from tmebox.toolchain.patterns import regex

_ASKED = regex(r"in instantiation of (.*) requested here")
_WHY_NOT = regex(r"candidate .*|because .*")
_TOO_MANY = "too many errors emitted"
MAX_WHY = 300


def seen_from_sources(found: Sequence[Diagnostic], libraries: Sequence[Path]) -> tuple[Diagnostic, ...]:
    """An error in one of the `libraries` moves to the line that asked for it, the first for each line. Where
    that is not known it is left out, provided that there are others: it follows from them. What does not fit
    says why."""
    beginnings = tuple(f"{os.path.abspath(path)}{os.sep}" for path in libraries)
    placed: list[Diagnostic] = []
    for item in found:
        if placed and item.message.startswith(_TOO_MANY):
            continue  # of which most are left out
        if item.severity != "error" or not _is_in(item.file, beginnings):
            placed.append(_with_reason(item))
            continue
        asked = [note for note in item.notes if _ASKED.match(note.message)]
        own = next((note for note in asked if not _is_in(note.file, beginnings)), None)
        if own is not None:
            moved = _moved(item, own)
            if not any(moved.place == other.place for other in placed):
                placed.append(moved)
        elif not any(other.severity == "error" for other in placed):
            placed.append(item)
    return tuple(placed)


def _is_in(file: str | None, beginnings: tuple[str, ...]) -> bool:
    return file is not None and os.path.abspath(file).startswith(beginnings)


def _moved(item: Diagnostic, asked: Diagnostic) -> Diagnostic:
    what = _ASKED.sub(r"in \1", asked.message)
    where = f"{os.path.basename(item.file or '')}:{item.line}"
    return replace(
        item,
        message=f"{item.message} ({what}, at <{where}>)",
        file=asked.file,
        line=asked.line,
        column=asked.column,
        excerpt=asked.excerpt,
    )


def _with_reason(item: Diagnostic) -> Diagnostic:
    """What clang says of the first candidates, as far as that is short."""
    if not item.message.startswith(("no matching", "call to", "constraints not")):
        return item
    reasons = [note.message for note in item.notes if _WHY_NOT.fullmatch(note.message)]
    text = "; ".join(dict.fromkeys(reasons))
    return replace(item, message=f"{item.message}: {text[:MAX_WHY]}") if text else item
