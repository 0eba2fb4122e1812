"""Tests of `tmebox.python` need the guest, which is built from Debian's source package."""

from __future__ import annotations

import pytest

from tests.python.building import why_not


@pytest.fixture(autouse=True, scope="session")
def guest_is_there() -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
