"""Opaque: what a run ends in where that is no data, such as a function."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.shown import LONGEST_FACT, printable


@dataclass(frozen=True)
class Opaque:
    """A value that stays in the sandbox. `type`: its type's name there; `text`: what `repr` makes of it
    there, which is the program's word and may be any text. Shown is its beginning, in printable
    characters."""

    type: str
    text: str

    def __repr__(self) -> str:
        return printable(self.text[:LONGEST_FACT]) + "…" * (len(self.text) > LONGEST_FACT)
