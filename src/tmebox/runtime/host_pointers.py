"""Whether a buffer has host pointers in it. They mean nothing in a sandbox, which must not learn them either,
and what it leaves in their place must not come back. Every way in for buffers asks here."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

_NAMES = re.compile(r":[^:]*:")
"""Of members, in the format of a struct."""
_COMPLEX = re.compile(r"Z[fdg]")
_POINTERS = frozenset("PO&XzZ")
"""Pointers, objects, functions and texts, in formats as in ctypes."""
_PLAIN = frozenset("?bBhHiIlLqQefd")
_OWN_BYTES = (bytes, bytearray)


def require_none(value: Any, what: str) -> None:
    """Raise TypeError for a buffer with host pointers. `what` comes first in the message. For what is no
    buffer, nothing is raised here."""
    if type(value) in _OWN_BYTES:
        return
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype):  # of some there is no view
        found, shown = dtype.hasobject, str(dtype)
    else:
        try:
            view = memoryview(value)
        except (TypeError, ValueError, BufferError):
            return
        with view:
            found, shown = are_in(view), view.format
    if found:
        raise TypeError(
            f"{what}: the {type(value).__name__} holds Python objects or host pointers (items {shown!r}), "
            "which mean nothing in a sandbox"
        )


def are_in(view: memoryview) -> bool:
    """What exports the memory says more than its format does: ctypes has unions, and structs without padding,
    as plain bytes."""
    format = view.format
    if format not in _PLAIN and not _POINTERS.isdisjoint(_COMPLEX.sub("", _NAMES.sub(" ", format))):
        return True
    owner = view.obj
    ctypes = sys.modules.get("ctypes") if type(owner) not in _OWN_BYTES else None  # else it made nothing
    return (
        ctypes is not None and isinstance(owner, ctypes._SimpleCData.__base__) and _has(ctypes, type(owner))
    )


def _has(ctypes: Any, kind: Any) -> bool:
    if issubclass(kind, ctypes._SimpleCData):
        return kind._type_ in _POINTERS
    if issubclass(kind, ctypes.Array):
        return _has(ctypes, kind._type_)
    if issubclass(kind, (ctypes.Structure, ctypes.Union)):
        rows = [row for base in kind.__mro__ for row in vars(base).get("_fields_", ())]
        return any(_has(ctypes, row[1]) for row in rows)
    return True  # a pointer, or a function
