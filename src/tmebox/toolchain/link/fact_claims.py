"""What objects claim about registers, at the addresses that linking has given to their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tmebox.modulefile.file import Addresses
from tmebox.toolchain.link.linked import distinct

_ENTRY = np.dtype([("place", "<u8"), ("fact", "<u8")])


def collected(data: bytes, low: int, high: int) -> tuple[Addresses, NDArray[np.uint16]]:
    """Places and facts of a linked section, by place and register, but for those outside [low, high): of code
    that the linker has dropped."""
    whole = len(data) // _ENTRY.itemsize * _ENTRY.itemsize
    rows = distinct(np.frombuffer(data[:whole], dtype=_ENTRY))
    rows = rows[(rows["place"] >= low) & (rows["place"] < high)]
    return rows["place"].astype(np.uint32), rows["fact"].astype(np.uint16)
