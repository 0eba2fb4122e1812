"""Arrays that live in the sandbox and are shared with its program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tmebox.python.values import Malformed, Place, element_of

if TYPE_CHECKING:
    import tmebox

_generation = 0


class Arrays:
    """The arrays of one interpreter, by their offset in its window. They stay as long as it does: the program
    may have views of them anywhere. The generation tells a program that went on from a snapshot that its are
    gone."""

    def __init__(self, sandbox: tmebox.Sandbox) -> None:
        global _generation
        _generation = _generation + 1 & 0xFFFF_FFFF
        self.generation = _generation
        self._sandbox = sandbox
        self._known: dict[int, np.ndarray[Any, Any]] = {}

    def new(self, shape: Any, dtype: DTypeLike) -> NDArray[Any]:
        item = np.dtype(dtype)
        element_of(item)
        array = self._sandbox.array(shape, item)
        flat = array.reshape(-1).view(np.uint8)
        self._known[_address(array) - self._sandbox.base] = flat
        return array

    def place(self, array: np.ndarray[Any, Any]) -> Place | None:
        """Where an array, or a view of one, lives; None if it lives elsewhere."""
        if not self._known:
            return None
        low, high = _bounds(array)
        base = self._sandbox.base
        for offset, whole in self._known.items():
            if base + offset <= low and high <= base + offset + whole.nbytes:
                return offset, self.generation, _address(array) - base
        return None

    def forget(self) -> None:
        """All of them: the sandbox ends."""
        self._known.clear()

    def view(
        self,
        known_by: int,
        generation: int,
        first: int,
        dtype: np.dtype[Any],
        shape: Sequence[int],
        strides: Sequence[int],
    ) -> np.ndarray[Any, Any]:
        """What the program says is a view of one of these arrays. Raises Malformed, ValueError."""
        whole = self._known.get(known_by)
        if whole is None or generation != self.generation:
            raise Malformed("there is no such array")
        if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize > whole.nbytes:
            raise Malformed("an array cannot be larger than the memory that it is in")
        if first < known_by:
            raise Malformed("an array cannot begin before the memory that it is in")
        # NumPy itself refuses what would reach beyond the buffer.
        view: np.ndarray[Any, Any] = np.ndarray(
            tuple(shape), dtype, whole.data, first - known_by, tuple(strides)
        )
        return view


def _bounds(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    """First address, and the one behind the last, that an array has."""
    low = high = _address(array)
    if not array.size:
        return low, high
    for length, stride in zip(array.shape, array.strides, strict=True):
        low, high = low + min(stride, 0) * (length - 1), high + max(stride, 0) * (length - 1)
    return low, high + array.itemsize


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
