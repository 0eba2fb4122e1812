"""System calls on paths. Each finds the place first; what happens there is asked for by descriptor."""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import TYPE_CHECKING

from tmebox.runtime.system import etc
from tmebox.runtime.system.calls import PATH_MAX, U64, GuestMemory, failure, read_path
from tmebox.runtime.system.descriptors import (
    DEVICES,
    STREAMS,
    DefaultFile,
    Description,
    TextFile,
)
from tmebox.runtime.system.directories import HostDirectory, InodeOf, Parts, VirtualDirectory, virtual_status
from tmebox.runtime.system.files import O_LARGEFILE, HostFile, pack_status, require_room
from tmebox.runtime.system.paths import Namespace, Place, open_file, writes

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_EMPTY_PATH = 0x100, 0x200, 0x1000
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
ACCEPTED_FLAGS = (
    os.O_ACCMODE | os.O_CREAT | os.O_EXCL | os.O_NOCTTY | os.O_TRUNC | os.O_APPEND | os.O_NONBLOCK
    | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_SYNC | os.O_DSYNC | os.O_NOATIME | O_LARGEFILE
)  # fmt: skip


def place_of(system: System, directory: int, path: bytes) -> Place:
    """`directory` is AT_FDCWD or a descriptor of the guest's, for relative paths."""
    base = None
    if not path.startswith(b"/") and directory != AT_FDCWD:
        description = system.descriptors[directory]
        if not isinstance(description, (HostDirectory, VirtualDirectory)):
            raise failure(errno.ENOTDIR)
        base = description.parts
    return system.namespace.place(path, base)


def open_(system: System, memory: GuestMemory, path: int, flags: int, mode: int) -> int:
    return openat(system, memory, AT_FDCWD, path, flags, mode)


def creat(system: System, memory: GuestMemory, path: int, mode: int) -> int:
    return openat(system, memory, AT_FDCWD, path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)


def openat(system: System, memory: GuestMemory, directory: int, path: int, flags: int, mode: int) -> int:
    flags &= 0xFFFFFFFF
    if flags & ~ACCEPTED_FLAGS:  # O_TMPFILE, O_PATH, O_DIRECT…
        raise failure(errno.EINVAL)
    system.descriptors.room()
    require_room()
    place = place_of(system, directory, read_path(memory, path))
    description = _open(system, place, flags, mode & 0o777 & ~system.umask)
    return system.descriptors.add(description, close_on_exec=bool(flags & os.O_CLOEXEC))


def _open(system: System, place: Place, flags: int, mode: int) -> Description:
    own = _own_file(system, place)
    if own is not None and not (isinstance(own, DefaultFile) and writes(flags)):
        return own
    return _newly_open(system, place, flags, mode)


def _newly_open(system: System, place: Place, flags: int, mode: int) -> Description:
    """Nobody else has it, whoever opens the same place."""
    if place.mount is None:
        if not system.namespace.exists_virtually(place.parts):
            raise failure(errno.ENOENT)
        if writes(flags):
            raise failure(errno.EISDIR)
        beneath = system.namespace.names_beneath(place.parts)
        return VirtualDirectory(place.parts, beneath, _inodes(system))
    mount = place.mount
    if mount.read_only and writes(flags):
        # A program that would create what exists already only wants to read it.
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC or flags & os.O_EXCL:
            raise failure(errno.EROFS)
        flags &= ~os.O_CREAT
    found = open_file(place, flags, mode)
    if stat.S_ISDIR(os.fstat(found.descriptor).st_mode):
        grants = system.namespace.names_beneath(place.parts)
        return HostDirectory(found, mount.number, place.parts, _inodes(system), grants)
    return HostFile(found.descriptor, flags, mount.number, found.read_only, system.max_file_bytes)


def _inodes(system: System) -> InodeOf:
    def inode_of(parts: tuple[bytes, ...]) -> int:
        place = system.namespace.place(b"/" + b"/".join(parts))
        if place.mount is None:
            return virtual_status(place.parts).st_ino
        try:
            with place.found(follow=False) as found:
                return os.fstat(found.descriptor).st_ino
        except OSError:
            return 0

    return inode_of


def _own_file(system: System, place: Place) -> Description | None:
    """What every guest has at a path, unless it was granted something there; the root is not there."""
    if place.is_directory or (place.mount is not None and place.mount.parts):
        return None
    path = b"/" + b"/".join(place.parts)
    device = DEVICES.get(path)
    if device is not None:
        return device()
    if path in STREAMS:
        return system.descriptors[STREAMS[path]]
    if path == b"/etc/hosts" and system.network.exists:
        return TextFile(system.network.hosts_file())
    if path in etc.FILES and not _is_there(place):
        return DefaultFile(etc.FILES[path])
    return None


def _is_there(place: Place) -> bool:
    """In the directory that is the guest's root."""
    if place.mount is None:
        return False
    try:
        with place.found(follow=True):
            return True
    except OSError:
        return False


def stat_(system: System, memory: GuestMemory, path: int, result: int) -> int:
    return newfstatat(system, memory, AT_FDCWD, path, result, 0)


def lstat(system: System, memory: GuestMemory, path: int, result: int) -> int:
    return newfstatat(system, memory, AT_FDCWD, path, result, AT_SYMLINK_NOFOLLOW)


def newfstatat(
    system: System, memory: GuestMemory, directory: int, path: int, result: int, flags: int = 0
) -> int:
    text = memory.string(path & U64, 4096)
    if not text:
        if not flags & AT_EMPTY_PATH:
            raise failure(errno.ENOENT)
        description = system.descriptors[directory]
        number = description.mount_number if isinstance(description, HostFile) else 0
        memory.write(result & U64, pack_status(description.status(), number))
        return 0
    place = place_of(system, directory, text)
    memory.write(result & U64, status_of(system, place, not flags & AT_SYMLINK_NOFOLLOW))
    return 0


def status_of(system: System, place: Place, follow: bool) -> bytes:
    own = _own_file(system, place)
    if own is not None:
        return pack_status(own.status(), 0)
    if place.mount is None and system.namespace.exists_virtually(place.parts):
        return pack_status(virtual_status(place.parts), 0)
    with place.found(follow=follow) as found:
        return pack_status(os.fstat(found.descriptor), place.granted().number)


def access(system: System, memory: GuestMemory, path: int, mode: int) -> int:
    return faccessat(system, memory, AT_FDCWD, path, mode)


def faccessat(system: System, memory: GuestMemory, directory: int, path: int, mode: int) -> int:
    place = place_of(system, directory, read_path(memory, path))
    if place.mount is None or _own_file(system, place) is not None:
        status_of(system, place, True)
        return 0
    with place.found(follow=True) as found:
        if mode & os.W_OK:
            found.require_writable()
        if not os.access(f"/proc/self/fd/{found.descriptor}", mode & 7):
            raise failure(errno.EACCES)
    return 0


def readlink(system: System, memory: GuestMemory, path: int, buffer: int, size_bytes: int) -> int:
    return readlinkat(system, memory, AT_FDCWD, path, buffer, size_bytes)


def readlinkat(
    system: System, memory: GuestMemory, directory: int, path: int, buffer: int, size_bytes: int
) -> int:
    if size_bytes <= 0:
        raise failure(errno.EINVAL)
    place = place_of(system, directory, read_path(memory, path))
    if place.mount is None:
        status_of(system, place, True)
        raise failure(errno.EINVAL)
    with place.found(follow=False) as found:
        if not stat.S_ISLNK(os.fstat(found.descriptor).st_mode):
            raise failure(errno.EINVAL)
        target = os.readlink(b"", dir_fd=found.descriptor)[:size_bytes]
    memory.write(buffer & U64, target)
    return len(target)


def mkdir(system: System, memory: GuestMemory, path: int, mode: int) -> int:
    return mkdirat(system, memory, AT_FDCWD, path, mode)


def mkdirat(system: System, memory: GuestMemory, directory: int, path: int, mode: int) -> int:
    place = place_of(system, directory, read_path(memory, path))
    if not place.rest and (place.mount is not None or system.namespace.exists_virtually(place.parts)):
        raise failure(errno.EEXIST)
    with place.parent(errno.EEXIST, "directory") as entry:
        os.mkdir(entry.name, mode & 0o777 & ~system.umask, dir_fd=entry.directory)
    return 0


def unlink(system: System, memory: GuestMemory, path: int) -> int:
    return unlinkat(system, memory, AT_FDCWD, path, 0)


def rmdir(system: System, memory: GuestMemory, path: int) -> int:
    return unlinkat(system, memory, AT_FDCWD, path, AT_REMOVEDIR)


def unlinkat(system: System, memory: GuestMemory, directory: int, path: int, flags: int) -> int:
    if flags & ~AT_REMOVEDIR:
        raise failure(errno.EINVAL)
    place = place_of(system, directory, read_path(memory, path))
    dots = errno.EISDIR if not flags else errno.EINVAL if place.dots == b"." else errno.ENOTEMPTY
    with place.parent(dots) as entry:
        system.namespace.require_movable(entry)
        (os.rmdir if flags else os.unlink)(entry.name, dir_fd=entry.directory)
    return 0


def rename(system: System, memory: GuestMemory, old: int, new: int) -> int:
    return renameat2(system, memory, AT_FDCWD, old, AT_FDCWD, new, 0)


def renameat(system: System, memory: GuestMemory, old_dir: int, old: int, new_dir: int, new: int) -> int:
    return renameat2(system, memory, old_dir, old, new_dir, new, 0)


def renameat2(
    system: System, memory: GuestMemory, old_dir: int, old: int, new_dir: int, new: int, flags: int
) -> int:
    if flags:
        raise failure(errno.EINVAL)
    source = place_of(system, old_dir, read_path(memory, old))
    target = place_of(system, new_dir, read_path(memory, new))
    if source.mount is not target.mount:
        raise failure(errno.EXDEV)
    with source.parent(errno.EBUSY) as before, target.parent(errno.EBUSY) as after:
        system.namespace.require_movable(before)
        system.namespace.require_movable(after)
        if target.is_directory:  # nothing else moves to `new/`, though there is no `new` yet
            status = os.stat(before.name, dir_fd=before.directory, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode):
                raise failure(errno.ENOTDIR)
        after.require_fitting(before)
        followers = _followers(system, source.parts, target.parts)
        os.rename(before.name, after.name, src_dir_fd=before.directory, dst_dir_fd=after.directory)
        for directory, parts in followers:
            directory.parts = parts
    return 0


def _followers(system: System, old: Parts, new: Parts) -> list[tuple[HostDirectory | Namespace, Parts]]:
    """What relative paths begin at, and its path once a directory has its new name: open directories, and the
    working directory. They are looked up by their paths each time, so that all rules hold for them. Raises
    ENAMETOOLONG if one could not be looked up any more."""
    descriptions = {system.descriptors[number] for number in system.descriptors}
    found: list[tuple[HostDirectory | Namespace, Parts]] = []
    for directory in (system.namespace, *descriptions):
        if isinstance(directory, (HostDirectory, Namespace)) and directory.parts[: len(old)] == old:
            found.append((directory, new + directory.parts[len(old) :]))
            if sum(len(part) + 1 for part in found[-1][1]) >= PATH_MAX:
                raise failure(errno.ENAMETOOLONG)
    return found


def truncate(system: System, memory: GuestMemory, path: int, size_bytes: int) -> int:
    place = place_of(system, AT_FDCWD, read_path(memory, path))
    own = _own_file(system, place)
    if own is not None and not isinstance(own, DefaultFile):
        raise failure(errno.EINVAL)
    file = _newly_open(system, place, os.O_WRONLY, 0)
    try:
        file.truncate(size_bytes)
    finally:
        file.close()
    return 0


def chmod(system: System, memory: GuestMemory, path: int, mode: int) -> int:
    return fchmodat(system, memory, AT_FDCWD, path, mode)


def fchmodat(system: System, memory: GuestMemory, directory: int, path: int, mode: int) -> int:
    return fchmodat2(system, memory, directory, path, mode, 0)


def fchmodat2(system: System, memory: GuestMemory, directory: int, path: int, mode: int, flags: int) -> int:
    """Permission bits only: never set-user-ID and its like. A symbolic link has none."""
    if flags & ~AT_SYMLINK_NOFOLLOW:
        raise failure(errno.EINVAL)
    place = place_of(system, directory, read_path(memory, path))
    with place.found(follow=not flags) as found:
        if stat.S_ISLNK(os.fstat(found.descriptor).st_mode):
            raise failure(errno.EOPNOTSUPP)
        found.require_own()
        os.chmod(f"/proc/self/fd/{found.descriptor}", mode & 0o777)
    return 0


def utimensat(system: System, memory: GuestMemory, directory: int, path: int, times: int, flags: int) -> int:
    if not path:
        return _set_times(
            system, memory, f"/proc/self/fd/{system.descriptors[directory].writable_file()}", times
        )
    place = place_of(system, directory, read_path(memory, path))
    with place.found(follow=not flags & AT_SYMLINK_NOFOLLOW) as found:
        found.require_own()
        if stat.S_ISLNK(os.fstat(found.descriptor).st_mode):
            raise failure(errno.EOPNOTSUPP)
        return _set_times(system, memory, f"/proc/self/fd/{found.descriptor}", times)


def _set_times(system: System, memory: GuestMemory, path: str, times: int) -> int:
    now_ns = system.clock.realtime_ns()
    chosen = [now_ns, now_ns]
    if times:
        before = os.stat(path)
        kept = (before.st_atime_ns, before.st_mtime_ns)
        for index, (seconds, part) in enumerate(struct.iter_unpack("<2q", memory.read(times & U64, 32))):
            if part == UTIME_OMIT:
                chosen[index] = kept[index]
            elif part != UTIME_NOW:
                if not 0 <= part < 1_000_000_000:
                    raise failure(errno.EINVAL)
                chosen[index] = seconds * 1_000_000_000 + part
    os.utime(path, ns=(chosen[0], chosen[1]))
    return 0


def getcwd(system: System, memory: GuestMemory, buffer: int, size_bytes: int) -> int:
    path = b"/" + b"/".join(system.namespace.parts) + b"\0"
    if size_bytes & U64 < len(path):
        raise failure(errno.ERANGE)
    memory.write(buffer & U64, path)
    return len(path)


def chdir(system: System, memory: GuestMemory, path: int) -> int:
    place = place_of(system, AT_FDCWD, read_path(memory, path))
    if place.mount is not None:
        with place.found(follow=True) as found:
            if not stat.S_ISDIR(os.fstat(found.descriptor).st_mode):
                raise failure(errno.ENOTDIR)
    elif not system.namespace.exists_virtually(place.parts):
        raise failure(errno.ENOENT)
    system.namespace.parts = place.parts
    return 0


def fchdir(system: System, _memory: GuestMemory, descriptor: int) -> int:
    description = system.descriptors[descriptor]
    if not isinstance(description, (HostDirectory, VirtualDirectory)):
        raise failure(errno.ENOTDIR)
    system.namespace.parts = description.parts
    return 0
