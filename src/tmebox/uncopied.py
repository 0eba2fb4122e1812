"""What owns a sandbox, or holds a turn or a place of the host's, is there once."""

from __future__ import annotations

from typing import Any, NoReturn


class Uncopied:
    """Refused to copy.copy(), copy.deepcopy() and pickle. A copy would be a second name for one thing: each
    would use, give back and close what the other one has."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        what = type(self).__name__
        raise TypeError(f"{what} objects are not copied or pickled: make another, or start from a snapshot")
