"""Which files a library is compiled from, and how each of them is."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain.build import GIVEN
from tmebox.toolchain.cc.compile_commands import DATABASE, read_commands
from tmebox.toolchain.cc.tree import sources_directly_in
from tmebox.toolchain.compile.compile import LANGUAGES
from tmebox.toolchain.options import CompileOptions
from tmebox.toolchain.unpack import archive_of

_INCLUDED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"/]+\.c)"', re.MULTILINE)


@dataclass(frozen=True)
class Sources:
    """certain: what is compiled. included: what one of those includes. It may be a piece of that one, a
    source of its own, or both."""

    certain: tuple[Path, ...]
    included: tuple[Path, ...]


def sources_in(paths: Sequence[Path], without: Sequence[str] = (), trusted: Sequence[Path] = ()) -> Sources:
    """The sources that are named; those directly in a directory; those of a compilation database. Paths are
    absolute. without: patterns of names or paths that are left out. trusted: where a database's paths may lie
    besides its own tree. Raises CompileError if there are none, OSError."""
    found: list[Path] = []
    listed: set[Path] = set()
    for path in paths:
        if path.suffix == DATABASE:
            listed.update(read_commands(path, trusted))
            found += read_commands(path, trusted)
        else:
            found += sources_directly_in(path) if path.is_dir() else [path]
    absolute = dict.fromkeys(Path(os.path.abspath(path)) for path in found)
    kept = [path for path in absolute if not any(_matches(path, pattern) for pattern in without)]
    included = {name for path in kept if path.suffix == ".c" for name in _included(path)} - listed
    certain = tuple(path for path in kept if path not in included)
    if not certain:
        raise CompileError(f"no C sources: {', '.join(map(str, paths)) or 'none named'}")
    return Sources(certain, tuple(path for path in kept if path in included))


def options_of(paths: Sequence[Path], options: CompileOptions) -> dict[Path, CompileOptions]:
    """How sources are compiled of which a compilation database says it. Raises CompileError, OSError."""
    own: dict[Path, CompileOptions] = {}
    for path in paths:
        if path.suffix == DATABASE:
            commands = read_commands(path, options.include_dirs)
            own.update({source: command.added_to(options) for source, command in commands.items()})
    return own


def _included(path: Path) -> list[Path]:
    """The sources beside it that a source includes."""
    return [path.parent / name for name in _INCLUDED.findall(path.read_text(errors="replace"))]


def _matches(path: Path, pattern: str) -> bool:
    return fnmatch.fnmatch(path.name, pattern) or fnmatch.fnmatch(str(path), f"*/{pattern}")


def is_header(path: Path) -> bool:
    known = path.suffix in (*LANGUAGES, *GIVEN, DATABASE)
    in_archive = archive_of(path)
    return not known and path != in_archive and (in_archive is not None or path.is_file())
