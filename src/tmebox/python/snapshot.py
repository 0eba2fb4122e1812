"""PythonSnapshot: an interpreter's state, for others to start from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import tmebox
from tmebox.memory.contents import Layout
from tmebox.python import guest
from tmebox.shown import Fact, Shown

if TYPE_CHECKING:
    from tmebox.python.interpreter import Python


class PythonSnapshot(Shown):
    """Made by `Python.snapshot()` or `from_bytes`. Holds modules and globals; not what the host gave."""

    interpreter: ClassVar[type[Python]]
    """What it spawns: the two know each other."""

    def __init__(self, state: tmebox.Snapshot, options: Mapping[str, Any]) -> None:
        self._state = state
        self._options = dict(options)

    @property
    def options(self) -> dict[str, Any]:
        """What `spawn` gives to interpreters unless told otherwise."""
        return dict(self._options)

    @property
    def size_bytes(self) -> int:
        return self._state.size_bytes

    @property
    def layout(self) -> Layout:
        """Where an interpreter has what in its window, and so how much at most."""
        return self._state.template.contents.layout

    def spawn(self, **options: Any) -> Python:
        """An interpreter that goes on from here. Options are those of `Python`, but for memory and stack,
        which are the snapshot's; default: what the interpreter had that it was taken from."""
        for name in ("memory", "stack"):
            if name in options:
                raise TypeError(f"{name} is the snapshot's: take it from a Python that has more")
        return self.interpreter(state=self._state, **{**self._options, **options})

    def to_bytes(self, *, key: bytes | None = None, compress: bool = False) -> bytes:
        """For another process with the same guest. key: a secret of at least 16 bytes; only its holders can
        make bytes that `from_bytes` takes."""
        return self._state.to_bytes(key=key, compress=compress)

    @classmethod
    def from_bytes(
        cls, data: bytes, *, key: bytes | None = None, memory: Any = None, stack: Any = None, **options: Any
    ) -> PythonSnapshot:
        """memory, stack: refuse interpreters with higher limits. options: what `spawn` gives, such as
        functions. Without a key, whoever made the bytes decides what the program is, and no more than that.

        Raises SnapshotError, LimitError."""
        state = tmebox.Snapshot.from_bytes(data, guest.module(), key=key, memory=memory, stack=stack)
        return cls(state, options)

    def _facts(self) -> Iterable[Fact]:
        yield "pages", f"{self.size_bytes:,} bytes"

    def __repr__(self) -> str:
        return f"<tmebox.python.PythonSnapshot {self.size_bytes:,} bytes of pages>"
