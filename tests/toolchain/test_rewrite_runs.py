"""Instrumented programs compute what they compute natively, and address nothing but their window."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain.rewriting import (
    PROGRAMS,
    compile_to_assembly,
    compile_with_twin,
    run_in_window,
    run_natively,
)

OPTIONS = ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -fno-omit-frame-pointer")


@pytest.mark.parametrize(
    "options", [pytest.param(text, marks=[] if text == "-O2" else pytest.mark.slow) for text in OPTIONS]
)
@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.c")))
def test_an_instrumented_program_gives_the_native_result(program: str, options: str, tmp_path: Path) -> None:
    source, flags = PROGRAMS / f"{program}.c", options.split()
    # The native run has no thread-local storage: nothing sets it up there.
    native = run_natively(compile_to_assembly(source, "-D_Thread_local=", *flags), tmp_path)
    assert len(native) == 16
    assert run_in_window(compile_with_twin(source, *flags), tmp_path) == native
