"""How much work reading debug information may be: references, lengths and offsets in it are not trusted."""

from __future__ import annotations

from tmebox.toolchain import steps

MOST = 1 << 25
FOR_EACH_BYTE = 8
"""Steps that there are for each byte of the debug information beside those."""
_LOOK = 1 << 18


class TooMuchError(ValueError):
    """The work is done. Readers leave out what follows, as if it were damaged."""


class Work:
    """Counts steps: a byte that is looked at or text that is made, each is one; whatever is made, several.
    Debug information that a compiler wrote is read once or twice; other may lead to one place without end."""

    def __init__(self, size_bytes: int, most: int = MOST) -> None:
        self._left = most + FOR_EACH_BYTE * size_bytes
        self._look_at = self._left

    def spend(self, count: int) -> None:
        """Raises TooMuchError, or CompileError where the step's time is over."""
        self._left -= count
        if self._left < self._look_at:
            self._look_at = self._left - _LOOK
            steps.look()
        if self._left < 0:
            raise TooMuchError("this debug information takes too much work")
