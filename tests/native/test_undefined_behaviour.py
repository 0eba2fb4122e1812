"""The native core does nothing that C leaves undefined, as far as the core's own tests go through it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WATCHED = [
    "tests/native/test_calls.py",
    "tests/native/test_hostcalls.py",
    "tests/native/test_traps.py",
    "tests/native/test_memory.py",
    "tests/memory/test_extents.py",
    "tests/memory/test_windows.py",
    "tests/heap/test_blocks.py",
    "tests/heap/test_encrypted.py",
    "tests/heap/test_guest.py",
    "tests/heap/test_moving.py",
]
SANITIZE = "-fsanitize=undefined"

RUN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("tmebox._native", sys.argv[1])
sys.modules["tmebox._native"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import pytest
status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *sys.argv[2:]])
from tmebox import _native
assert _native is module, "the tests had another core"
sys.exit(status)
"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A core that reports to a file what it does of that kind."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("core")
    places = [f"-t{folder / 'temporary'}", f"-b{folder / 'library'}"]
    environment = {**os.environ, "CC": "gcc", "CFLAGS": f"-O1 -g {SANITIZE}", "LDFLAGS": SANITIZE}
    command: list[str | Path] = [sys.executable, ROOT / "setup.py", "-q", "build_ext", "-f", *places]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if "cannot find -lubsan" in done.stderr:
        pytest.skip("gcc's library for undefined behaviour is not installed")
    assert done.returncode == 0, done.stderr
    return folder / "library" / "tmebox" / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"


def test_the_core_does_nothing_undefined(core: Path, tmp_path: Path) -> None:
    reports = tmp_path / "report"
    environment = {**os.environ, "UBSAN_OPTIONS": f"log_path={reports}"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, core, *WATCHED],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {line for path in tmp_path.glob("report*") for line in path.read_text().splitlines() if line}
    assert not found, "\n".join(sorted(found))
    assert done.returncode == 0, done.stdout + done.stderr
