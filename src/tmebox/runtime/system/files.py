"""Regular files and directories of the host, open for a guest."""

from __future__ import annotations

import errno
import os
import resource
import stat
import struct
import zlib
from collections.abc import Callable, Sequence

from tmebox import _native
from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.datapath import APPENDS, FILE, PLACED, READS, WRITES, DataPath
from tmebox.runtime.system.descriptors import Description, DirectoryEntries
from tmebox.runtime.system.process import OWNER

DT_UNKNOWN, DT_DIR, DT_REG, DT_LNK = 0, 4, 8, 10
O_LARGEFILE = 0o100000
"""As guests have it: Python says 0."""
BLOCK = 4096
STATUS_FLAGS = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK

HOSTS_SHARE = 2
"""One of so many descriptors of the process stays for the host, whatever its guests open."""


def opened() -> int:
    """How many of the host's descriptors guests of this process have for what they opened."""
    return _native.Descriptor.held()


def require_room() -> None:
    """Raise ENFILE if the guests of this process, all together, have as many files open as they may. Threads
    that open at once may go beyond by their number."""
    if opened() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] // HOSTS_SHARE:
        raise failure(errno.ENFILE)


class HostFile(Description):
    """A regular file. `descriptor` is ours to close. `read_only`: nothing about it may be changed."""

    def __init__(
        self, descriptor: int, flags: int, mount_number: int, read_only: bool, max_bytes: int
    ) -> None:
        self._own = _native.Descriptor(descriptor, counted=True)
        self._max_bytes = max_bytes
        self._read_only = read_only
        self.mount_number = mount_number
        self.status_flags = flags & STATUS_FLAGS
        self._can_write = flags & os.O_ACCMODE != os.O_RDONLY and not read_only
        self._is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def data_path(self) -> DataPath | None:
        if not self._is_regular:
            return None
        access = self.status_flags & os.O_ACCMODE
        flags = FILE | PLACED | (0 if access == os.O_WRONLY else READS) | (WRITES if self._can_write else 0)
        appends = APPENDS if self.status_flags & os.O_APPEND else 0
        return DataPath(self._descriptor, flags | appends, self._max_bytes, self.mount_number)

    @property
    def _descriptor(self) -> int:
        return self._own.number

    def read(self, size_bytes: int) -> bytes:
        return os.read(self._descriptor, size_bytes)

    def pread(self, size_bytes: int, position: int) -> bytes:
        return os.pread(self._descriptor, size_bytes, position)

    def write(self, data: bytes) -> int:
        here = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return os.write(self._descriptor, self._within_limit(data, here))

    def pwrite(self, data: bytes, position: int) -> int:
        return os.pwrite(self._descriptor, self._within_limit(data, position), position)

    def _within_limit(self, data: bytes, position: int) -> bytes:
        """Where everything is appended, whatever position a call names does not count."""
        if self.status_flags & os.O_APPEND:
            position = os.fstat(self._descriptor).st_size
        left = self._max_bytes - position
        if left <= 0 < len(data):
            raise failure(errno.EFBIG)
        return data[:left] if len(data) > left else data

    def seek(self, offset: int, whence: int) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def status(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def truncate(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise failure(errno.EFBIG)
        os.ftruncate(self._descriptor, size_bytes)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def host_descriptor(self) -> int | None:
        return self._descriptor

    def writable_file(self) -> int:
        if not self._can_write:
            raise failure(errno.EPERM)
        return self._descriptor

    def lockable_file(self) -> int | None:
        return None if self._read_only else self._descriptor

    def close(self) -> None:
        self._own.close()


Parts = tuple[bytes, ...]
InodeOf = Callable[[Parts], int]
"""What lstat() tells a guest of a path; 0 if nothing is there."""


class HostDirectory(HostFile):
    """A directory, open for reading its entries, as far as their names begin with `names`. inode_of: whose
    numbers they have. grants: names in it that are grants of their own."""

    def __init__(
        self,
        descriptor: int,
        mount_number: int,
        read_only: bool,
        parts: Parts,
        inode_of: InodeOf,
        names: bytes = b"",
        grants: Sequence[bytes] = (),
    ) -> None:
        super().__init__(descriptor, os.O_RDONLY | os.O_DIRECTORY, mount_number, read_only, 0)
        self.parts = parts
        self._inode_of = inode_of
        self._names = names
        self._grants = grants
        self._entries: DirectoryEntries | None = None

    def read(self, size_bytes: int) -> bytes:
        raise failure(errno.EISDIR)

    def pread(self, size_bytes: int, position: int) -> bytes:
        raise failure(errno.EISDIR)

    def entries(self) -> DirectoryEntries:
        if self._entries is None:
            here = (b".", os.fstat(self._descriptor).st_ino, DT_DIR)
            above = (b"..", self._inode_of(self.parts[:-1]), DT_DIR)
            self._entries = DirectoryEntries([here, above, *self._list()])
        return self._entries

    def _list(self) -> list[tuple[bytes, int, int]]:
        with os.scandir(self._descriptor) as found:
            rows = (self._row(item) for item in found)
            return sorted(row for row in rows if row[0].startswith(self._names))

    def _row(self, item: os.DirEntry[str]) -> tuple[bytes, int, int]:
        """The listing's own number may be another than the file's: of what is mounted, and in layers."""
        name = os.fsencode(item.name)
        if name in self._grants:
            return name, self._inode_of((*self.parts, name)), DT_DIR
        try:
            return name, item.stat(follow_symlinks=False).st_ino, _entry_type(item)
        except OSError:  # it is gone
            return name, item.inode(), DT_UNKNOWN

    def seek(self, offset: int, whence: int) -> int:
        return seek_entries(self, offset, whence)


class VirtualDirectory(Description):
    """The root, or a directory that exists only because a granted one lies beneath it."""

    status_flags = os.O_RDONLY

    def __init__(self, parts: Parts, names: list[bytes], inode_of: InodeOf) -> None:
        self.parts = parts
        paths = {b".": parts, b"..": parts[:-1], **{name: (*parts, name) for name in names}}
        self._entries = DirectoryEntries([(name, inode_of(path), DT_DIR) for name, path in paths.items()])

    def read(self, size_bytes: int) -> bytes:
        raise failure(errno.EISDIR)

    def entries(self) -> DirectoryEntries:
        return self._entries

    def seek(self, offset: int, whence: int) -> int:
        return seek_entries(self, offset, whence)

    def status(self) -> os.stat_result:
        return virtual_status(self.parts)


def seek_entries(directory: Description, offset: int, whence: int) -> int:
    """rewinddir() and seekdir(): a position is an index. Back at the start, HostDirectory lists afresh."""
    if whence != os.SEEK_SET or offset < 0:
        raise failure(errno.EINVAL)
    if offset == 0 and isinstance(directory, HostDirectory):
        directory._entries = None
        return 0
    entries = directory.entries()
    entries.position = min(offset, len(entries.rows))
    return entries.position


def virtual_status(parts: Parts) -> os.stat_result:
    """Each has a number of its own: programs that walk trees look whether they have been there."""
    number = 1 + (zlib.crc32(b"/".join(parts)) if parts else 0)
    return os.stat_result((stat.S_IFDIR | 0o555, number, 0, 2, 0, 0, BLOCK, 0, 0, 0))


def _entry_type(item: os.DirEntry[str]) -> int:
    if item.is_symlink():
        return DT_LNK
    if item.is_dir(follow_symlinks=False):
        return DT_DIR
    return DT_REG if item.is_file(follow_symlinks=False) else DT_UNKNOWN


def pack_entries(entries: DirectoryEntries, room_bytes: int) -> bytes:
    """struct linux_dirent64 rows from the position on, as many as fit; the position moves on."""
    packed = bytearray()
    while entries.position < len(entries.rows):
        name, inode, kind = entries.rows[entries.position]
        size_bytes = (19 + len(name) + 1 + 7) & ~7
        if len(packed) + size_bytes > room_bytes:
            if not packed:
                raise failure(errno.EINVAL)
            break
        entries.position += 1
        head = struct.pack("<QqHB", inode, entries.position, size_bytes, kind)
        packed += (head + name).ljust(size_bytes, b"\0")
    return bytes(packed)


def pack_status(status: os.stat_result, mount_number: int) -> bytes:
    """struct stat of x86-64. Owner and device are the guest's view, not the host's."""
    size, blocks = status.st_size, (status.st_size + 511) // 512
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return struct.pack(
        "<3Q4I4q6q24x",
        mount_number, status.st_ino, status.st_nlink,
        status.st_mode, OWNER, OWNER, 0,
        0, size, BLOCK, blocks,
        *(part for time_ns in times for part in divmod(time_ns or 0, 1_000_000_000)),
    )  # fmt: skip
