"""Box: a sandbox with a typed face, for libraries."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from tmebox.modulefile.prototypes import Function
from tmebox.runtime.calls.callbacks import UNWIND, Callback
from tmebox.runtime.calls.handles import Handle
from tmebox.runtime.calls.named import Names
from tmebox.runtime.module import Module
from tmebox.runtime.sandbox import Sandbox


class Box(Sandbox):
    """A sandbox for a C library: functions that go by pointer, objects that C passes back, memory with types.

    Made like a `Sandbox`. Exports that are named like attributes of it are reached by `exports`.
    """

    # -- what the library gets of the host -----------------------------------------------------------
    def callback(
        self, function: Callable[..., Any], type: str | Function, *, on_error: Any = UNWIND
    ) -> Callback:
        """A Python function that the library can call by pointer until `close()`, or the end of a `with`
        block.

        type: the name of a function pointer's type, or "function.parameter". A function that is passed as it
        is needs none, but the sandbox keeps only the last 1,024 of those.
        on_error: what the library gets where the function raises; the exception then leaves the call of the
        library when that returns. Default: it leaves at once, through the library, which finishes nothing.
        Raises TypeError, LimitError, SandboxClosed.
        """
        ctype = type if isinstance(type, Function) else self._names.function(type)
        return self._tenancy.callbacks.add(function, ctype, on_error)

    def handle(self, target: Any) -> Handle:
        """What stands for any Python object where C takes a `void *`. Functions of the host get the object.
        It lasts until `close()`, or the end of a `with` block."""
        self._tenancy.hold()
        return self._tenancy.callbacks.handle(target)

    @property
    def _names(self) -> Names:
        return _names_of(self.module)


_known: weakref.WeakKeyDictionary[Module, Names] = weakref.WeakKeyDictionary()


def _names_of(module: Module) -> Names:
    names = _known.get(module)
    if names is None:
        names = _known[module] = Names([*module.exports.values(), *module.imports.values()])
    return names
