"""The Python guest for tests: from the cache, or built; where its sources cannot be had, why not."""

from __future__ import annotations

import runpy
from functools import lru_cache
from pathlib import Path

from tmebox.python import guest

ROOT = Path(__file__).parents[2]


@lru_cache(maxsize=1)
def why_not() -> str | None:
    """None: the guest is there, as the sources have it."""
    tool = runpy.run_path(str(ROOT / "tools" / "micropython.py"))
    try:
        built: Path = tool["built"]()
    except tool["Unavailable"] as error:
        return str(error)
    if not guest.SHIPPED.is_file() or guest.SHIPPED.read_bytes() != built.read_bytes():
        tool["put"](built, guest.SHIPPED)
    return None
