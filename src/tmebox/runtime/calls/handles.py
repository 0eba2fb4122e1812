"""Objects of the host that sandboxed code can hold and not look into."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NoReturn

from tmebox import _native
from tmebox.errors import BadReference

if TYPE_CHECKING:
    from typing_extensions import Self


class Handle:
    """Stands for a Python object in sandboxed code, as a `void *` that it can keep and pass back, and not
    look into. Made by `Box.handle`. A function of the host gets the object itself.

    The word is random, so that no other object can be had by guessing. Sandboxed code can mix up handles
    that it was given. It is open until `close()`, the end of its `with` block, or the end of its sandbox.
    """

    def __init__(self, instance: _native.Instance, handles: dict[int, Any], target: Any) -> None:
        self._handles = handles
        self.instance = instance
        self.word = 0
        while self.word >> 32 == 0 or self.word in handles:
            self.word = secrets.randbits(64)
        handles[self.word] = target

    @property
    def closed(self) -> bool:
        return self.word not in self._handles

    @property
    def target(self) -> Any:
        """The object. Raises BadReference if it is closed."""
        try:
            return self._handles[self.word]
        except KeyError:
            raise BadReference("the handle is closed") from None

    def close(self) -> None:
        """Idempotent."""
        self._handles.pop(self.word, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a handle belongs to one sandbox, and is not copied or pickled")

    def __repr__(self) -> str:
        shown = "closed" if self.closed else f"{self.target!r:.60}"
        return f"<tmebox.Handle {shown}>"
