"""Names of the types that tmebox takes and returns, for annotations: options, and arguments of calls.

`tmebox stub` writes in these terms what a module exports.
"""

from __future__ import annotations

import array
import ctypes
import mmap
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from tmebox._native import Block
from tmebox.abi import Isolation
from tmebox.runtime.calls.buffers import In, InOut, Out
from tmebox.runtime.calls.handles import Handle
from tmebox.runtime.option_types import (
    DirectoryLike,
    Imports,
    Input,
    Optimization,
    Output,
    SandboxOptions,
    Size,
    SpawnOptions,
)
from tmebox.runtime.typed.pointers import Pointer as Pointed
from tmebox.runtime.untrusted import Member, Untrusted

if TYPE_CHECKING:
    from typing_extensions import Buffer as _Buffer

    Buffer = _Buffer | NDArray[Any]  # which says so itself only from Python 3.12 on
    _Array = array.array[Any]
else:
    Buffer = Any
    _Array = array.array


Int = SupportsIndex | Untrusted
"""Python's and NumPy's integers, and what sandboxed code returned."""
Real = SupportsFloat | SupportsIndex | Untrusted
"""Python's and NumPy's numbers that are not complex."""
Truth = bool | np.bool_ | Literal[0, 1] | Untrusted
Complex = complex | np.number[Any]
LongDouble = np.longdouble
LongComplex = np.clongdouble

Offset = int | np.integer[Any] | Untrusted | None
"""A place in the sandbox's window; None is the null pointer."""
Typed = Pointed | Handle | Block
"""What stands for a pointer besides buffers and offsets."""
ConstPointer = Buffer | In | Out | InOut | Offset | Typed | list[Any]
"""For a pointer to const: what can be read."""
ConstText = ConstPointer | str
"""The same for a pointer to characters or void, which takes texts."""
Pointer = (
    bytearray
    | memoryview
    | mmap.mmap
    | _Array
    | ctypes.Array[Any]
    | NDArray[Any]
    | In
    | Out
    | InOut
    | Offset
    | Typed
)
"""For a pointer that the function may write through: no bytes, which never change."""
Text = Pointer | str
Variadic = Real | Buffer | In | Out | InOut | str | None
"""Behind a `...`."""

__all__ = [
    "Buffer",
    "Complex",
    "ConstPointer",
    "ConstText",
    "DirectoryLike",
    "Imports",
    "Input",
    "Int",
    "Isolation",
    "LongComplex",
    "LongDouble",
    "Member",
    "Offset",
    "Optimization",
    "Output",
    "Pointer",
    "Real",
    "SandboxOptions",
    "Size",
    "SpawnOptions",
    "Text",
    "Truth",
    "Typed",
    "Untrusted",
    "Variadic",
]
