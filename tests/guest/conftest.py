from collections.abc import Callable, Iterator

import pytest

from tmebox import _native


@pytest.fixture
def short_slices() -> Iterator[Callable[[int], int]]:
    """Turns of threads end after 30 us; what it gives changes that."""
    before = _native.set_slice(30_000)
    yield _native.set_slice
    _native.set_slice(before)
