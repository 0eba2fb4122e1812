"""Directories and files for what lies between two steps. `tempfile` would do, but a compiler
starts 15 ms later with it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_USUAL = ("/tmp", "/var/tmp")
_PREFIX = "tmebox-"


def temporary_directories() -> list[str]:
    """Where temporary files may go, the user's choice first."""
    return [path for path in (os.environ.get("TMPDIR"), *_USUAL) if path]


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A new directory for its owner alone, gone with all in it when the block ends. Raises OSError."""
    path = _new()
    try:
        yield Path(path)
    finally:
        _remove(path)


def scratch_file() -> BinaryIO:
    """A new file without a name, open for reading and writing. Raises OSError."""
    failed: OSError | None = None
    for parent in temporary_directories():
        path = os.path.join(parent, _PREFIX + os.urandom(8).hex())
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            failed = failed or error
            continue
        os.unlink(path)
        return os.fdopen(descriptor, "w+b")
    raise failed or FileNotFoundError(errno.ENOENT, "no directory for temporary files")


def _new() -> str:
    failed: OSError | None = None
    for parent in temporary_directories():
        path = os.path.join(os.path.abspath(parent), _PREFIX + os.urandom(8).hex())
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            failed = failed or error
            continue
        return path
    raise failed or FileNotFoundError(errno.ENOENT, "no directory for temporary files")


def _remove(path: str) -> None:
    """Follows no link. What somebody else removed meanwhile is gone as well."""
    with suppress(FileNotFoundError):
        for name in os.listdir(path):
            inner = os.path.join(path, name)
            if stat.S_ISDIR(os.lstat(inner).st_mode):
                _remove(inner)
            else:
                os.unlink(inner)
        os.rmdir(path)
