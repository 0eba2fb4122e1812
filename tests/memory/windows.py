"""What the tests of windows look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox import _native, abi
from tmebox.memory.windows import WINDOWS

Forked = Callable[..., ChildOutcome]
PAGE = abi.PAGE_SIZE

needs_userfault = pytest.mark.skipif(
    WINDOWS.substrate.name != "userfault", reason="the substrate here is plain mappings"
)


def pages(box: tmebox.Sandbox) -> int:
    return _native.window_pages(box.base)


def gaps() -> list[str]:
    """Ranges of addresses of windows, in whatever piece, where nothing is mapped."""
    rows = [row.split()[0].split("-") for row in Path("/proc/self/maps").read_text().splitlines()]
    mapped = [(int(start, 16), int(end, 16)) for start, end in rows]
    found = []
    for addresses in WINDOWS._addresses:
        at = addresses.start
        for start, end in [*mapped, (addresses.stop, addresses.stop)]:
            if end > at and start <= addresses.stop:
                if start > at:
                    found.append(f"{at:#x}-{start:#x}")
                at = max(at, end)
    return found
