"""Opaque: what a run ends in where that is no data, such as a function."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Opaque:
    """A value that stays in the sandbox. `type`: its type's name there; `text`: what `repr` makes of it
    there."""

    type: str
    text: str

    def __repr__(self) -> str:
        return self.text
