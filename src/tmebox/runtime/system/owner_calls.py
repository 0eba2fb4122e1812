"""Owners of files. A guest is one user, who owns all that it sees: what keeps it so is done, else EPERM."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from tmebox.runtime.system.calls import PATH_MAX, U64, GuestMemory, failure, read_path
from tmebox.runtime.system.path_calls import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, place_of
from tmebox.runtime.system.process import OWNER

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

_U32 = (1 << 32) - 1
_KEPT = (OWNER, _U32)
"""What leaves an owner or a group as it is: the number that it has, or -1."""


def chown(system: System, memory: GuestMemory, path: int, owner: int, group: int) -> int:
    return fchownat(system, memory, AT_FDCWD, path, owner, group, 0)


def lchown(system: System, memory: GuestMemory, path: int, owner: int, group: int) -> int:
    return fchownat(system, memory, AT_FDCWD, path, owner, group, AT_SYMLINK_NOFOLLOW)


def fchown(system: System, _memory: GuestMemory, descriptor: int, owner: int, group: int) -> int:
    host = system.descriptors[descriptor].writable_file()
    _require_kept(owner, group)
    os.chown(host, -1, -1)
    return 0


def fchownat(
    system: System, memory: GuestMemory, directory: int, path: int, owner: int, group: int, flags: int
) -> int:
    """As natively, the time of the last change becomes now."""
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise failure(errno.EINVAL)
    if flags & AT_EMPTY_PATH and not memory.string(path & U64, PATH_MAX):
        return fchown(system, memory, directory, owner, group)
    place = place_of(system, directory, read_path(memory, path))
    with place.found(follow=not flags & AT_SYMLINK_NOFOLLOW) as found:
        found.require_own()
        _require_kept(owner, group)
        if not stat.S_ISLNK(os.fstat(found.descriptor).st_mode):
            os.chown(f"/proc/self/fd/{found.descriptor}", -1, -1)
    return 0


def _require_kept(owner: int, group: int) -> None:
    if owner & _U32 not in _KEPT or group & _U32 not in _KEPT:
        raise failure(errno.EPERM)
