"""What a directory of the host lists, in pieces: a guest can make directories of any size, and open many."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.walking import ALL_NAMES, Names

SYS_GETDENTS64 = 217
DT_UNKNOWN, DT_DIR, DT_REG, DT_LNK = 0, 4, 8, 10
HEAD = struct.Struct("<QqHB")
"""Of a struct linux_dirent64: inode, where the next one is, size, kind. The name follows, and a NUL."""
PIECE_BYTES = 1 << 15
"""What the kernel is asked for at a time. What is shown of a directory is sorted, and kept, if it is less."""
PIECES_AT_ONCE = 32
"""So many in which no name is to be shown; then the guest has to ask again, so that its time limit holds."""
DOTS = (b".", b"..")


class Row(NamedTuple):
    """One entry. after: the position behind it."""

    name: bytes
    inode: int
    kind: int
    after: int

    @property
    def size_bytes(self) -> int:
        return (HEAD.size + len(self.name) + 1 + 7) & ~7

    def pack(self) -> bytes:
        """As struct linux_dirent64."""
        head = HEAD.pack(self.inode, self.after, self.size_bytes, self.kind)
        return (head + self.name).ljust(self.size_bytes, b"\0")


def unpack(data: bytes | bytearray, position: int) -> Row:
    inode, after, size_bytes, kind = HEAD.unpack_from(data, position)
    name = bytes(data[position + HEAD.size : position + size_bytes]).partition(b"\0")[0]
    return Row(name, inode, kind, after)


def rows_of(data: bytes | bytearray) -> Iterator[tuple[int, Row]]:
    """And where each begins."""
    position = 0
    while position < len(data):
        yield position, unpack(data, position)
        position += HEAD.unpack_from(data, position)[2]


class Listing:
    """Of an open directory, whose position it uses, as far as names begin with `names`.

    A small one is sorted, so that it does not depend on the host's file system, and positions are indexes.
    Another comes as the host has it, and positions are the host's. Which one it is is found out at the start
    and after rewind(). Each method raises EINTR if that, or finding a name to show, is not done yet.
    """

    def __init__(self, descriptor: int, names: Names) -> None:
        self._descriptor = descriptor
        self._names = names
        self._forget()

    def _forget(self) -> None:
        self._found = bytearray(b"".join(Row(name, 0, DT_DIR, 0).pack() for name in DOTS))
        self._order = array("H")
        self._index = 0
        self._is_known = self._is_small = False

    def rewind(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._forget()

    def seek(self, position: int) -> int:
        """To where a row said that the next one is."""
        self._find_out()
        if not self._is_small:
            return os.lseek(self._descriptor, position, os.SEEK_SET)
        self._index = min(position, len(self._order))
        return self._index

    def take(self, room_bytes: int) -> list[Row]:
        """The next rows, as many as fit, but not more than a piece; none at the end. Raises EINVAL if none
        fits."""
        self._find_out()
        room_bytes = min(room_bytes, PIECE_BYTES)
        return self._take_kept(room_bytes) if self._is_small else self._take_piece(room_bytes)

    def _find_out(self) -> None:
        """Whether this is a small one."""
        for _ in range(PIECES_AT_ONCE):
            if self._is_known:
                return
            piece = _getdents64(self._descriptor, PIECE_BYTES)
            for position, row in rows_of(piece) if self._may_show(piece) else ():
                if row.name not in DOTS and row.name.startswith(self._names):
                    self._found += piece[position : position + row.size_bytes]
            if len(self._found) > PIECE_BYTES:
                self._is_known = True
                self._found.clear()
                os.lseek(self._descriptor, 0, os.SEEK_SET)
            elif not piece:
                self._is_known = self._is_small = True
                rows = {position: row.name for position, row in rows_of(self._found)}
                self._order = array("H", sorted(rows, key=lambda at: (rows[at] not in DOTS, rows[at])))
        if not self._is_known:
            raise failure(errno.EINTR)

    def _may_show(self, piece: bytes) -> bool:
        """Most pieces of a directory in which few names are to be shown have none."""
        return self._names == ALL_NAMES or any(name in piece for name in self._names)

    def _take_kept(self, room_bytes: int) -> list[Row]:
        taken: list[Row] = []
        for index in range(self._index, len(self._order)):
            row = unpack(self._found, self._order[index])
            room_bytes -= row.size_bytes
            if room_bytes < 0:
                if not taken:
                    raise failure(errno.EINVAL)
                break
            taken.append(Row(row.name, row.inode, row.kind, index + 1))
        self._index += len(taken)
        return taken

    def _take_piece(self, room_bytes: int) -> list[Row]:
        for _ in range(PIECES_AT_ONCE):
            here = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            piece = _getdents64(self._descriptor, room_bytes if self._names == ALL_NAMES else PIECE_BYTES)
            taken: list[Row] = []
            for _, row in rows_of(piece) if here == 0 or self._may_show(piece) else ():
                if row.name in DOTS or row.name.startswith(self._names):
                    room_bytes -= row.size_bytes
                    if room_bytes < 0:
                        os.lseek(self._descriptor, here, os.SEEK_SET)
                        if not taken:
                            raise failure(errno.EINVAL)
                        break
                    taken.append(row)
                here = row.after
            if taken or not piece:
                return taken
        raise failure(errno.EINTR)


_libc = ctypes.CDLL(None, use_errno=True)


def _getdents64(descriptor: int, size_bytes: int) -> bytes:
    """Raises OSError."""
    room = ctypes.create_string_buffer(size_bytes)
    result = _libc.syscall(
        ctypes.c_long(SYS_GETDENTS64), ctypes.c_long(descriptor), room, ctypes.c_size_t(size_bytes)
    )
    if result < 0:
        raise failure(ctypes.get_errno())
    return room.raw[:result]
