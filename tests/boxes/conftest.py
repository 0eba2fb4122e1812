"""The boxed libraries of examples/boxes, built once for a test run."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tmebox_bench.debian import SourcesUnavailableError, fetch

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "examples" / "boxes"
TIMEOUT_S = 600


@pytest.fixture(scope="session")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModuleType]:
    """boxed("zlib", "zlib") runs examples/boxes/zlib.sh, which needs the Debian packages that are named, and
    imports what it made. TMEBOX_BOXES names a directory where packages stay, to be used again."""
    kept = os.environ.get("TMEBOX_BOXES")
    directory = Path(kept) if kept else tmp_path_factory.mktemp("boxes")

    def make(name: str, *packages: str) -> ModuleType:
        package = f"{name}_box"
        if str(directory) not in sys.path:
            sys.path.insert(0, str(directory))
        if package not in sys.modules and not (directory / package / "__init__.py").exists():
            try:
                for needed in packages:
                    fetch(needed)
            except SourcesUnavailableError as error:
                pytest.skip(f"no source package of {name}: {error}")
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            done = subprocess.run(
                ["sh", "-e", str(RECIPES / f"{name}.sh"), str(directory)],
                env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "bench")},
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        return importlib.import_module(package)

    return make


@pytest.fixture(scope="session", autouse=True)
def _needs_a_shell() -> None:
    if not shutil.which("sh"):
        pytest.skip("there is no shell")


def reference(name: str) -> ctypes.CDLL:
    """The machine's own copy of a library, to compare with."""
    found = ctypes.util.find_library(name)
    if found is None:
        pytest.skip(f"lib{name} is not installed")
    return ctypes.CDLL(found)
