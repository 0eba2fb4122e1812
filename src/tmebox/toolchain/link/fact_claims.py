"""What an object claims about registers at labels that its own branches lead to: see `verify/facts.py`.

The rewriter lists claims in a section of their own, which is never loaded; they end up in the module file.
Nobody believes them: the verifier looks whether each holds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tmebox.modulefile.file import Addresses

SECTION = ".tmebox.facts"
_ENTRY = np.dtype([("place", "<u8"), ("fact", "<u8")])


def claims(facts: Iterable[tuple[str, int]]) -> str:
    """The section's statements: labels, and what holds there (register number << 8 | fact)."""
    lines = (f"\t.quad\t{label}, {fact}\n" for label, fact in facts)
    return "".join([f'\t.section\t{SECTION},"",@progbits\n', *lines])


def collected(data: bytes, low: int, high: int) -> tuple[Addresses, NDArray[np.uint16]]:
    """Places and facts of a linked section, by place and register, but for those outside [low, high): of code
    that the linker has dropped."""
    whole = len(data) // _ENTRY.itemsize * _ENTRY.itemsize
    rows = np.unique(np.frombuffer(data[:whole], dtype=_ENTRY))
    rows = rows[(rows["place"] >= low) & (rows["place"] < high)]
    return rows["place"].astype(np.uint32), rows["fact"].astype(np.uint16)
