"""Code for CPUs that have more, in modules for all of them: what loads where, and what sandboxes are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox import _native, abi
from tmebox.modulefile import codec

COPIES_C = """
#include <string.h>
char from[4096], to[4096];
void copy(int n) { memmove(to, from, n); memset(from, 1, n); }
"""
VECTORS_C = """
typedef float eight __attribute__((vector_size(32)));
eight a, b;
#ifdef OPTIONAL
__attribute__((section(".text.tmebox_optional")))
#endif
__attribute__((target("avx2"))) void add(void) { a += b; }
"""
COUNTS_C = """
__attribute__((section(".text.tmebox_optional"), target("lzcnt")))
int zeros(unsigned n) { return __builtin_clz(n); }
"""
LACKING = {"avx": False, "avx2": False, "abm": False}


@pytest.fixture
def without_avx(monkeypatch: pytest.MonkeyPatch) -> None:
    here = _native.cpu_features()
    monkeypatch.setattr(_native, "cpu_features", lambda: here | LACKING)


def test_the_c_librarys_wide_copies_are_optional(without_avx: None) -> None:
    module = tmebox.compile(source_text=COPIES_C)
    assert (module.features, module.optional_features) == (frozenset(), frozenset({"avx", "avx2"}))


def test_optional_code_of_a_programs_own_loads_anywhere(without_avx: None) -> None:
    module = tmebox.compile(source_text=VECTORS_C, flags=["-DOPTIONAL"])
    assert module.optional_features >= {"avx"}
    with pytest.raises(tmebox.ModuleError, match="this machine lacks: avx"):
        tmebox.compile(source_text=VECTORS_C)


def test_code_that_would_be_other_instructions_does_not(without_avx: None) -> None:
    with pytest.raises(tmebox.ModuleError, match="this machine lacks: abm"):
        tmebox.compile(source_text=COUNTS_C)


def test_a_file_that_calls_all_of_its_code_optional_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmebox.compile(
        source_text="int zeros(unsigned n) { return __builtin_clz(n); }", flags=["-mlzcnt"]
    ).file
    evil = codec.encode(replace(file, optional=(file.text_address, file.text_address + len(file.text))))
    here = _native.cpu_features()
    monkeypatch.setattr(_native, "cpu_features", lambda: here | LACKING)
    with pytest.raises(tmebox.ModuleError, match="this machine lacks: abm"):
        tmebox.Module.from_bytes(evil)


def test_the_claim_survives_a_file() -> None:
    file = tmebox.compile(source_text=COPIES_C).file
    assert 0 < file.optional[0] < file.optional[1]
    assert codec.decode(codec.encode(file)).optional == file.optional
    assert codec.digest(file) != codec.digest(replace(file, optional=(0, 0)))


def told(sandbox: tmebox.Sandbox) -> int:
    return int.from_bytes(sandbox.memory.read(abi.CONTROL_PROCESSOR, 8), "little")


@pytest.mark.parametrize("bits", [0, abi.PROCESSOR_AVX2])
def test_a_snapshot_is_told_of_the_machine_it_starts_on(
    bits: int, forked: Callable[..., ChildOutcome]
) -> None:
    """And not of that where it was taken."""
    module = tmebox.compile(source_text=COPIES_C)

    def taken() -> bytes:
        _native.set_processor(abi.PROCESSOR_AVX2 - bits)
        with tmebox.Sandbox(module) as sandbox:
            sandbox.copy(300)
            assert told(sandbox) == abi.PROCESSOR_AVX2 - bits
            return sandbox.snapshot().to_bytes()

    data = forked(taken).result()

    def restored() -> int:
        _native.set_processor(bits)
        with tmebox.Sandbox(tmebox.Snapshot.from_bytes(data, module)) as sandbox:
            if not bits or _native.cpu_features()["avx2"]:
                sandbox.copy(300)
            return told(sandbox)

    assert forked(restored).result() == bits


def test_sandboxes_are_told_of_what_there_is_unless_the_host_says_otherwise() -> None:
    ask = "import tmebox.runtime.core; from tmebox import _native; print(_native.processor())"
    features = _native.cpu_features()
    for variables, expected in (
        ({}, abi.PROCESSOR_AVX2 if features["avx"] and features["avx2"] else 0),
        ({"TMEBOX_PROCESSOR": "baseline"}, 0),
    ):
        environment = {
            name: value for name, value in os.environ.items() if name != "TMEBOX_PROCESSOR"
        } | variables
        done = subprocess.run(
            [sys.executable, "-c", ask], env=environment, check=True, capture_output=True, text=True
        )
        assert int(done.stdout) == expected


def test_what_is_told_cannot_be_changed_from_inside() -> None:
    module = tmebox.compile(
        source_text=f"void lie(void) {{ *(volatile long *){abi.CONTROL_PROCESSOR} = 1; }}"
    )
    with tmebox.Sandbox(module) as sandbox, pytest.raises(tmebox.MemoryFault):
        sandbox.lie()
