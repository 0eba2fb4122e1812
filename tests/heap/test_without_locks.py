"""The locks are what keeps a former owner from being late: a core without them fails the test that the real
one passes. Both have a long moment between the check of an owner and the grant of its page."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAUSE_NS = 3_000_000

LATE = """
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("tmebox._native", sys.argv[1])
sys.modules["tmebox._native"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
import tmebox
from tests.heap.conftest import RUNNER_C
from tests.heap.test_races import started
heap, late = tmebox.SharedHeap("1MiB"), 0
with tmebox.Sandbox(tmebox.compile(source_text=RUNNER_C), heap=heap, timeout=20) as sandbox:
    for _ in range(20):
        array = heap.array(4096, owner=sandbox)
        words = array.view("u8")
        thread, raised = started(sandbox.write_on, words, 64)
        time.sleep(0.001)
        heap.revoke(array)
        seen = words.copy()
        time.sleep(0.01)
        late += bool((words != seen).any())
        if late:
            break
        thread.join()
        sandbox.reset()
    print("late", late, flush=True)
    os._exit(0)
"""


def late_writes(folder: Path, flags: str) -> str:
    places = [f"-t{folder / 'temporary'}", f"-b{folder / 'library'}"]
    command: list[str | Path] = [sys.executable, ROOT / "setup.py", "-q", "build_ext", "-f", *places]
    environment = {**os.environ, "CFLAGS": f"-O2 -DTMEBOX_HEAP_PAUSE_NS={PAUSE_NS} {flags}"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    core = folder / "library" / "tmebox" / f"_native{sysconfig.get_config_var('EXT_SUFFIX')}"
    run: list[str | Path] = [sys.executable, "-c", LATE, core]
    return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120).stdout


def test_a_core_without_locks_lets_former_owners_write(tmp_path: Path) -> None:
    if tmebox_backend() != "mmu":
        pytest.skip("the system shows no pages of shared heaps: userfaultfd with MINOR_SHMEM is missing")
    assert late_writes(tmp_path / "locked", "") == "late 0\n"
    assert late_writes(tmp_path / "unlocked", "-DTMEBOX_HEAP_WITHOUT_LOCKS") == "late 1\n"


def tmebox_backend() -> str:
    import tmebox

    with tmebox.SharedHeap("1MiB") as heap:
        return heap.backend
