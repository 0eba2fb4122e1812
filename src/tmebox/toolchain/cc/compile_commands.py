"""`compile_commands.json`, which build systems write: the sources of a project, and how each is compiled."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmebox.errors import CompileError
from tmebox.records import dataclass, replace
from tmebox.toolchain.cc.command_line import UsageError, parse
from tmebox.toolchain.cc.tree import source_tree
from tmebox.toolchain.compile.compile import LANGUAGES
from tmebox.toolchain.options import CompileOptions

DATABASE = ".json"
"""What the name of such a file ends in."""
MOST_BYTES = 256 << 20


@dataclass(frozen=True)
class CompileCommand:
    """How one source is compiled. Paths are absolute."""

    flags: tuple[str, ...]
    include_dirs: tuple[Path, ...]
    search: tuple[tuple[str, Path], ...]
    readable_dirs: tuple[Path, ...]

    def added_to(self, options: CompileOptions) -> CompileOptions:
        """The options of the whole, and these: what both say, the command decides."""
        return replace(
            options,
            flags=(*options.flags, *self.flags),
            include_dirs=(*self.include_dirs, *options.include_dirs),
            search=(*self.search, *options.search),
            readable_dirs=(*self.readable_dirs, *options.readable_dirs),
        )


def read_commands(path: Path, trusted: Sequence[Path] = ()) -> dict[Path, CompileCommand]:
    """The sources that are named there, in their order; of one that is compiled several times, the first.

    The file comes with the project, and so is not the user's word. Options are vetted like those of any
    command line. Every path lies in the project's tree, or in a directory of `trusted`: else a source could
    have the host's files compiled in. Raises CompileError, OSError."""
    within = [os.path.abspath(directory) for directory in (source_tree(path.parent), *trusted)]
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        if len(data) > MOST_BYTES:
            raise ValueError("it is absurdly large")
        rows = json.loads(data)
        if not isinstance(rows, list):
            raise ValueError("a list is expected")
        found: dict[Path, CompileCommand] = {}
        for row in rows:
            source, command = _command(row, path.absolute().parent)
            for name in (source, *command.include_dirs, *(place for _, place in command.search)):
                _require_within(name, within)
            if source.suffix in LANGUAGES:
                found.setdefault(source, command)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CompileError(f"{path}: not a compilation database: {error!s:.200}") from None
    except UsageError as error:
        raise CompileError(f"{path}: {error}") from None
    if not found:
        raise CompileError(f"{path} names no source that can be sandboxed")
    return found


def _require_within(path: Path, directories: Sequence[str]) -> None:
    real = os.path.realpath(path)
    if not any(real == top or real.startswith(f"{top}/") for top in map(os.path.realpath, directories)):
        raise UsageError(
            f"{path} lies outside the project: if you mean it, name its directory to include from"
        )


def _command(row: Any, beside: Path) -> tuple[Path, CompileCommand]:
    """Raises KeyError, TypeError, ValueError, UsageError."""
    if not isinstance(row, dict):
        raise TypeError("an entry is no object")
    directory = Path(os.path.normpath(beside / _text(row["directory"])))
    source = Path(os.path.normpath(directory / _text(row["file"])))
    given = row.get("arguments")
    if given is None:
        words = shlex.split(_text(row["command"]))
    elif isinstance(given, list):
        words = [_text(word) for word in given]
    else:
        raise TypeError("arguments that are no list")
    command = parse(words[1:])

    def absolute(path: Path) -> Path:
        return Path(os.path.normpath(directory / path))

    options = command.options
    return source, CompileCommand(
        (options.optimize, *options.flags) if not _optimizes(options.flags) else options.flags,
        tuple(absolute(path) for path in options.include_dirs),
        tuple((flag, absolute(path)) for flag, path in options.search),
        (source.parent,),
    )


def _optimizes(flags: tuple[str, ...]) -> bool:
    return any(flag.startswith("-O") for flag in flags)


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{value!r:.40} where a text is expected")
    return value
