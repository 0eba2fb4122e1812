"""The page about untrusted Python does what it says, and the examples run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import test_docs
from tests.test_docs import ROOT, environment

__all__ = ["environment"]

NEEDS = {"duckdb_function.py": "duckdb"}


def test_the_page_does_what_it_says(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / "python.md"
    test_docs.test_the_blocks_of_a_document_do_what_it_says(page, tmp_path, environment, monkeypatch)


@pytest.mark.parametrize(
    "script", sorted((ROOT / "examples" / "python").glob("*.py")), ids=lambda path: path.name
)
def test_examples_run(script: Path, environment: dict[str, str]) -> None:
    needed = NEEDS.get(script.name)
    if needed is not None:
        pytest.importorskip(needed, reason=f"the package {needed} is not installed")
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = {
        "agent.py": "answer: south | reported: the best region is south",
        "duckdb_function.py": "order 5: 250.00 → 225.00",
        "plugins.py": "broken.py: stopped: timeout",
    }
    assert expected[script.name] in done.stdout
