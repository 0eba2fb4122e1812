"""Both machines, for tests that hold for either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled

Build = Callable[..., Modelled]


@pytest.fixture(params=["fast", "reference"])
def kind(request: pytest.FixtureRequest) -> type[Modelled]:
    if request.param == "fast":
        return tme.Machine
    pytest.importorskip("cryptography", reason="the reference needs the package cryptography")
    from tmebox.tme.reference import ReferenceMachine

    return ReferenceMachine


@pytest.fixture
def build(kind: type[Modelled]) -> Build:
    """A small machine of either kind, activated."""

    def make(**options: Any) -> Modelled:
        machine = kind(
            **{"memory": "256KiB", "key_id_bits": 4, "cache": "4KiB", "ways": 4, "seed": 7, **options}
        )
        machine.activate()
        return machine

    return make


@pytest.fixture
def machine(build: Build) -> Modelled:
    """With KeyIDs 1 to 4 programmed."""
    made = build()
    for key_id in range(1, 5):
        made.pconfig(key_id, "random")
    return made
