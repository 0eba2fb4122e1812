"""A guest without a sandbox: memory that is a bytearray, and system calls made by name."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from typing import Any

from tmebox.runtime.system import System
from tmebox.runtime.system.table import TABLE

BASE = 0x100000
NUMBERS = {call.name: number for number, call in TABLE.items()}


class FakeMemory:
    """64 KiB at BASE; everything else is a bad pointer."""

    def __init__(self, size_bytes: int = 1 << 16) -> None:
        self.bytes = bytearray(size_bytes)
        self.discarded: list[tuple[int, int]] = []

    def _check(self, offset: int, size_bytes: int) -> int:
        if size_bytes < 0 or not BASE <= offset <= BASE + len(self.bytes) - size_bytes:
            raise IndexError(hex(offset))
        return offset - BASE

    def read(self, offset: int, size_bytes: int) -> bytes:
        start = self._check(offset, size_bytes)
        return bytes(self.bytes[start : start + size_bytes])

    def write(self, offset: int, data: Any) -> None:
        start = self._check(offset, len(data))
        self.bytes[start : start + len(data)] = data

    def string(self, offset: int, limit: int) -> bytes:
        end = self.bytes.find(b"\0", self._check(offset, 1), offset - BASE + limit + 1)
        if end < 0:
            raise IndexError("no end")
        return bytes(self.bytes[offset - BASE : end])


class DiscardingMemory(FakeMemory):
    def discard(self, offset: int, size_bytes: int) -> None:
        start = self._check(offset, size_bytes)
        self.bytes[start : start + size_bytes] = bytes(size_bytes)


class Guest:
    """Makes system calls as libc would: strings and buffers are placed in memory, results are numbers."""

    def __init__(self, system: System | None = None, memory: FakeMemory | None = None) -> None:
        self.system = system or System()
        self.memory = memory or FakeMemory()
        self._free = BASE

    def place(self, data: bytes) -> int:
        offset = self._free
        self._free += (len(data) + 15) & ~15
        self.memory.write(offset, data)
        return offset

    def room(self, size_bytes: int) -> int:
        return self.place(bytes(size_bytes))

    def __call__(self, name: str, *arguments: int | str | bytes) -> int:
        """Negative errno for failure. Strings become pointers to NUL-terminated copies, bytes to copies."""
        self._free = max(self._free, BASE)
        before = self._free
        numbers = []
        for argument in arguments:
            data = (
                argument.encode("utf-8", "surrogateescape") + b"\0" if isinstance(argument, str) else argument
            )
            numbers.append(self.place(data) if isinstance(data, bytes) else data)
        numbers += [0] * (6 - len(numbers))
        result = self.system.handle(self.memory, NUMBERS[name], tuple(numbers))
        self._free = before
        return result

    def open(self, path: str, flags: int = 0, mode: int = 0o644) -> int:
        return self("open", path, flags, mode)

    def read(self, descriptor: int, size_bytes: int = 4096) -> bytes:
        """Raises OSError for a negative result."""
        buffer = self.room(size_bytes)
        count = succeed(self("read", descriptor, buffer, size_bytes))
        self._free = buffer
        return self.memory.read(buffer, count)

    def write(self, descriptor: int, data: bytes) -> int:
        return self("write", descriptor, data, len(data))

    def contents(self, path: str) -> bytes:
        descriptor = succeed(self.open(path))
        data = self.read(descriptor)
        assert self("close", descriptor) == 0
        return data

    def stat(self, path: str, call: str = "stat") -> dict[str, int]:
        result = self.room(144)
        succeed(self(call, path, result))
        fields = struct.unpack("<3Q4I4q6q24x", self.memory.read(result, 144))
        self._free = result
        names = ("dev", "ino", "nlink", "mode", "uid", "gid", "pad", "rdev", "size", "blksize", "blocks")
        return dict(zip(names, fields, strict=False))

    def names(self, path: str) -> list[str]:
        descriptor = succeed(self.open(path, 0o200000))
        buffer = self.room(512)
        found = []
        while count := succeed(self("getdents64", descriptor, buffer, 512)):
            found += [name.decode() for name in entry_names(self.memory.read(buffer, count))]
        self._free = buffer
        self("close", descriptor)
        return found


def entry_names(data: bytes) -> Sequence[bytes]:
    found = []
    while data:
        size_bytes = struct.unpack_from("<H", data, 16)[0]
        found.append(data[19:size_bytes].split(b"\0")[0])
        data = data[size_bytes:]
    return found


def succeed(result: int) -> int:
    if result < 0:
        raise OSError(-result, errno.errorcode.get(-result, "?"))
    return result
