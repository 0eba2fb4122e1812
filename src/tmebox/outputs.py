"""Writing the files that a user names: modules, objects, archives, assembly, rules for make, maps, reports.

Whatever tmebox is told to write goes through `write_output`, because the obvious ways are wrong for some
names: replacing `/dev/null` by a file breaks the machine, and writing in place leaves half a file behind
when the disk is full.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path

STDOUT = "-"
_LINKS_MAX = 40
"""As many as Linux follows."""
_NOT_REPLACEABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})
"""What the system answers for a file that can be written, in a directory that cannot, or a mount point."""
_KERNEL_LINKS = "/proc/"
"""Links there lead to open files, which have no name of their own: `/dev/stdout` is one."""


def write_output(
    path: str | os.PathLike[str], data: bytes, *, is_program: bool = False, replaces_links: bool = False
) -> None:
    """Write `data` to `path`; "-" is standard output. Raises OSError, which names `path`.

    A regular file appears complete or not at all, wherever that is possible. What is no regular file (a
    device, a pipe, a socket's name) is written to, never replaced or removed. A symbolic link stays, and what
    it names is written; with `replaces_links`, as for compilers' objects and programs, a link to a file that
    is not empty is replaced, so that trees of links keep their originals. `is_program`: make it executable.
    """
    if os.fspath(path) == STDOUT:
        _write_to_stdout(data)
        return
    try:
        _write(os.fspath(path), data, is_program, replaces_links)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _write_to_stdout(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _write(path: str, data: bytes, is_program: bool, replaces_links: bool) -> None:
    status = _status(path)
    if status is not None and not stat.S_ISREG(status.st_mode):
        _write_through(path, data)
        return
    target = _behind_links(path)
    if target is None:
        _write_through(path, data)
        return
    if target != path and replaces_links and status is not None and status.st_size:
        target, status = path, None
    if status is None:
        mode = (0o777 if is_program else 0o666) & ~_umask()
    else:
        mode = stat.S_IMODE(status.st_mode) & 0o777 | (0o111 & ~_umask() if is_program else 0)
    try:
        _replace(target, data, mode)
    except OSError as error:
        if status is None or error.errno not in _NOT_REPLACEABLE:
            raise
        _write_through(target, data)
        if is_program:
            with contextlib.suppress(OSError):  # not our file: then it is as executable as it was
                os.chmod(target, mode)


def _status(path: str) -> os.stat_result | None:
    """Of what `path` leads to; None if nothing is there."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _behind_links(path: str) -> str | None:
    """The name of the file that `path` leads to; None if a link of the kernel's does, to an open file."""
    for _ in range(_LINKS_MAX):
        directory = os.path.realpath(os.path.dirname(path))
        if not os.path.islink(path):
            return path
        if f"{directory}/".startswith(_KERNEL_LINKS):
            return None
        path = os.path.join(directory, os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _write_through(path: str, data: bytes) -> None:
    """Into what is there, as a shell's `>` does. Creates nothing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb", buffering=0) as file:
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]


def _replace(path: str, data: bytes, mode: int) -> None:
    """The name does not matter to the temporary file, so that it is not too long whatever `path` is."""
    # Not `tempfile`, which a compiler's start would wait for.
    partial = os.path.join(os.path.dirname(path) or ".", f".tmebox-{os.urandom(8).hex()}")
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise


def _umask() -> int:
    """The process's file mode mask, without the race of setting it to find out."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o077
