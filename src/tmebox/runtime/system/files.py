"""Regular files of the host, open for a guest, and what directories have in common with them."""

from __future__ import annotations

import errno
import os
import resource
import stat
import struct

from tmebox import _native
from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.datapath import APPENDS, FILE, PLACED, READS, WRITES, DataPath
from tmebox.runtime.system.descriptors import Description
from tmebox.runtime.system.process import OWNER

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
    """A regular file, or a directory. `descriptor` is ours to close. `read_only`: nothing about it may be
    changed."""

    def __init__(
        self, descriptor: int, flags: int, mount_number: int, read_only: bool, max_bytes: int
    ) -> None:
        self._own = _native.Descriptor(descriptor, counted=True)
        self._max_bytes = max_bytes
        self.read_only = read_only
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
        self._require_open_for_writing()
        here = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        return os.write(self._descriptor, self._within_limit(data, here))

    def pwrite(self, data: bytes, position: int) -> int:
        self._require_open_for_writing()
        return os.pwrite(self._descriptor, self._within_limit(data, position), position)

    def _require_open_for_writing(self) -> None:
        """Before the limit on sizes is asked: there is none to reach."""
        if not self._can_write:
            raise failure(errno.EBADF)

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
        if not self._can_write:
            raise failure(errno.EINVAL)
        if size_bytes > self._max_bytes:
            raise failure(errno.EFBIG)
        os.ftruncate(self._descriptor, size_bytes)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def host_descriptor(self) -> int | None:
        return self._descriptor

    def writable_file(self) -> int:
        """Also of one that is open for reading only: an owner may change what others see of a file."""
        if self.read_only:
            raise failure(errno.EROFS)
        return self._descriptor

    def lockable_file(self) -> int | None:
        return None if self.read_only else self._descriptor

    def release(self) -> None:
        self._own.close()


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
