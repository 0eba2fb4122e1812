"""What a machine or its limits do not allow is one clear exception, and passes when there is room again."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import _native, abi

VECTOR_C = """
void add(int *a, const int *b, int n) { for (int i = 0; i < n; i++) a[i] += b[i]; }
"""


def test_a_module_says_which_cpu_features_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmebox.compile(source_text=VECTOR_C, flags=["-mavx2"], optimize="-O3")
    assert "avx2" in module.features
    data = module.to_bytes()
    here = _native.cpu_features()
    monkeypatch.setattr(_native, "cpu_features", lambda: here | {"avx2": False})
    with pytest.raises(tmebox.ModuleError, match=r"CPU features this machine lacks: avx2"):
        tmebox.Module.from_bytes(data)


def test_a_module_with_avx2_runs_where_there_is_avx2() -> None:
    if not _native.cpu_features()["avx2"]:
        pytest.skip("this CPU has no AVX2")
    module = tmebox.compile(source_text=VECTOR_C, flags=["-march=x86-64-v3"], optimize="-O3")
    with tmebox.Sandbox(module) as sandbox:
        a, b = np.arange(100, dtype=np.int32), np.ones(100, np.int32)
        sandbox.add(a, b, 100)
    assert a.tolist() == list(range(1, 101))


EXHAUST = """
import sys, tmebox
module = tmebox.Module.load(sys.argv[1])
sandboxes = []
try:
    while True:
        sandboxes.append(tmebox.Sandbox(module))
except tmebox.LimitError as error:
    print(len(sandboxes) > 0, "close sandboxes" in str(error))
sandboxes.clear()
with tmebox.Sandbox(module) as sandbox:
    print(sandbox.add(3, 4))
"""
REFUSED = """
import sys, tmebox
try:
    tmebox.Module.load(sys.argv[1])
except tmebox.LimitError as error:
    print("ulimit -v" in str(error))
"""


@pytest.mark.parametrize(
    ("script", "room_gib", "said"), [(EXHAUST, 200, "True True\n7\n"), (REFUSED, 4, "True\n")]
)
def test_too_little_address_space_is_a_limit_error_and_passes(
    calls_module: tmebox.Module, tmp_path: Path, script: Any, room_gib: Any, said: Any
) -> None:
    path = tmp_path / "calls.tbx"
    calls_module.save(path)
    room = room_gib * abi.GIB
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (room, room)),
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == said
