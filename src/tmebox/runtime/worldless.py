"""WorldlessSandbox: for code that tmebox runs for a purpose of its own. Nobody gave it a world."""

from __future__ import annotations

from collections.abc import Callable

from tmebox.runtime.sandbox import Sandbox
from tmebox.runtime.system import System
from tmebox.runtime.system.no_world import NoWorld


class WorldlessSandbox(Sandbox):
    """Its functions are called, and reach what the host functions give them. Nothing else: what its C library
    prints, say, goes nowhere."""

    def _world(self) -> Callable[[], System]:
        return NoWorld
