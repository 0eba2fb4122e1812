"""System calls that give files other names, and that tell how much room there is."""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from tmebox.runtime.system.calls import U64, GuestMemory, failure, read_path
from tmebox.runtime.system.files import HostFile
from tmebox.runtime.system.path_calls import AT_FDCWD, place_of, status_of

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System


def link(system: System, memory: GuestMemory, old: int, new: int) -> int:
    return linkat(system, memory, AT_FDCWD, old, AT_FDCWD, new, 0)


def linkat(
    system: System, memory: GuestMemory, old_dir: int, old: int, new_dir: int, new: int, flags: int
) -> int:
    """Both names lie in directories that may be changed, so that a link gives nobody rights. A symbolic link
    is linked itself."""
    if flags:
        raise failure(errno.EINVAL)
    source = place_of(system, old_dir, read_path(memory, old))
    target = place_of(system, new_dir, read_path(memory, new))
    if source.mount is not target.mount:
        raise failure(errno.EXDEV)
    with source.parent(errno.EPERM) as before, target.parent(errno.EEXIST, "link") as after:
        after.require_fitting(before)
        os.link(
            before.name,
            after.name,
            src_dir_fd=before.directory,
            dst_dir_fd=after.directory,
            follow_symlinks=False,
        )
    return 0


def symlink(system: System, memory: GuestMemory, target: int, path: int) -> int:
    return symlinkat(system, memory, target, AT_FDCWD, path)


def symlinkat(system: System, memory: GuestMemory, target: int, directory: int, path: int) -> int:
    """Only to what lies below the link's own directory, wherever that is moved to, and has a name that is the
    guest's: whoever follows it later, the host too, gets to nothing else. Raises EPERM for other targets."""
    text = read_path(memory, target)
    if text.startswith(b"/") or b".." in text.split(b"/"):
        raise failure(errno.EPERM)
    with place_of(system, directory, read_path(memory, path)).parent(errno.EEXIST, "link") as entry:
        entry.require_fitting_target(text)
        os.symlink(text, entry.name, dir_fd=entry.directory)
    return 0


STATFS = struct.Struct("<2q5q2i3q32x")
"""struct statfs of x86-64: type, block size, blocks, free, free to users, files, free files, id, the longest
name, fragment size, flags, spare."""
TMPFS_MAGIC, ST_RDONLY = 0x01021994, 1


def _pack_space(descriptor: int | None, read_only: bool) -> bytes:
    """Of a granted directory, how much room there is: its owner can tell by filling it. Else nothing."""
    if descriptor is None:
        return STATFS.pack(TMPFS_MAGIC, 4096, 0, 0, 0, 0, 0, 0, 0, 255, 4096, ST_RDONLY)
    space = os.statvfs(descriptor)
    return STATFS.pack(
        TMPFS_MAGIC, space.f_bsize, space.f_blocks, space.f_bfree, space.f_bavail, space.f_files,
        space.f_ffree, 0, 0, 255, space.f_frsize, ST_RDONLY if read_only else 0,
    )  # fmt: skip


def statfs(system: System, memory: GuestMemory, path: int, result: int) -> int:
    place = place_of(system, AT_FDCWD, read_path(memory, path))
    if place.mount is None:
        status_of(system, place, True)
        memory.write(result & U64, _pack_space(None, True))
        return 0
    with place.found(follow=True) as found:
        memory.write(result & U64, _pack_space(found.descriptor, found.read_only))
    return 0


def fstatfs(system: System, memory: GuestMemory, descriptor: int, result: int) -> int:
    description = system.descriptors[descriptor]
    host = description.host_descriptor()
    memory.write(result & U64, _pack_space(host, isinstance(description, HostFile) and description.read_only))
    return 0
