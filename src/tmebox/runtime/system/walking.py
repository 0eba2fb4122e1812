"""From a directory's descriptor to what a path leads to beneath it.

Two ways. openat2 with RESOLVE_BENEATH is the kernel's. The other goes component by component, follows
symbolic links itself, and so knows each directory that it passes through; it serves where rights depend on
that, and kernels without openat2. Both refuse whatever would lead out.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from tmebox.runtime.system.calls import PATH_MAX, failure

SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
RETRIES = 16
"""openat2 gives EAGAIN when a directory is renamed while it resolves; a create races with a removal alike."""
MAX_LINKS = 40
MAX_STEPS = 2 * PATH_MAX
"""Components of one path, those of its symbolic links included."""
HERE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

Identity = tuple[int, int]
"""Device and inode number: a directory, whatever it is called."""


@dataclass(frozen=True)
class Found:
    """What a path led to: an O_PATH descriptor, and whether nothing may be changed there."""

    descriptor: int
    read_only: bool

    def require_writable(self) -> None:
        if self.read_only:
            raise failure(errno.EROFS)


@dataclass(frozen=True)
class _Passed:
    """What a walk came through. `is_protected`: or something before it."""

    identity: Identity
    is_directory: bool
    is_protected: bool


def identity(descriptor: int) -> Identity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def find(
    root: int, path: bytes, *, follow: bool, protected: frozenset[Identity], names: bytes = b""
) -> tuple[int, bool]:
    """An O_PATH descriptor of `path` beneath the directory `root`, and whether it is one of the directories
    `protected`, or lies in one; `root` itself does not count. `follow`: also a symbolic link at the end.
    `names`: what names in `root` itself must begin with.

    Raises OSError; EACCES for what would lead out.
    """
    for _ in range(RETRIES):
        try:
            if protected or names or not has_openat2():
                return _walk(root, path, follow, protected, names)
            return _openat2(root, path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)), False
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise failure(errno.EACCES) from None
            if error.errno != errno.EAGAIN:
                raise
    raise failure(errno.EAGAIN)


def _walk(
    root: int, path: bytes, follow: bool, protected: frozenset[Identity], names: bytes = b""
) -> tuple[int, bool]:
    """Component by component.

    Two descriptors are open at a time, however deep a guest makes its directories. So `..`, which only a
    link's target can have, is opened anew: it must be the directory that the walk came through.
    """
    left = path.split(b"/")[::-1]
    steps = links = 0
    here = os.dup(root)
    passed = [_Passed(identity(here), True, False)]
    try:
        while left:
            name = left.pop()
            steps += 1
            if steps > MAX_STEPS:
                raise failure(errno.ELOOP)
            if name in (b"", b".", b".."):
                if not passed[-1].is_directory:
                    raise failure(errno.ENOTDIR)
                if name == b"..":
                    here = _back(here, passed)
                continue
            if len(passed) == 1 and not name.startswith(names):
                raise failure(errno.EACCES)
            below = os.open(name, HERE, dir_fd=here)
            try:
                status = os.fstat(below)
                if stat.S_ISLNK(status.st_mode) and (left or follow):
                    links += 1
                    left += _target(below, links)
                    continue
                this = (status.st_dev, status.st_ino)
                is_protected = passed[-1].is_protected or this in protected
                passed.append(_Passed(this, stat.S_ISDIR(status.st_mode), is_protected))
                here, below = below, here
            finally:
                os.close(below)
    except BaseException:
        os.close(here)
        raise
    return here, passed[-1].is_protected


def _back(here: int, passed: list[_Passed]) -> int:
    """The directory before `here`, which is closed if there is one."""
    if len(passed) == 1:
        raise failure(errno.EACCES)
    above = os.open(b"..", HERE, dir_fd=here)
    if identity(above) != passed[-2].identity:  # moved meanwhile: it may lead anywhere
        os.close(above)
        raise failure(errno.EAGAIN)
    del passed[-1]
    os.close(here)
    return above


def _target(link: int, links: int) -> list[bytes]:
    """Components of a symbolic link's target, the last one first."""
    if links > MAX_LINKS:
        raise failure(errno.ELOOP)
    target = os.readlink(b"", dir_fd=link)
    if target.startswith(b"/"):
        raise failure(errno.EACCES)
    return target.split(b"/")[::-1]


def upwards(directory: int) -> Iterator[Identity]:
    """A directory and all that it lies in, up to the root."""
    here = os.dup(directory)
    try:
        this = None
        while this != identity(here):
            this = identity(here)
            yield this
            try:
                above = os.open(b"..", HERE, dir_fd=here)
            except FileNotFoundError:  # it was removed: it has no name any more
                return
            os.close(here)
            here = above
    finally:
        os.close(here)


@lru_cache(maxsize=1)
def has_openat2() -> bool:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(root, b".", os.O_PATH | os.O_CLOEXEC))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


_libc = ctypes.CDLL(None, use_errno=True)


def _openat2(directory: int, path: bytes, flags: int) -> int:
    how = struct.pack("<3Q", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    result = _libc.syscall(
        ctypes.c_long(SYS_OPENAT2), ctypes.c_long(directory), path, how, ctypes.c_size_t(len(how))
    )
    if result < 0:
        raise failure(ctypes.get_errno())
    return int(result)
