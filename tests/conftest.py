"""Fixtures that several test folders share."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.forked import ChildOutcome, run_forked
from tests.slowness import (  # noqa: F401
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_pythons() -> Iterator[None]:
    """Shells start commands in the background with Ctrl-C ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@pytest.fixture(autouse=True)
def the_collector_stays_on() -> Iterator[None]:
    """Who turns it off changes what the tests after it find."""
    yield
    if not gc.isenabled():
        gc.enable()
        pytest.fail("the garbage collector is off")


@pytest.fixture
def forked() -> Callable[..., ChildOutcome]:
    """`forked(function).result()`: call in a child process that may crash or hang."""
    return run_forked
