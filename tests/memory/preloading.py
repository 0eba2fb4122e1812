"""Libraries that a child process loads before all others, to stand in for the system's functions."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def environment_with(source: str, substrate: str, folder: Path) -> dict[str, str]:
    """For a process that has the C file of this directory as a library, whose path is LD_PRELOAD. Skips the
    test where there is no compiler."""
    compiler = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if compiler is None:
        pytest.skip("no C compiler")
    library = folder / f"{source}.so"
    options = ["-O1", "-shared", "-fPIC", "-pthread"]
    subprocess.run([compiler, *options, "-o", library, Path(__file__).with_name(source)], check=True)
    return {**os.environ, "TMEBOX_SUBSTRATE": substrate, "LD_PRELOAD": str(library)}
