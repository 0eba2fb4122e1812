"""Arrays that live in the sandbox and are shared with its program."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tmebox.python.values import Malformed, Place, element_of, room

if TYPE_CHECKING:
    import tmebox


class Arrays:
    """The arrays of one interpreter, by their offset in its window. They stay as long as it does: the program
    may have views of them anywhere. The generation tells a program that went on from a snapshot that its are
    gone: in another process, too, none is like it."""

    def __init__(self, sandbox: tmebox.Sandbox) -> None:
        self.generation = secrets.randbits(64)
        self._sandbox = sandbox
        self._known: dict[int, np.ndarray[Any, Any]] = {}

    def new(self, shape: Any, dtype: DTypeLike) -> NDArray[Any]:
        item = np.dtype(dtype)
        element_of(item)
        array = self._sandbox.array(shape, item)
        self._known[_address(array) - self._sandbox.base] = array.view()  # whose shape nobody else changes
        return array

    def place(self, array: np.ndarray[Any, Any]) -> Place | None:
        """Where an array, or a view of one, lives; None if it lives elsewhere."""
        if not self._known:
            return None
        first = _address(array) - self._sandbox.base
        low, high = _bounds(first, array.shape, array.strides, array.itemsize)
        for offset, whole in self._known.items():
            if offset <= low and high <= offset + whole.nbytes:
                return offset, self.generation, first
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
        """What the program says is a view of one of these arrays. Raises Malformed."""
        whole = self._known.get(known_by)
        if whole is None or generation != self.generation:
            raise Malformed("there is no such array")
        if any(length < 0 for length in shape) or room(shape, dtype) > room(whole.shape, whole.dtype):
            raise Malformed("an array cannot be larger than the memory that it is in")
        low, high = _bounds(first, shape, strides, dtype.itemsize)
        if low < known_by or high > known_by + whole.nbytes:
            raise Malformed("an array cannot reach beyond the memory that it is in")
        if 0 in shape:
            return np.empty(tuple(shape), dtype)
        # A stride that leads nowhere may be any number: NumPy gets none that it could compute with.
        used = tuple(
            stride if length > 1 else dtype.itemsize for length, stride in zip(shape, strides, strict=True)
        )
        view: np.ndarray[Any, Any] = np.ndarray(tuple(shape), dtype, whole.data, first - known_by, used)
        return view


def _bounds(first: int, shape: Sequence[int], strides: Sequence[int], itemsize: int) -> tuple[int, int]:
    """The first byte of an array, and the one behind the last. Exact, whatever the numbers are: NumPy's own
    sums of strides wrap, so that it takes an array which leads anywhere."""
    low = high = first
    if 0 in shape:
        return low, high
    for length, stride in zip(shape, strides, strict=True):
        low, high = low + min(stride, 0) * (length - 1), high + max(stride, 0) * (length - 1)
    return low, high + itemsize


def _address(array: np.ndarray[Any, Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
