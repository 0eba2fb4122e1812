"""Random C programs do the same in a sandbox as natively, whatever the optimizer made of them."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import tmebox
from tests.properties.c_programs import Program, programs
from tests.properties.compilers import needs
from tmebox import Sandbox, abi
from tmebox.abi import Base

pytestmark = pytest.mark.slow

U64 = st.one_of(st.integers(0, 200), st.integers(0, (1 << 64) - 1))
REAL = st.floats(-1e50, 1e50, allow_nan=False)
CALLS = st.lists(st.tuples(U64, U64, REAL), min_size=1, max_size=4)
OPTIONS = st.sampled_from(
    [
        ("-O0",),
        ("-O1",),
        ("-O2",),
        ("-O3",),
        ("-Os",),
        ("-O2", "-march=x86-64-v2"),
        ("-O3", "-march=x86-64-v3"),
    ]
)
SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def native_results(program: Program, calls: Sequence[tuple[int, int, float]], base: Base) -> list[int]:
    """Build a shared object, with the same compiler, and call it: another one may evaluate two operands that
    change the same variable in the other order."""
    compiler = ["gcc"] if base == "r15" else [sys.executable, "-m", "ziglang", "cc"]
    with tempfile.TemporaryDirectory() as directory:
        source, library = Path(directory, "p.c"), Path(directory, "p.so")
        source.write_text(program.source)
        command = [*compiler, "-O1", "-w", "-fno-sanitize=all", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run([*command, str(source), "-o", str(library)], check=True, capture_output=True)
        loaded = ctypes.CDLL(str(library))
        results = []
        for arguments in calls:
            for number in range(program.functions):
                function = getattr(loaded, f"f{number}")
                function.restype = ctypes.c_uint64
                function.argtypes = [ctypes.c_uint64, ctypes.c_uint64, ctypes.c_double]
                results.append(function(*arguments))
        loaded.digest.restype = ctypes.c_uint64
        return [*results, loaded.digest()]


def sandboxed_results(
    program: Program, calls: Sequence[tuple[int, int, float]], options: Sequence[str], base: Base
) -> list[int]:
    module = tmebox.compile(
        source_text=program.source,
        optimize=options[0],  # type: ignore[arg-type]
        flags=(*options[1:], "-w", "-ffp-contract=off"),
        base=base,
    )
    with Sandbox(module, timeout=20.0) as sandbox:
        results = [
            sandbox.call(f"f{number}", *arguments)
            for arguments in calls
            for number in range(program.functions)
        ]
        return [*results, sandbox.digest()]


def this_machine_runs(options: Sequence[str]) -> bool:
    flags = Path("/proc/cpuinfo").read_text()
    return "-march=x86-64-v3" not in options or "avx2" in flags


@pytest.mark.parametrize("base", abi.BASES)
@SETTINGS
@given(programs(), CALLS, OPTIONS)
def test_a_random_program_computes_the_same_natively_and_sandboxed(
    base: Base, program: Program, calls: list[tuple[int, int, float]], options: tuple[str, ...]
) -> None:
    """Loading verifies, so this also holds that the verifier accepts whatever the rewriter makes."""
    needs(base)
    if not this_machine_runs(options):
        return
    note(program.source)
    assert sandboxed_results(program, calls, options, base) == native_results(program, calls, base)
