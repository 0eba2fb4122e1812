"""Keeping untrusted *source* from reading the host's files by `#include`, `#embed` or `__has_include`.

Clang gets a virtual file system that holds the permitted directories and nothing else. Symbolic links inside
those directories are still followed by the system, so afterwards each file that the compilation opened is
checked by its real path, and results and messages are withheld if one lies outside. Where the kernel confines
compilers (`confine`), they cannot open such a file, and here is said why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain.patterns import regex

_OVERLAY = (
    '"version": 0, "case-sensitive": "true", "redirecting-with": "redirect-only", '
    '"overlay-relative": "false", "use-external-names": "false"'
)
_ROOT = '{"type": "directory-remap", "name": %s, "external-contents": %s}'
_PLAIN = frozenset(map(chr, range(32, 127))) - {'"', "\\"}
_QUOTED = regex(r"\\(.)")
_DENIED = regex(r"(?:(?:cannot open file|error reading) '(.+)'|(.+)): Permission denied")
"""As clang and gcc say it."""
_DEPENDENCY = regex(r"(?:\\.|\$\$|[^\s\\])+")


def overlay(directories: Iterable[Path]) -> str:
    """A virtual file system for clang's -ivfsoverlay that shows `directories` under their own names only."""
    names = sorted({os.path.abspath(directory) for directory in directories})
    outermost: list[str] = []
    for name in names:
        if not any(name == other or name.startswith(other.rstrip("/") + "/") for other in outermost):
            outermost.append(name)
    roots = ", ".join(_ROOT % (quoted, quoted) for quoted in map(_quoted, outermost))
    return f'{{{_OVERLAY}, "roots": [{roots}]}}'


def _quoted(text: str) -> str:
    """As JSON has strings. Its module would make a compiler's start 3 ms longer."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = (int.from_bytes(units[place : place + 2], "big") for place in range(0, len(units), 2))
    words = (chr(code) if chr(code) in _PLAIN else rf"\u{code:04x}" for code in codes)
    return f'"{"".join(words)}"'


def dependencies(text: str) -> tuple[str, ...]:
    """The files that a dependency file (clang's -MD) lists, the source itself first."""
    _, _, prerequisites = text.replace("\\\n", " ").partition(": ")
    words: Iterable[str] = _DEPENDENCY.findall(prerequisites)
    return tuple(_QUOTED.sub(r"\1", word).replace("$$", "$") for word in words)


def refuse_outside(
    opened: Sequence[str],
    directories: Iterable[Path],
    *,
    cwd: Path | None = None,
    has_overlay: bool = True,
) -> None:
    """Raise CompileError if a file that the compilation opened really lies outside the permitted directories.

    With an overlay, names outside them are those of headers that were not found: the virtual file system does
    not have them. Without one (gcc), they are refused, but for plain names, which are looked up inside only.
    """
    given = [os.path.abspath(directory) for directory in directories]
    named = tuple(directory.rstrip("/") + "/" for directory in given)
    permitted = tuple(os.path.realpath(directory).rstrip("/") + "/" for directory in given)
    known: dict[str, bool] = {}
    refused = []
    for name in opened:
        path = os.path.join(cwd or "", name)
        is_outside = not os.path.abspath(path).startswith(named)
        if is_outside and (has_overlay or (_is_plain(name) and not os.path.lexists(path))):
            continue
        parent = os.path.dirname(path)
        if parent not in known:  # most files share a few directories
            known[parent] = ".." not in parent and (os.path.realpath(parent) + "/").startswith(permitted)
        if known[parent] and not os.path.islink(path):
            continue
        # With and without taking ".." literally: the two differ behind a symbolic link to a directory.
        if not all(os.path.realpath(way).startswith(permitted) for way in (path, os.path.abspath(path))):
            refused.append(name)
    if refused:
        raise outside(opened[0], tuple(_refusal(name, opened, cwd) for name in refused))


def denied(
    found: Iterable[Diagnostic], directories: Iterable[str | os.PathLike[str]], *, cwd: Path | None = None
) -> tuple[Diagnostic, ...]:
    """Of what a compiler said, the files that it could not open since they really lie outside."""
    permitted = tuple(os.path.realpath(directory).rstrip("/") + "/" for directory in directories)
    links = []
    for said in found:
        match = _DENIED.fullmatch(said.message)
        name = (match[1] or match[2]) if match else None
        if name and not os.path.realpath(os.path.join(cwd or "", name)).startswith(permitted):
            links.append(Diagnostic(_led_outside(name), said.file, said.line))
    return tuple(links)


def outside(source: str, refused: tuple[Diagnostic, ...]) -> CompileError:
    """What is raised for a source and the files that it may not read."""
    return CompileError(f"{source} includes files from outside the directories it was given", refused)


def _led_outside(name: str) -> str:
    return f"'{name}' is a link that leads outside the permitted directories"


def _is_plain(name: str) -> bool:
    return not os.path.isabs(name) and ".." not in name.split("/")


def _refusal(name: str, opened: Sequence[str], cwd: Path | None) -> Diagnostic:
    """Names the include and, if a permitted file spells it out, its line."""
    message = _led_outside(name)
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
