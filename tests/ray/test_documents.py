"""The page about Ray does what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import test_docs
from tests.python.building import why_not
from tests.test_docs import ROOT, environment

__all__ = ["environment"]


def test_the_page_does_what_it_says(
    cluster: Any, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    page = ROOT / "docs" / "ray.md"
    test_docs.test_the_blocks_of_a_document_do_what_it_says(page, tmp_path, environment, monkeypatch)
