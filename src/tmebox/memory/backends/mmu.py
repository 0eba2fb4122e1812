"""Page tables: for any CPU. A page with one owner may be present in its view; any other in nobody's."""

from __future__ import annotations

from tmebox import _native
from tmebox.memory.backends.contract import Detection
from tmebox.memory.shortage import most_mappings
from tmebox.memory.windows import WINDOWS

LEFT_TO_THE_HOST = 1500
"""Mappings that windows leave to the rest of the process. Where it has more, views are refused by the system.
"""


class Mmu:
    """`native/heap/mmu.c`."""

    name = "mmu"
    detects: Detection = "access"

    def views(self) -> bool:
        """Only where a page can be withheld without taking a mapping for it."""
        if WINDOWS.substrate.name != "userfault":
            return False
        try:
            _native.userfault_open()  # in a forked child, that may be before any sandbox asks for a window
        except OSError:
            return False
        return allow_mappings()


def allow_mappings() -> bool:
    """Let views have what the system allows a process, less what is left to the host. False: nobody knows."""
    try:
        most = most_mappings()
    except OSError:
        return False
    _native.window_allow_mappings(max(0, most - LEFT_TO_THE_HOST))
    return True
