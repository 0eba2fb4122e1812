"""Run a package's configure script, and read what it has found out.

A thousand checks take long. Where TMEBOX_PACKAGES_KEPT names a directory, what is finished is kept there, and
so is what a script had found when it was interrupted: the next run goes on after that. It is for one state of
the toolchain.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KEPT_VARIABLE = "TMEBOX_PACKAGES_KEPT"
_CHECKED = re.compile(r"^## Cache variables\. ##\n(.*?)^## Output variables\. ##$", re.MULTILINE | re.DOTALL)
_ANSWER = re.compile(r"\w+_cv_\w+=(?:'[^']*'|[^\s']*)")
"""On one line, so that a shell reads what it means: the log does not quote line ends."""


@dataclass(frozen=True)
class Configuring:
    """command, header: how the package is configured, and where that writes what it has found. variables: of
    the environment. is_autoconf: it can start from what is known."""

    command: Sequence[str]
    header: str
    variables: Mapping[str, str] = field(default_factory=dict)
    is_autoconf: bool = False


def workplace(name: str, scratch: Path) -> Path:
    """Where one configures: below `scratch`, or where things are kept."""
    kept = os.environ.get(KEPT_VARIABLE)
    return (Path(kept).absolute() if kept else scratch) / name


def prepare(source: Path, place: Path) -> None:
    """A fresh copy of the source, and beside it what a run that was cut short has found."""
    place.mkdir(parents=True, exist_ok=True)
    tree = place / "tree"
    answers = checked(tree / "config.log")
    if answers:
        (place / "checked").write_text("".join(f"{answer}\n" for answer in answers))
    shutil.rmtree(tree, ignore_errors=True)
    if not (place / "found.json").exists():
        shutil.copytree(source, tree)


def checked(log: Path) -> list[str]:
    """The answers that a script of autoconf's had when it ended, as assignments; it writes them on its way
    out, unless it is killed."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return []
    sections = _CHECKED.findall(text)
    return [line for line in sections[-1].splitlines() if _ANSWER.fullmatch(line)] if sections else []


def macros(configuring: Configuring, place: Path, timeout_s: float) -> dict[str, str]:
    """The macros that it defines, with their values. `place` is prepared."""
    finished = place / "found.json"
    if not finished.exists():
        defined = _defined(configuring, place, timeout_s)
        finished.write_text(json.dumps(defined, indent=1))
    found: dict[str, str] = json.loads(finished.read_text())
    return found


def _defined(configuring: Configuring, place: Path, timeout_s: float) -> dict[str, str]:
    known = ["--cache-file=../checked"] if configuring.is_autoconf and KEPT_VARIABLE in os.environ else []
    usual = {name: value for name, value in os.environ.items() if not name.startswith("TMEBOX_")}
    with (place / "said").open("w+", errors="replace") as said:
        process = subprocess.Popen(
            [*configuring.command, *known],
            cwd=place / "tree",
            env={**usual, **configuring.variables},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(timeout_s)
        except BaseException:
            process.terminate()  # so that it says what it knows
            process.wait()
            raise
        said.seek(0)
        assert status == 0, said.read()[-4000:]
    text = re.sub(r"/\*.*?\*/", "", (place / "tree" / configuring.header).read_text(), flags=re.DOTALL)
    found = re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(?:\([^)]*\))?[ \t]*(.*)$", text, flags=re.MULTILINE)
    return {name: value.strip() for name, value in found}
