"""The documents' blocks are run as a reader would run them, in order, in one empty directory.

```c NAME       is written to file NAME, and so is ```cpp NAME
```python       runs in one namespace per document; a ```text block right behind it is what it prints
```console      lines after `$ ` run in a shell, with their expected output below
Other blocks (```sh: setting up) are for reading. `...` in expected output stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("tutorial", "tme", "cpp", "shared-heap")),
]
_FENCE = re.compile(r"^```(\w+)[ ]?([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    body: str
    line: int
    end: int
    start: int


def blocks_of(text: str) -> list[Block]:
    return [
        Block(
            match[1], match[2], match[3], text.count("\n", 0, match.start()) + 2, match.end(), match.start()
        )
        for match in _FENCE.finditer(text)
    ]


def check(expected: str, printed: str, place: str) -> None:
    checker = doctest.OutputChecker()
    assert checker.check_output(expected, printed, doctest.ELLIPSIS), (
        f"{place} printed:\n{printed}\nexpected:\n{expected}"
    )


def run_python(source: str, namespace: dict[str, Any], place: str, line: int) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (line - 1) + source, place, "exec"), namespace)
    return printed.getvalue()


def commands_of(session: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


def run_console(session: str, environment: dict[str, str], place: str) -> None:
    for command, expected in commands_of(session):
        done = subprocess.run(
            command,
            check=False,
            shell=True,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
        )
        assert done.returncode == 0, f"{place}: $ {command} exited with {done.returncode}:\n{done.stdout}"
        check(expected, done.stdout, f"{place}: $ {command}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where `tmebox` is a command, whether it is installed or not."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tmebox").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tmebox "$@"\n')
    (folder / "tmebox").chmod(0o755)
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python").chmod(0o755)
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": paths}


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_blocks_of_a_document_do_what_it_says(
    document: Path, tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(ROOT / "examples", work / "examples")
    monkeypatch.chdir(work)
    text = document.read_text()
    blocks = blocks_of(text)
    assert any(block.language == "python" for block in blocks)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for index, block in enumerate(blocks):
        place = f"{document.name}:{block.line}"
        if block.language in ("c", "cpp") and block.title:
            (work / block.title).write_text(block.body)
        elif block.language == "python":
            printed = run_python(block.body, namespace, document.name, block.line)
            follower = blocks[index + 1] if index + 1 < len(blocks) else None
            if follower and follower.language == "text" and not text[block.end : follower.start].strip():
                check(follower.body, printed, place)
        elif block.language == "console":
            run_console(block.body, environment, place)


@pytest.mark.parametrize(
    "document",
    [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))],
    ids=lambda path: path.name,
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_python_examples_run(script: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, check=False, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_security_document_explains_every_rule_of_the_verifier_and_no_other() -> None:
    from tmebox.verify import rules

    text = (ROOT / "docs" / "security.md").read_text()
    explained = re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)
    assert sorted(explained) == sorted(rules.ALL)


def test_the_readme_names_every_command() -> None:
    from tmebox.cli.commands import OWN

    text = (ROOT / "README.md").read_text()
    for name in OWN:
        assert f"`tmebox {name}" in text


def test_every_path_that_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:src|tests|native|docs|tools)/[\w/.-]*)`", text))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    decisions = sorted(path.name for path in (ROOT / "docs" / "adr").glob("0*.md"))
    assert [name for name in decisions if f"]({name})" not in index] == []


@pytest.mark.parametrize("name", ["design.md", "security.md", "roadmap.md"])
def test_sentences_are_short(name: str) -> None:
    """18 words on average, in reference text."""
    text = re.sub(r"```.*?```", "", (ROOT / "docs" / name).read_text(), flags=re.DOTALL)
    text = re.sub(r"^\|.*\|$", "", text, flags=re.MULTILINE)
    lengths = [len(sentence.split()) for sentence in re.split(r"(?<=[.!?:])\s+", text)]
    lengths = [length for length in lengths if length > 2]
    assert sum(lengths) / len(lengths) <= 18
