"""Opaque: what a run ends in where that is no data, such as a function."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.errors import IN_TEXTS
from tmebox.shown import printable


@dataclass(frozen=True)
class Opaque:
    """A value that stays in the sandbox. `type`: its type's name there; `text`: what `repr` makes of it
    there, or the beginning of that. Both are the program's words."""

    type: str
    text: str

    def __repr__(self) -> str:
        return printable(self.text, keep=IN_TEXTS)
