"""Fixtures that several test folders share. (Its presence also puts this folder on the import path.)"""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.forked import ChildOutcome, run_forked

# Shells start commands in the background with Ctrl-C ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def forked() -> Callable[..., ChildOutcome]:
    """`forked(function).result()`: call in a child process that may crash or hang."""
    return run_forked
