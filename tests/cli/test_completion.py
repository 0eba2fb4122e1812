"""Shells complete commands and options, once that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command_line import Run, environment

SHELL = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
CASES = [
    ("tmebox ", {"cc", "ar", "run", "verify", "inspect", "stub", "doctor", "bench", "demo"}),
    ("tmebox ins", {"inspect"}),
    ("tmebox run --me", {"--memory"}),
    ("tmebox bench c", {"cpu", "calls"}),
]


@pytest.mark.parametrize(("typed", "expected"), CASES, ids=[typed for typed, _ in CASES])
def test_what_is_typed_is_completed(typed: str, expected: set[str], tmebox: Run) -> None:
    words = typed.split(" ")
    variables = {
        "_TMEBOX_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = tmebox(env=variables)
    assert expected <= set(done.out.split()), done.err


@pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
def test_bash_completes_once_it_is_installed(tmebox: Run, tmp_path: Path) -> None:
    installed = tmebox("--install-completion", "bash", env={"HOME": str(tmp_path), **SHELL})
    assert installed.code == 0, installed.err
    (tmp_path / "tmebox").write_text(f'#!/bin/sh\nexec {sys.executable} -m tmebox "$@"\n')
    (tmp_path / "tmebox").chmod(0o755)
    script = """
        source ~/.bashrc
        COMP_WORDS=(tmebox ver); COMP_CWORD=1; COMP_LINE="tmebox ver"; COMP_POINT=10
        complete -p tmebox | sed 's/.*-F \\([^ ]*\\) .*/\\1/' > function
        "$(cat function)" tmebox ver tmebox
        echo "${COMPREPLY[@]}"
    """
    variables = environment({"HOME": str(tmp_path), "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["verify"], done.stderr
