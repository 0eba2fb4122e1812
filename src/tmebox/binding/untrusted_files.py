"""Files of a directory that others may write to while it is read: links there lead where they choose.

What was opened is looked at, and not once more what the name stands for: it may stand for something else by
then.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_HOW = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Without waiting: a pipe has somebody at its other end, or nobody."""


def read_in(folder: int, name: str, most_bytes: int) -> bytes | None:
    """The file of that name in an open directory; None for a link, and whatever else is no file. Raises
    OSError; with EFBIG if it is larger, or grows meanwhile."""
    try:
        descriptor = os.open(name, _HOW | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            return None
        raise
    try:
        return _contents(descriptor, most_bytes)
    finally:
        os.close(descriptor)


def read_below(directory: Path, name: str, most_bytes: int) -> bytes | None:
    """The file of that name in a directory or below it, where links may lead as well; None for what lies
    elsewhere, is no file, is not there or is larger."""
    try:
        descriptor = os.open(directory / name, _HOW)
    except (OSError, ValueError):
        return None
    try:
        where = os.readlink(f"/proc/self/fd/{descriptor}")
        inside = Path(where).is_relative_to(directory.resolve())
        return _contents(descriptor, most_bytes) if inside else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def text_of(data: bytes) -> str:
    """As `open` reads it, whatever is in it."""
    return data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def _contents(descriptor: int, most_bytes: int) -> bytes | None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return None
    room = min(status.st_size, most_bytes)
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(room + 1)
    if len(data) > room:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data
