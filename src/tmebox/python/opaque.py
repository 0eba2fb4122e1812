"""What comes out of sandboxed Python of a value that has no counterpart here."""

from __future__ import annotations

from dataclasses import dataclass

from tmebox.shown import LONGEST_FACT, printable


@dataclass(frozen=True)
class Opaque:
    """A value that stays in the sandbox. `type`: its type's name there; `text`: what `repr` makes of it
    there, or the beginning of that. Both are the program's words, and may be any text; shown are printable
    characters, of the beginning."""

    type: str
    text: str

    def __repr__(self) -> str:
        return printable(self.text, longest=LONGEST_FACT)
