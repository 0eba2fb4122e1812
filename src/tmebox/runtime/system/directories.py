"""Directories that are open for a guest: the host's, and those that exist because a grant lies beneath."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Callable, Sequence

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.descriptors import Description
from tmebox.runtime.system.files import BLOCK, HostFile
from tmebox.runtime.system.listing import DT_DIR, DT_LNK, DT_REG, DT_UNKNOWN, Listing, Row
from tmebox.runtime.system.walking import ALL_NAMES, Found

Parts = tuple[bytes, ...]
InodeOf = Callable[[Parts], int]
"""What lstat() tells a guest of a path; 0 if nothing is there."""
KINDS = {stat.S_IFDIR: DT_DIR, stat.S_IFREG: DT_REG, stat.S_IFLNK: DT_LNK}


class HostDirectory(HostFile):
    """A directory of the host, open for reading its entries, as far as their names are the guest's. inode_of:
    whose numbers they have. grants: names in it that are grants of their own."""

    def __init__(
        self, found: Found, mount_number: int, parts: Parts, inode_of: InodeOf, grants: Sequence[bytes] = ()
    ) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY
        super().__init__(found.descriptor, flags, mount_number, found.read_only, 0)
        self.parts = parts
        self._is_own = found.names == ALL_NAMES
        self._inode_of = inode_of
        self._grants = grants
        self._listing = Listing(found.descriptor, found.names)

    def read(self, size_bytes: int) -> bytes:
        raise failure(errno.EISDIR)

    def pread(self, size_bytes: int, position: int) -> bytes:
        raise failure(errno.EISDIR)

    def writable_file(self) -> int:
        if not self._is_own:
            raise failure(errno.EPERM)
        return super().writable_file()

    def lockable_file(self) -> int | None:
        return super().lockable_file() if self._is_own else None

    def entries(self, room_bytes: int) -> bytes:
        return b"".join([self._shown(row).pack() for row in self._listing.take(room_bytes)])

    def _shown(self, row: Row) -> Row:
        """The listing's own number may be another than the file's: of what is mounted, and in layers."""
        name = row.name
        if name == b".":
            return Row(name, os.fstat(self._descriptor).st_ino, DT_DIR, row.after)
        if name == b"..":
            return Row(name, self._inode_of(self.parts[:-1]), DT_DIR, row.after)
        if name in self._grants:
            return Row(name, self._inode_of((*self.parts, name)), DT_DIR, row.after)
        try:
            status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except OSError:  # it is gone
            return Row(name, row.inode, DT_UNKNOWN, row.after)
        return Row(name, status.st_ino, KINDS.get(stat.S_IFMT(status.st_mode), DT_UNKNOWN), row.after)

    def seek(self, offset: int, whence: int) -> int:
        """rewinddir(), which lists afresh, and seekdir()."""
        if whence != os.SEEK_SET or offset < 0:
            raise failure(errno.EINVAL)
        if offset:
            return self._listing.seek(offset)
        self._listing.rewind()
        return 0


class VirtualDirectory(Description):
    """The root, or a directory that exists only because a granted one lies beneath it."""

    status_flags = os.O_RDONLY

    def __init__(self, parts: Parts, names: list[bytes], inode_of: InodeOf) -> None:
        self.parts = parts
        paths = {b".": parts, b"..": parts[:-1], **{name: (*parts, name) for name in names}}
        self._rows = [
            Row(name, inode_of(path), DT_DIR, at) for at, (name, path) in enumerate(paths.items(), 1)
        ]
        self._position = 0

    def read(self, size_bytes: int) -> bytes:
        raise failure(errno.EISDIR)

    def entries(self, room_bytes: int) -> bytes:
        packed = b""
        for row in self._rows[self._position :]:
            if len(packed) + row.size_bytes > room_bytes:
                if not packed:
                    raise failure(errno.EINVAL)
                break
            packed += row.pack()
            self._position = row.after
        return packed

    def seek(self, offset: int, whence: int) -> int:
        if whence != os.SEEK_SET or offset < 0:
            raise failure(errno.EINVAL)
        self._position = min(offset, len(self._rows))
        return self._position

    def status(self) -> os.stat_result:
        return virtual_status(self.parts)


def virtual_status(parts: Parts) -> os.stat_result:
    """Each has a number of its own: programs that walk trees look whether they have been there."""
    number = 1 + (zlib.crc32(b"/".join(parts)) if parts else 0)
    return os.stat_result((stat.S_IFDIR | 0o555, number, 0, 2, 0, 0, BLOCK, 0, 0, 0))
