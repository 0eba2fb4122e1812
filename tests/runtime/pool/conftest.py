"""The module that tests of pools run, and a small pool of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tmebox
from tests.runtime.pool.source import POOL_C


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=POOL_C)


@pytest.fixture
def pool(module: tmebox.Module) -> Iterator[tmebox.SandboxPool]:
    with tmebox.SandboxPool(module, size=2, threads=2, timeout=5.0) as pool:
        yield pool
