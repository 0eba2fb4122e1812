"""A file that the core has opened, and that the host may not open once more: its mode or owner is another
now. It stays readable to the guest, as an open file does."""

from __future__ import annotations

import os

from tmebox.runtime.system.datapath import DataPath
from tmebox.runtime.system.descriptors import sought
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
        self._position = sought(self._position, self.status().st_size, offset, whence)
        return self._position
