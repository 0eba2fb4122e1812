"""The user's cache directory: the one place where tmebox keeps what it has made for the next time.

What is there is believed: programs start from it, and the linker and the driver's tools read it as it is. So
it is a directory that nobody else may write to, or there is none. `XDG_CACHE_HOME` may lie where others can
make one first, and leave in it what they like.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class NoCacheError(Exception):
    """The message says why, and what to do."""


def cache_directory(*parts: str) -> Path:
    """`$XDG_CACHE_HOME/tmebox` or `~/.cache/tmebox`, or what `parts` name in it, made for its owner alone.

    It is no link; it is the user's or root's, who may write everything anyway; nobody else may write to it,
    nor put another one in its place. Raises NoCacheError.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        raise NoCacheError(
            "there is no cache: no home directory is known; set XDG_CACHE_HOME to a directory"
        ) from None
    directory = Path(base)
    for part in ("tmebox", *parts):
        directory /= part
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = os.lstat(directory)
        except OSError as error:
            raise cannot_be_written(directory, error) from error
        _require_own(directory, found)
    for parent in Path(os.path.realpath(base), "tmebox").parents:
        _require_kept(parent, directory)
    return directory


def cannot_be_written(directory: Path, error: OSError) -> NoCacheError:
    return NoCacheError(
        f"the cache {directory} cannot be written ({error.strerror or error}): set XDG_CACHE_HOME to a "
        "directory that can"
    )


def _require_own(directory: Path, found: os.stat_result) -> None:
    advice = "set XDG_CACHE_HOME to a directory of your own"
    if not stat.S_ISDIR(found.st_mode):
        raise NoCacheError(f"the cache {directory} is a link, which can come to lead elsewhere: {advice}")
    if found.st_uid not in (os.geteuid(), 0):
        raise NoCacheError(
            f"the cache {directory} belongs to somebody else (user {found.st_uid}), who decides what is in "
            f"it: {advice}"
        )
    if found.st_mode & _OTHERS:
        raise NoCacheError(
            f"others may write to the cache {directory} (mode {stat.S_IMODE(found.st_mode):o}), and may have "
            f"done so: delete it, or {advice}"
        )


def _require_kept(parent: Path, directory: Path) -> None:
    """Where everybody may delete everybody's files, they may put another directory there at any time."""
    try:
        mode = os.stat(parent).st_mode
    except OSError:
        return
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise NoCacheError(
            f"everybody may put something else in the place of the cache {directory}, as {parent} has the "
            f"mode {stat.S_IMODE(mode):o}: set XDG_CACHE_HOME to a directory of your own"
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the system releases it if this process dies. A link is not followed,
    and nothing is deleted of what is there. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
