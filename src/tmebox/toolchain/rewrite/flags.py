"""Carrying one condition over a sequence that overwrites the flags: through r11, as a byte that is 0 or 1."""

from __future__ import annotations

_FAMILIES: tuple[tuple[str, str, str], ...] = (
    ("e ne z nz", "ne", "testb %r11b, %r11b"),
    ("be a na nbe", "a", "testb %r11b, %r11b"),
    ("le g ng nle", "g", "testb %r11b, %r11b"),
    ("p np pe po", "np", "testb %r11b, %r11b"),
    ("b ae c nc nae nb", "b", "negb %r11b"),
    ("l ge nge nl", "l", "negb %r11b"),
    ("s ns", "s", "negb %r11b"),
    ("o no", "o", "addb $127, %r11b"),
)
"""Conditions that come back together; which of them r11b keeps; what turns its 0 or 1 into flags again."""


def carried(conditions: frozenset[str]) -> tuple[str, str] | None:
    """Instructions to put before and after, or None if these conditions need more than one byte."""
    for family, kept, restore in _FAMILIES:
        if conditions <= set(family.split()):
            return f"set{kept} %r11b", restore
    return None
