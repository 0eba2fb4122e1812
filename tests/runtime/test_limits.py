"""What a machine or its limits do not allow is one clear exception, and passes when there is room again."""

import resource
import subprocess
import sys

import numpy as np
import pytest

import tmebox
from tmebox import _native, abi

VECTOR_C = """
void add(int *a, const int *b, int n) { for (int i = 0; i < n; i++) a[i] += b[i]; }
"""


def test_a_module_says_which_cpu_features_it_needs(monkeypatch):
    module = tmebox.compile(source_text=VECTOR_C, flags=["-mavx2"], optimize="-O3")
    assert "avx2" in module.features
    data = module.to_bytes()
    here = _native.cpu_features()
    monkeypatch.setattr(_native, "cpu_features", lambda: here | {"avx2": False})
    with pytest.raises(tmebox.ModuleError, match=r"CPU features this machine lacks: avx2"):
        tmebox.Module.from_bytes(data)


def test_a_module_with_avx2_runs_where_there_is_avx2():
    if not _native.cpu_features()["avx2"]:
        pytest.skip("this CPU has no AVX2")
    module = tmebox.compile(source_text=VECTOR_C, flags=["-march=x86-64-v3"], optimize="-O3")
    with tmebox.Sandbox(module) as sandbox:
        a, b = np.arange(100, dtype=np.int32), np.ones(100, np.int32)
        sandbox.add(a, b, 100)
    assert a.tolist() == list(range(1, 101))


def test_exhausted_address_space_is_a_limit_error_and_passes(calls_module, forked):
    def child():
        room = 200 * abi.GIB
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        sandboxes = []
        with pytest.raises(tmebox.LimitError, match="close sandboxes"):
            while True:
                sandboxes.append(tmebox.Sandbox(calls_module))
        count = len(sandboxes)
        sandboxes.clear()
        with tmebox.Sandbox(calls_module) as sandbox:
            return count > 0 and sandbox.add(3, 4)

    assert forked(child).result() == 7


def test_a_process_without_room_for_the_code_region_is_told(calls_module, tmp_path):
    path = tmp_path / "calls.tbx"
    calls_module.save(path)
    script = (
        "import sys, tmebox\ntry: tmebox.Module.load(sys.argv[1])\nexcept tmebox.LimitError as e: print(e)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 * abi.GIB, 4 * abi.GIB)),
        check=True,
        capture_output=True,
        text=True,
    )
    assert "ulimit -v" in done.stdout
