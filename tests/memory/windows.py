"""What the tests of windows look at."""

from __future__ import annotations

from collections.abc import Callable

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
