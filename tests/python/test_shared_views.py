"""Views of the host's arrays, as a sandbox that lies describes them: within the array, or refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tmebox
from tmebox.python.arrays import Arrays
from tmebox.python.values import Malformed

SIZE = 96
TOP = (1 << 63) - 1


@pytest.fixture(autouse=True, scope="session")
def guest_is_there() -> None:
    """Not needed: the sandbox of any module has arrays."""


@pytest.fixture(scope="module")
def arrays() -> Iterator[Arrays]:
    with tmebox.Sandbox(tmebox.compile(source_text="int f(void) { return 1; }")) as sandbox:
        arrays = Arrays(sandbox)
        arrays.new((4, SIZE // 4), np.uint8)[:] = np.arange(SIZE).reshape(4, -1)
        yield arrays


def view(
    arrays: Arrays, first: int, shape: tuple[int, ...], strides: tuple[int, ...], code: str = "B"
) -> np.ndarray:
    [offset] = arrays._known
    return arrays.view(offset, arrays.generation, offset + first, np.dtype(code), shape, strides)


@pytest.mark.parametrize(
    ("first", "shape", "strides"),
    [
        (-1, (1,), (1,)),
        (SIZE, (1,), (1,)),
        (SIZE + 1, (0,), (1,)),
        (-1, (0,), (1,)),
        (0, (SIZE + 1,), (1,)),
        (0, (2,), (SIZE,)),
        (0, (2,), (-1,)),
        (SIZE - 1, (SIZE + 1,), (-1,)),
        (0, (-1,), (1,)),
        (0, (-1, -1), (1, 1)),
        (0, (1 << 40,), (0,)),
        (0, (1 << 32, 1 << 32), (0, 0)),
        (0, (4, 4), (1 << 62, 1)),
        (0, (4, 4), (SIZE // 3, 2)),
        (0, (2,), (1 << 62,)),
        (0, (2,), (TOP,)),
        (0, (2,), (-TOP - 1,)),
        # NumPy's own sums of these wrap to less than the array's size:
        (0, (2, 2), (1 << 40, TOP)),
        (0, (2, 2), (-(1 << 40), -TOP - 1)),
        (0, (2, 2), (1 << 40, -(1 << 40))),
        (0, (2, 2, 2), (TOP, TOP, 2)),
        (0, (3,), (TOP,)),
        (0, (5,), (1 << 62,)),
        (0, (9,), (1 << 61,)),
        (0, (2, 2, 2, 2), (1 << 62, 1 << 62, 1 << 62, 1 << 62)),
        # Empty, and yet what NumPy makes of it is not:
        (0, (0, 1 << 30), (1, 1)),
        (0, (1 << 30, 0, 1 << 30), (0, 0, 0)),
    ],
)
def test_views_beyond_an_array_are_refused(
    arrays: Arrays, first: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    with pytest.raises(Malformed):
        view(arrays, first, shape, strides)


def test_views_of_other_arrays_are_refused(arrays: Arrays) -> None:
    [offset] = arrays._known
    for known_by, generation in ((offset + 64, arrays.generation), (offset, arrays.generation + 1), (0, 0)):
        with pytest.raises(Malformed):
            arrays.view(known_by, generation, offset, np.dtype("B"), (1,), (1,))


lengths = st.one_of(st.integers(0, 5), st.sampled_from([SIZE, 1 << 32, 1 << 62, TOP]))
strides = st.one_of(
    st.integers(-SIZE, SIZE),
    st.integers(-TOP - 1, TOP),
    st.sampled_from([s * (1 << n) for n in (31, 32, 60, 61, 62) for s in (1, -1)] + [TOP, -TOP - 1]),
)


@settings(max_examples=500, deadline=None)
@given(
    first=st.one_of(st.integers(-1, SIZE + 1), st.integers(-(1 << 32), 1 << 32)),
    axes=st.lists(st.tuples(lengths, strides), max_size=4),
    code=st.sampled_from("?bBhHiIqQfd"),
)
def test_every_element_of_a_view_lies_in_the_array(
    arrays: Arrays, first: int, axes: list[tuple[int, int]], code: str
) -> None:
    shape, given_strides = tuple(n for n, _ in axes), tuple(s for _, s in axes)
    try:
        made = view(arrays, first, shape, given_strides, code)
    except Malformed:
        return
    [whole] = arrays._known.values()
    assert made.shape == shape and made.dtype == np.dtype(code)
    if not made.size:
        return
    start = made.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    assert start == first
    for corner in itertools.product(*({0, n - 1} for n in shape)):
        for steps in (given_strides, made.strides):
            place = start + sum(i * step for i, step in zip(corner, steps, strict=True))
            assert place >= 0 and place + made.itemsize <= whole.nbytes
    made.tobytes()  # reads all of it


def test_views_of_an_array_are_what_numpy_makes_of_it(arrays: Arrays) -> None:
    [whole] = arrays._known.values()
    for part in (
        *(whole, whole[1:3], whole[::-1, ::2], whole.T, whole[2], whole[3, 3:4], whole[1:1], whole[None]),
        *(whole.view(np.int32), whole.view(np.int32)[:, ::-2], whole.reshape(-1).view("d"), whole[3, 3, ...]),
        np.broadcast_to(whole[0, 5:6], (3, 1)),
    ):
        place = arrays.place(part)
        assert place is not None
        back = arrays.view(*place, part.dtype, part.shape, part.strides)
        assert np.array_equal(back, part)
        assert not part.size or np.shares_memory(back, whole)


def test_an_array_without_elements_comes_back() -> None:
    with tmebox.Sandbox(tmebox.compile(source_text="int f(void) { return 1; }")) as sandbox:
        arrays = Arrays(sandbox)
        empty = arrays.new((0, 5), np.float64)
        place = arrays.place(empty)
        assert place is not None
        assert arrays.view(*place, empty.dtype, empty.shape, empty.strides).shape == (0, 5)
