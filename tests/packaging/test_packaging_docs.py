"""The documentation site has every document, and its navigation names pages that are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tmebox

ROOT = Path(__file__).parents[2]
DOCUMENTS = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
HOOK = (ROOT / "tools" / "docs_site.py").read_text()


def pages_of_the_navigation() -> list[str]:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    return re.findall(r"([\w/-]+\.md)$", navigation, re.MULTILINE)


def test_every_document_is_in_the_navigation_and_the_decisions_come_by_themselves() -> None:
    pages = pages_of_the_navigation()
    generated = {page for page in pages if page not in DOCUMENTS}
    assert all(f'"{page}"' in HOOK for page in generated)
    assert {name for name in DOCUMENTS if not name.startswith("adr/")} <= set(pages)
    assert len(pages) == len(set(pages))


@pytest.mark.packaging
def test_the_site_is_built_without_a_warning_and_has_the_whole_interface(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra `docs`")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    api = (tmp_path / "api.html").read_text()
    assert [name for name in tmebox.__all__ if f'.{name}"' not in api] == []
    commands = (tmp_path / "commands.html").read_text()
    assert all(f"tmebox {name}<" in commands for name in ("cc", "run", "verify", "bench cpu"))
    decisions = (
        (tmp_path / "adr" / "README.html")
        if (tmp_path / "adr" / "README.html").exists()
        else (tmp_path / "adr" / "index.html")
    )
    assert decisions.read_text().count('<li><a href="0') >= sum(
        name.startswith("adr/0") for name in DOCUMENTS
    )
