"""A file that the core has opened, and that the host may not open once more: its mode or owner is another
now. It stays readable to the guest, as an open file does."""

from __future__ import annotations

import errno
import os

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.datapath import DataPath
from tmebox.runtime.system.files import HostFile


class SharedFile(HostFile):
    """It shares the core's open file, so its position is its own: only Python reads it."""

    def __init__(
        self, descriptor: int, flags: int, mount_number: int, read_only: bool, position: int
    ) -> None:
        super().__init__(descriptor, os.O_RDONLY | flags, mount_number, read_only, max_bytes=0)
        self._position = position

    def lockable_file(self) -> int | None:
        return None

    def data_path(self) -> DataPath | None:
        return None

    def read(self, size_bytes: int) -> bytes:
        data = self.pread(size_bytes, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int) -> int:
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.status().st_size}
        if whence not in bases or not 0 <= bases[whence] + offset < 1 << 63:
            raise failure(errno.EINVAL)
        self._position = bases[whence] + offset
        return self._position
