"""Granted directories, and opening what lies beneath them and nothing else.

A guest path is made absolute against the guest's working directory and cleaned by its text (`a/..` is
nothing, whatever `a` is), so no `..` ever reaches the kernel from a guest. The longest granted directory it
starts with decides; the rest is opened beneath that directory's descriptor by openat2 with RESOLVE_BENEATH,
so that symbolic links, their targets' `..` and renames meanwhile cannot lead out. Kernels without openat2 get
a walk that follows no symbolic link at all. /proc must be mounted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tmebox.runtime.system.calls import failure

SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
RETRIES = 16
"""openat2 gives EAGAIN when a directory is renamed while it resolves; a create races with a removal alike."""


@dataclass(frozen=True)
class Directory:
    """A directory of the host that a guest sees at `guest_path`, which is taken as absolute."""

    host_path: str | os.PathLike[str]
    guest_path: str
    read_only: bool = False


@dataclass(frozen=True)
class Mount:
    """An opened grant. `parts` is its guest path, split."""

    descriptor: int
    parts: tuple[bytes, ...]
    read_only: bool
    number: int


@dataclass(frozen=True)
class Place:
    """A guest path, found: `rest` beneath `mount`. Without mount it is above or beside all grants."""

    mount: Mount | None
    rest: tuple[bytes, ...]
    parts: tuple[bytes, ...]

    @property
    def relative(self) -> bytes:
        return b"/".join(self.rest) or b"."

    def writable(self) -> Mount:
        """The mount, if things may be changed there."""
        mount = self.readable()
        if mount.read_only:
            raise failure(errno.EROFS)
        return mount

    def readable(self) -> Mount:
        if self.mount is None:
            raise failure(errno.ENOENT)
        return self.mount


class Namespace:
    """A guest's view of the file system: its grants and its working directory."""

    def __init__(self, directories: Sequence[Directory]) -> None:
        self.working: tuple[bytes, ...] = ()
        self._mounts: list[Mount] = []
        try:
            for number, item in enumerate(directories, 1):
                parts = clean((), os.fsencode(item.guest_path))
                descriptor = os.open(item.host_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                self._mounts.append(Mount(descriptor, parts, item.read_only, number))
        except BaseException:
            self.close()
            raise
        self._mounts.sort(key=lambda mount: -len(mount.parts))

    def place(self, path: bytes, base: tuple[bytes, ...] | None = None) -> Place:
        """Where a guest path leads; `base` is what it is relative to instead of the working directory."""
        parts = clean(self.working if base is None else base, path)
        for mount in self._mounts:
            length = len(mount.parts)
            if parts[:length] == mount.parts:
                return Place(mount, parts[length:], parts)
        return Place(None, (), parts)

    def names_beneath(self, parts: tuple[bytes, ...]) -> list[bytes]:
        """Next path components of the grants beneath `parts`."""
        length = len(parts)
        return sorted(
            {m.parts[length] for m in self._mounts if m.parts[:length] == parts and len(m.parts) > length}
        )

    def exists_virtually(self, parts: tuple[bytes, ...]) -> bool:
        """Whether this is the root or a directory that exists only because a grant lies beneath it."""
        return not parts or bool(self.names_beneath(parts))

    def close(self) -> None:
        mounts, self._mounts = self._mounts, []
        for mount in mounts:
            os.close(mount.descriptor)

    def __del__(self) -> None:
        self.close()


def clean(base: tuple[bytes, ...], path: bytes) -> tuple[bytes, ...]:
    """Absolute components without ".", ".." and empty ones; ".." at the root stays there."""
    parts = [] if path.startswith(b"/") else list(base)
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return tuple(parts)


@lru_cache(maxsize=1)
def _has_openat2() -> bool:
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(_openat2(root, b".", os.O_PATH | os.O_CLOEXEC, 0))
    except OSError:
        return False
    finally:
        os.close(root)
    return True


_libc = ctypes.CDLL(None, use_errno=True)


def _openat2(directory: int, path: bytes, flags: int, mode: int) -> int:
    how = struct.pack("<3Q", flags, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    result = _libc.syscall(
        ctypes.c_long(SYS_OPENAT2), ctypes.c_long(directory), path, how, ctypes.c_size_t(len(how))
    )
    if result < 0:
        raise failure(ctypes.get_errno())
    return int(result)


def open_beneath(directory: int, path: bytes, flags: int, mode: int = 0) -> int:
    """A host descriptor (close-on-exec) of `path`, which has no `..`, beneath `directory`.

    Raises OSError; EACCES for what would lead out.
    """
    flags |= os.O_CLOEXEC
    if not _has_openat2():
        return _walk(directory, path, flags, mode)
    for _ in range(RETRIES):
        try:
            return _openat2(directory, path, flags, mode)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise failure(errno.EACCES) from None
            if error.errno != errno.EAGAIN:
                raise
    raise failure(errno.EAGAIN)


def _walk(directory: int, path: bytes, flags: int, mode: int) -> int:
    """Component by component, refusing every symbolic link."""
    *parents, name = path.split(b"/")
    here = os.dup(directory)
    try:
        for part in parents:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        found = os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=here)
    finally:
        os.close(here)
    # O_PATH with O_NOFOLLOW opens the link itself: fine for whoever asked for that, an error for the rest.
    if not flags & os.O_NOFOLLOW and stat.S_ISLNK(os.fstat(found).st_mode):
        os.close(found)
        raise failure(errno.ELOOP)
    return found


def reopen(located: int, flags: int) -> int:
    """A usable descriptor of the regular file or directory that an O_PATH descriptor names.

    Nothing else is ever opened: opening a device can act, opening a pipe can hang. Raises EACCES for those.
    """
    mode = os.fstat(located).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise failure(errno.ELOOP if stat.S_ISLNK(mode) else errno.EACCES)
    return os.open(f"/proc/self/fd/{located}", flags | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)


def open_file(mount: Mount, path: bytes, flags: int, mode: int) -> int:
    """open() beneath a mount: a host descriptor of a regular file or directory, created if `flags` say so."""
    create = flags & os.O_CREAT
    follow = flags & os.O_NOFOLLOW
    rest = flags & (os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_DIRECTORY)
    for _ in range(RETRIES):
        if not (create and flags & os.O_EXCL):
            try:
                located = open_beneath(mount.descriptor, path, os.O_PATH | follow)
            except FileNotFoundError:
                if not create:
                    raise
            else:
                try:
                    return reopen(located, rest)
                finally:
                    os.close(located)
        try:
            # With O_EXCL this makes a regular file or fails; it never opens what is there.
            new = rest & ~os.O_TRUNC | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            return open_beneath(mount.descriptor, path, new, mode)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
    raise failure(errno.EEXIST)


def open_parent(mount: Mount, rest: tuple[bytes, ...]) -> tuple[int, bytes]:
    """An O_PATH descriptor of the directory that holds the last component, and that component."""
    if not rest:
        raise failure(errno.EBUSY)
    parent = b"/".join(rest[:-1]) or b"."
    return open_beneath(mount.descriptor, parent, os.O_PATH | os.O_DIRECTORY), rest[-1]
