"""What the tasks of a pool start from, as bytes for workers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tmebox
from tmebox.memory.contents import Layout
from tmebox.python import PythonSnapshot


class Source(NamedTuple):
    """`module`: None for the Python guest. `key`: what `state` is sealed with, if it has to be."""

    module: bytes | None
    state: bytes
    options: Mapping[str, Any]
    layout: Layout
    key: bytes | None

    @property
    def most_bytes(self) -> int:
        """Memory that one task may use in its sandbox: its own, as much for arrays of the host, its stack."""
        return 2 * self.layout.memory_bytes + self.layout.stack_bytes


def source_of(
    given: tmebox.Module | tmebox.Snapshot | PythonSnapshot, trust_compiler: bool, options: Mapping[str, Any]
) -> Source:
    """Makes one sandbox at once, so that options that do not fit, and constructors that trap, show here.
    Raises TypeError, LimitError, ModuleError, a Trap."""
    if "heap" in options:
        raise TypeError("heap=: a shared heap is of this process; workers cannot have it")
    if isinstance(given, PythonSnapshot):
        given.spawn(**options).close()
        return Source(None, given.to_bytes(), {**given.options, **options}, given.layout, None)
    if isinstance(given, tmebox.Module):
        with tmebox.Sandbox(given, **options) as first:
            given, options = first.snapshot(), {}
            first._tenancy.drop_output()  # what is buffered in the snapshot is its tasks'
    if not isinstance(given, tmebox.Snapshot):
        kind = type(given).__name__
        raise TypeError(f"a pool is made of a Module, a Snapshot or a PythonSnapshot, not of {kind}")
    given = given.configured(**options)
    tried = given.spawn()
    tried._tenancy.drop_output()
    tried.close()
    module = given.module
    key = None
    if module.file.isolation != "code+data":
        if not trust_compiler:
            raise TypeError(
                f"a module with isolation {module.file.isolation!r} trusts its compiler: say that workers "
                "may, too, by trust_compiler=True"
            )
        key = secrets.token_bytes(32)
    return Source(
        module.to_bytes(), given.to_bytes(key=key), given.options, given.template.contents.layout, key
    )


def portable(options: Mapping[str, Any], dumps: Callable[[Any], bytes]) -> dict[str, Any]:
    """The options that say something. Raises TypeError for one that cannot go to another process."""
    said = {name: value for name, value in options.items() if value is not None and value not in ((), [], {})}
    for name, value in said.items():
        try:
            dumps(value)
        except Exception as error:  # of any class's way to be pickled
            raise TypeError(f"{name}=: this cannot go to a worker: {error}") from None
    return said
