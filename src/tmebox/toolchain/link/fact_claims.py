"""What objects claim about registers, at the addresses that linking has given to their labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tmebox.modulefile.file import Addresses
from tmebox.toolchain.link.linked import distinct
from tmebox.toolchain.sections import KEPT_CLAIM

_ENTRY = np.dtype([("place", "<u8"), ("fact", "<u8")])


def collected(data: bytes, low: int, high: int) -> tuple[Addresses, NDArray[np.uint16]]:
    """Places and facts of a linked section, by place and register, but for those outside [low, high): of code
    that the linker has dropped."""
    whole = len(data) // _ENTRY.itemsize * _ENTRY.itemsize
    rows = distinct(np.frombuffer(data[:whole], dtype=_ENTRY))
    rows = rows[(rows["place"] >= low) & (rows["place"] < high)]
    return rows["place"].astype(np.uint32), rows["fact"].astype(np.uint16)


def collected_depths(data: bytes, low: int, high: int) -> tuple[Addresses, NDArray[np.uint32]]:
    """Places and depths of a linked section, by place; only those that say something else than the one
    before."""
    whole = len(data) // _ENTRY.itemsize * _ENTRY.itemsize
    rows = distinct(np.frombuffer(data[:whole], dtype=_ENTRY))
    rows = rows[(rows["place"] >= low) & (rows["place"] < high)]
    depths = rows["fact"] & (KEPT_CLAIM - 1)
    is_kept = rows["fact"] != depths
    rows["fact"] = depths
    # Of a function that several objects have, one is there, and each claims something of it.
    repeats = np.zeros(len(rows), bool)
    repeats[1:] = rows[1:] == rows[:-1]
    is_kept[:-1] |= repeats[1:] & is_kept[1:]
    rows, is_kept = rows[~repeats], is_kept[~repeats]
    differs = np.ones(len(rows), bool)
    differs[1:] = (rows["fact"][1:] != rows["fact"][:-1]) | is_kept[1:]
    rows = rows[differs]
    return rows["place"].astype(np.uint32), rows["fact"].astype(np.uint32)
