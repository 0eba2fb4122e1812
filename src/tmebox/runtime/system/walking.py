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
from collections.abc import Iterator, Mapping
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
Names = tuple[bytes, ...]
"""What names in a directory may begin with, for a guest to reach what they name."""
ALL_NAMES: Names = (b"",)


@dataclass(frozen=True)
class Limits:
    """What holds in a directory, whatever way leads there. read_only: also in all that lies in it."""

    read_only: bool = False
    names: Names = ALL_NAMES

    @property
    def has_names(self) -> bool:
        """Whether only some names may be used."""
        return self.names != ALL_NAMES


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Found:
    """What a path led to: an O_PATH descriptor, whether nothing may be changed there, and what names in it
    the guest may use."""

    descriptor: int
    read_only: bool
    names: Names = ALL_NAMES

    def require_writable(self) -> None:
        """Raise EROFS if nothing may be made or removed in it, and nothing written to it."""
        if self.read_only:
            raise failure(errno.EROFS)

    def require_own(self) -> None:
        """Raise EROFS or EPERM unless its own mode and times are the guest's to change: a directory in which
        it may use some names only is somebody else's."""
        self.require_writable()
        if self.names != ALL_NAMES:
            raise failure(errno.EPERM)


@dataclass(frozen=True)
class _Passed:
    """What a walk came through. `is_protected`: or something before it."""

    identity: Identity
    is_directory: bool
    is_protected: bool
    names: Names


def identity(descriptor: int) -> Identity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def find(root: int, path: bytes, *, follow: bool, own: Limits, limits: Mapping[Identity, Limits]) -> Found:
    """What `path` leads to beneath the directory `root`. `follow`: also a symbolic link at the end. `limits`
    hold in directories beneath `root`; in `root` itself its `own` do.

    Raises OSError; EACCES for what would lead out, and for names that are not the guest's.
    """
    for _ in range(RETRIES):
        try:
            if limits or own.has_names or not has_openat2():
                return _walk(root, path, follow, own, limits)
            flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
            return Found(_openat2(root, path, flags), own.read_only)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise failure(errno.EACCES) from None
            if error.errno != errno.EAGAIN:
                raise
    raise failure(errno.EAGAIN)


def _walk(root: int, path: bytes, follow: bool, own: Limits, limits: Mapping[Identity, Limits]) -> Found:
    """Component by component.

    Two descriptors are open at a time, however deep a guest makes its directories. So `..`, which only a
    link's target can have, is opened anew: it must be the directory that the walk came through.
    """
    left = path.split(b"/")[::-1]
    steps = links = 0
    here = os.dup(root)
    passed = [_Passed(identity(here), True, own.read_only, own.names)]
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
            if not name.startswith(passed[-1].names):
                raise failure(errno.EACCES)
            below = os.open(name, HERE, dir_fd=here)
            try:
                status = os.fstat(below)
                if stat.S_ISLNK(status.st_mode) and (left or follow):
                    links += 1
                    left += _target(below, links)
                    continue
                this = (status.st_dev, status.st_ino)
                there = limits.get(this, NO_LIMITS)
                is_protected = passed[-1].is_protected or there.read_only
                passed.append(_Passed(this, stat.S_ISDIR(status.st_mode), is_protected, there.names))
                here, below = below, here
            finally:
                os.close(below)
    except BaseException:
        os.close(here)
        raise
    return Found(here, passed[-1].is_protected, passed[-1].names)


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
