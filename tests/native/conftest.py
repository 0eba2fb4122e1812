from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.native.machine import Machine
from tmebox import _native


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def vector_policy() -> Iterator[Callable[[bool, bool], None]]:
    """Sets the policy (avx, avx512); afterwards it is the runtime's again."""
    yield _native.set_vector_policy
    features = _native.cpu_features()
    _native.set_vector_policy(features["avx"], False)
