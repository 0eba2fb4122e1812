"""What a finalizer may do: remind somebody to tidy up.

The garbage collector runs weak references' callbacks first, and then the finalizers of all that it found, in
an order of its own. Each of them may still use everything else, or keep it. So nothing that others could get,
a window, a module's text or a descriptor, is given back by `__del__`, by a callback, or by a finalizer of a C
type: only when an object of the core's goes (`Claim`, `Descriptor`), which is after all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


class Reminder:
    """Calls `tidy` when it goes. Its owner lets it go last. In the collector's hands it comes too early, and
    whoever tidies next does the work."""

    __slots__ = ("_tidy",)

    def __init__(self, tidy: Callable[[], None]) -> None:
        self._tidy = tidy

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """At the interpreter's end, when other files' globals may be gone already, nothing."""
        if not is_finalizing():
            self._tidy()
