"""One program for every base and isolation, compiled once per session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import tmebox
from tests.bases.modules import PROGRAM, compile_for, needs
from tmebox import abi
from tmebox.abi import Base, Isolation


@pytest.fixture(scope="session")
def module_of() -> Callable[[str, str], tmebox.Module]:
    """The module for a base and an isolation; skips where the base's compiler is missing."""
    made: dict[tuple[str, str], tmebox.Module] = {}

    def get(base: Base, isolation: Isolation = "code+data") -> tmebox.Module:
        needs(base)
        if (base, isolation) not in made:
            made[base, isolation] = compile_for(PROGRAM, base, isolation)
        return made[base, isolation]

    return get  # type: ignore[return-value]


@pytest.fixture(params=abi.ISOLATIONS)
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["gs", "r15"])
def base(request: pytest.FixtureRequest) -> str:
    needs(request.param)
    return str(request.param)


@pytest.fixture
def sandbox(
    base: str, isolation: str, module_of: Callable[[str, str], tmebox.Module]
) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(module_of(base, isolation), imports={"host": lambda x: 2 * x}, timeout=20.0) as made:
        yield made
