"""Which bases this machine can compile for."""

from __future__ import annotations

import pytest

from tmebox.errors import CompileError
from tmebox.toolchain.compile.gcc import gcc


def needs(base: str) -> None:
    """Skip the test if this machine cannot compile for `base`."""
    if base == "r15":
        try:
            gcc()
        except CompileError as error:
            pytest.skip(str(error))
