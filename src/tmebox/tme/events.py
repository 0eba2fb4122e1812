"""What happens inside a machine, as rows and as a picture. The numbers are those of native/tme/machine.h.

The rows are in the order in which things happen. They have no times: timing is not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

KINDS = (
    "read",
    "write",
    "direct-store",
    "flush",
    "hit",
    "miss",
    "ownership-read",
    "decrypt",
    "encrypt",
    "plain-load",
    "plain-store",
    "mac-match",
    "mac-mismatch",
    "td-mismatch",
    "td-hidden",
    "write-back",
    "evict",
    "invalidate",
    "alias-flush",
    "poison-set",
    "poison-used",
    "poison-cleared",
)

LANES = ("core", "cache", "engine", "DRAM")
_LANE_OF = {
    **dict.fromkeys(("read", "write", "direct-store", "flush"), 0),
    **dict.fromkeys(("hit", "miss", "ownership-read", "evict", "write-back", "invalidate", "alias-flush"), 1),
    **dict.fromkeys(("decrypt", "encrypt", "mac-match", "mac-mismatch", "td-mismatch", "td-hidden"), 2),
    **dict.fromkeys(("plain-load", "plain-store", "poison-set", "poison-used", "poison-cleared"), 3),
}
_ALARMING = {"mac-mismatch", "td-mismatch", "poison-set", "poison-used"}
PALETTE = ("#4477aa", "#117733", "#882255", "#995500", "#332288", "#555555", "#006d77", "#7a3e9d")
ALARM = "#cc3311"


@dataclass(frozen=True)
class Event:
    """One row: the how-manieth since the machine was built, its kind (one of KINDS), the line's address, the
    KeyID."""

    number: int
    kind: str
    address: int
    key_id: int

    def __str__(self) -> str:
        return f"{self.number:>8}  {self.kind:<14} {self.address:#012x}  KeyID {self.key_id}"


def colour(key_id: int) -> str:
    """Of a KeyID, in every picture."""
    return PALETTE[key_id % len(PALETTE)]


class Trace(Sequence[Event]):
    """The events that were kept, oldest first."""

    def __init__(self, rows: Sequence[Event]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return Trace(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._rows)

    def __repr__(self) -> str:
        return f"<trace of {len(self)} events>"

    def __str__(self) -> str:
        return "\n".join(map(str, self._rows))

    def of(self, *kinds: str) -> Trace:
        """Only the events of these kinds."""
        return Trace([row for row in self._rows if row.kind in kinds])

    def svg(self) -> str:
        """A timeline: one column for each event, one lane each for core, cache, encryption engine and
        DRAM."""
        width, lane_height, left = 26, 34, 70
        full, height = left + width * max(1, len(self)) + 10, lane_height * len(LANES) + 120
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{full}" height="{height}" '
            f'viewBox="0 0 {full} {height}" font-family="sans-serif" font-size="11" role="img">',
            "<title>What happened in the machine, in order</title>",
        ]
        for lane, name in enumerate(LANES):
            y = lane * lane_height
            parts.append(
                f'<rect x="0" y="{y}" width="{full}" height="{lane_height}" '
                f'fill="{"#f4f4f4" if lane % 2 else "#ffffff"}"/><text x="6" y="{y + 21}">{name}</text>'
            )
        for index, row in enumerate(self._rows):
            x, y = left + index * width, _LANE_OF[row.kind] * lane_height + 6
            fill = ALARM if row.kind in _ALARMING else colour(row.key_id)
            parts.append(
                f'<g><title>{escape(str(row).strip())}</title><rect x="{x}" y="{y}" width="{width - 4}" '
                f'height="22" rx="3" fill="{fill}"/></g>'
                f'<text transform="translate({x + 15},{lane_height * len(LANES) + 8}) rotate(90)" '
                f'font-size="10">{row.kind} {row.address:#x}</text>'
            )
        return "\n".join([*parts, "</svg>"])
