"""Keeping untrusted *source* from reading the host's files by `#include`, `#embed` or `__has_include`.

Two layers. Clang gets a virtual file system that holds the permitted directories and nothing else. Symbolic
links inside those directories are still followed by the system, so afterwards each file that the compilation
opened is checked by its real path, and results and messages are withheld if one lies outside.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tmebox.errors import CompileError, Diagnostic

_DEPENDENCY = re.compile(r"(?:\\.|\$\$|[^\s\\])+")


def overlay(directories: Iterable[Path]) -> str:
    """A virtual file system for clang's -ivfsoverlay that shows `directories` under their own names only."""
    names = sorted({os.path.abspath(directory) for directory in directories})
    outermost: list[str] = []
    for name in names:
        if not any(name == other or name.startswith(other.rstrip("/") + "/") for other in outermost):
            outermost.append(name)
    roots = [{"type": "directory-remap", "name": name, "external-contents": name} for name in outermost]
    return json.dumps(
        {
            "version": 0,
            "case-sensitive": "true",
            "redirecting-with": "redirect-only",
            "overlay-relative": "false",
            "use-external-names": "false",
            "roots": roots,
        }
    )


def dependencies(text: str) -> tuple[str, ...]:
    """The files that a dependency file (clang's -MD) lists, the source itself first."""
    _, _, prerequisites = text.replace("\\\n", " ").partition(": ")
    words: Iterable[str] = _DEPENDENCY.findall(prerequisites)
    return tuple(re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in words)


def refuse_outside(
    opened: Sequence[str], directories: Iterable[Path], *, cwd: Path | None = None, source: str = ""
) -> None:
    """Raise CompileError if a file the compilation opened really lies outside the permitted directories."""
    permitted = {os.path.realpath(directory).rstrip("/") + "/" for directory in directories}
    known: dict[str, bool] = {}
    refused = []
    for name in opened:
        path = os.path.join(cwd or "", name)
        parent = os.path.dirname(path)
        if parent not in known:  # most files share a few directories
            known[parent] = (os.path.realpath(parent) + "/").startswith(tuple(permitted))
        if known[parent] and not os.path.islink(path):
            continue
        if not os.path.realpath(path).startswith(tuple(permitted)):
            refused.append(name)
    if refused:
        raise CompileError(
            f"{source or opened[0]} includes files from outside the directories it was given",
            tuple(_refusal(name, opened, cwd) for name in refused),
        )


def _refusal(name: str, opened: Sequence[str], cwd: Path | None) -> Diagnostic:
    """Names the include and, if a permitted file spells it out, its line."""
    message = f"'{name}' leads outside the permitted directories (symbolic link)"
    pattern = re.compile(
        rf"^\s*#\s*(?:include|include_next|import|embed)\b.*{re.escape(os.path.basename(name))}"
    )
    for candidate in opened:
        if os.path.islink(os.path.join(cwd or "", candidate)):
            continue
        try:
            lines = Path(cwd or "", candidate).read_text(errors="replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            if pattern.search(line):
                return Diagnostic(message, candidate, number)
    return Diagnostic(message)
