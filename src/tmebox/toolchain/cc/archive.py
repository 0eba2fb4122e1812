"""`tmebox ar`: the archiver of the toolchain's package, kept to archives of objects and to the named file."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.outputs import STDOUT, write_output
from tmebox.toolchain import processes
from tmebox.toolchain.cc.messages import show
from tmebox.toolchain.cc.response_files import expand
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.patterns import regex

NAME = "tmebox ar"
_OPERATION = regex(r"-?(?=[a-zA-Z]*[dmpqrstx])[abcDdfilmNoOpPqrsStuUvVx]+")
"""An operation and its modifiers, in any order (`cq`, `rcu`); not T, which makes a list of paths instead."""
_WRITING = frozenset("dmqrs")
_READING = frozenset("ptx")
_THIN = b"!<thin>\n"


class ArchiveError(TmeboxError):
    """What `tmebox ar` was asked for makes no sense."""


def main_ar(argv: Sequence[str]) -> int:
    """Run `tmebox ar` with these arguments; returns the exit code."""
    try:
        arguments = expand(argv)
        if arguments[:1] in (["--version"], ["-V"]):
            return _say(["--version"])
        if not arguments or not _OPERATION.fullmatch(arguments[0]):
            raise ArchiveError("usage: tmebox ar [-]{dmpqrstx}[modifiers] archive [file...]")
        refused = [item for item in arguments[1:] if item.startswith(("-", "@"))]
        if refused:
            raise ArchiveError(f"unsupported argument {refused[0]!r}")
        operation = set(arguments[0])
        place = 1 + bool(operation & set("abi")) + ("N" in operation)
        if operation & _READING or not operation & _WRITING or place >= len(arguments):
            return _say(arguments)
        return _write(arguments, place)
    except TmeboxError as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or ''}: {error.strerror}")
    except KeyboardInterrupt:
        return 130


def _say(arguments: Sequence[str]) -> int:
    """What the archiver says is passed on. It would complain where nobody reads it any more."""
    with tempfile.TemporaryFile() as said:

        def forget() -> None:
            said.seek(0)
            said.truncate()

        # Extracting makes files here, by the members' names: those alone, for what a member may contain.
        is_extracting = "x" in arguments[0] and not arguments[0].startswith("--")
        reach = Reach(
            reads=tuple(arguments[1:]),
            writes=(os.getcwd(),) if is_extracting else (),
            sets_times=is_extracting and "o" in arguments[0],
        )
        status = processes.run(_command(*arguments), reach, stdout=said, again=forget).status
        said.seek(0)
        write_output(STDOUT, said.read())
    return status


def _command(*arguments: str) -> list[str]:
    return [str(clang.toolchain_dir() / "zig"), "ar", *arguments]


def _write(arguments: list[str], place: int) -> int:
    """The archiver replaces the file that it is given, whatever that is: so it works on a copy."""
    archive = arguments[place]
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        copy = Path(scratch, os.path.basename(archive) or "archive")
        before = _contents(archive)
        if before is not None:
            copy.write_bytes(before)
        given = [*arguments[:place], str(copy), *arguments[place + 1 :]]
        with tempfile.TemporaryFile() as said:
            reach = Reach(reads=tuple(arguments[place + 1 :]), writes=(scratch,))
            status = processes.run(_command(*given), reach, stderr=said).status
            said.seek(0)
            show(said.read().decode("utf-8", "replace").replace(str(copy), archive))
        if status == 0 and copy.exists():
            after = copy.read_bytes()
            if after != before:
                write_output(archive, after)
        return status


def _contents(archive: str) -> bytes | None:
    """Of an archive that exists; a device or a pipe is only written. Raises ArchiveError for a thin one."""
    try:
        if not stat.S_ISREG(os.stat(archive).st_mode):
            return None
        data = Path(archive).read_bytes()
    except FileNotFoundError:
        return None
    if data.startswith(_THIN):
        raise ArchiveError(f"{archive}: thin archives are not supported")
    return data


def _fail(message: str) -> int:
    print(f"{NAME}: error: {message}", file=sys.stderr)
    return 1
