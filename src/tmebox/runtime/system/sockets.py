"""Sockets of a guest's: connections, listeners, pairs, and pipes, which are pairs too.

A pipe is a pair of sockets whose ends go one way. Writing to a socket can be kept from raising SIGPIPE, which
would end a host that does not ignore it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.datapath import (
    CONNECTION,
    LISTENS,
    READS,
    SOCKET,
    WAITS,
    WRITES,
    DataPath,
)
from tmebox.runtime.system.descriptors import POLLIN, POLLOUT
from tmebox.runtime.system.kernel_objects import KernelObject, wait
from tmebox.runtime.system.network import Address, Network, address
from tmebox.runtime.system.socket_paths import SharedSocket
from tmebox.runtime.system.whole_reads import WholeReads
from tmebox.runtime.system.whole_writes import WholeWrites

NOW = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
PIECE_MAX = 1 << 18
"""Bytes that one system call moves to or from a socket at most."""
BACKLOG_MAX = 1024
SHUTDOWNS = (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR)


@dataclass(frozen=True)
class Received:
    """What recv() answers, and the flags that recvmsg() tells."""

    result: int
    flags: int = 0


Put = Callable[[int, bytes], None]
"""put(position, data): to the guest. Raises IndexError."""


class BorrowedSocket(socket.socket):
    """What Python does with a descriptor that something else closes. Python's own sockets close theirs when
    the garbage collector finalizes them, while other finalizers may still call the sandbox."""

    def __init__(self, like: socket.socket, descriptor: int) -> None:
        super().__init__(like.family, like.type, like.proto, descriptor)
        self.setblocking(False)  # the object, too: it would wait as long as the host's default is

    def __del__(self) -> None:
        """Instead of Python's, which closes it."""


class Stream(KernelObject):
    """One end of a connection."""

    moves = READS | WRITES
    kind = 0
    """LISTENS or CONNECTION, where it is one."""

    def __init__(self, own: socket.socket, flags: int = 0) -> None:
        """The socket is ours from now on."""
        self.socket = BorrowedSocket(own, own.fileno())
        self._reads = WholeReads()
        self.writes: WholeWrites = WholeWrites()
        super().__init__(own.detach(), flags)

    @property
    def _waits(self) -> bool:
        return not self.status_flags & os.O_NONBLOCK

    def data_path(self) -> DataPath | None:
        if self.socket.type != socket.SOCK_STREAM:
            return None  # what is read is one message
        return DataPath(self._descriptor, self.moves | self.kind | SOCKET | (WAITS if self._waits else 0))

    def read(self, size_bytes: int) -> bytes:
        return self.receive(size_bytes, 0)

    def write(self, data: bytes) -> int:
        return self.write_rest(data, 0)

    def write_rest(self, data: bytes, begun: int) -> int:
        if not self._waits or self.socket.type != socket.SOCK_STREAM:
            return begun + self.send(data[begun:], 0)

        def attempt(rest: memoryview) -> int | None:
            try:
                return self.socket.send(rest[:PIECE_MAX], NOW)
            except BlockingIOError:
                return None

        return self.writes.go(data, begun, attempt, lambda wait_ms: wait(self._descriptor, POLLOUT, wait_ms))

    def receive(self, size_bytes: int, flags: int) -> bytes:
        """flags: of recv(), as far as a guest has a say in them."""
        kept = flags & socket.MSG_PEEK
        room = min(size_bytes, PIECE_MAX)
        if flags & socket.MSG_DONTWAIT:
            return self.socket.recv(room, kept | NOW)
        return self.patiently(POLLIN, lambda: self.socket.recv(room, kept | NOW))

    def deliver(self, call: tuple[int, int], flags: int, put: Put) -> Received:
        """recv(), without losing what cannot be put: it is taken from the socket once the guest has it.

        call: where to, and how many bytes at most."""
        size_bytes = call[1]
        if self.socket.type != socket.SOCK_STREAM:
            return self._deliver_message(size_bytes, flags, put)
        takes = not flags & socket.MSG_PEEK

        def attempt(done: int) -> int:
            data = self.receive(size_bytes - done, flags | socket.MSG_PEEK)
            put(done, data)
            if takes:
                self.socket.recv(len(data), NOW)
            return len(data)

        if takes and flags & socket.MSG_WAITALL:
            return Received(self._reads.go(call, size_bytes, attempt))
        return Received(attempt(0))

    def _deliver_message(self, size_bytes: int, flags: int, put: Put) -> Received:
        """The rest of a message that is longer is lost; MSG_TRUNC tells how long it was."""
        room = min(size_bytes, PIECE_MAX)
        buffer = bytearray(room or 1)

        def attempt() -> int:
            return self.socket.recv_into(buffer, 0, socket.MSG_PEEK | socket.MSG_TRUNC | NOW)

        length = attempt() if flags & socket.MSG_DONTWAIT else self.patiently(POLLIN, attempt)
        count = min(length, room)
        put(0, bytes(buffer[:count]))
        if not flags & socket.MSG_PEEK:
            self.socket.recv(1, NOW)
        cut = socket.MSG_TRUNC if length > room else 0
        return Received(length if flags & socket.MSG_TRUNC else count, cut)

    def send(self, data: bytes, flags: int) -> int:
        piece = memoryview(data)[:PIECE_MAX]
        kept = flags & (socket.MSG_OOB | socket.MSG_MORE)
        if flags & socket.MSG_DONTWAIT:
            return self.socket.send(piece, kept | NOW)
        return self.patiently(POLLOUT, lambda: self.socket.send(piece, kept | NOW))

    def status(self) -> os.stat_result:
        return os.stat_result((stat.S_IFSOCK | 0o777, 1, 0, 1, 0, 0, 0, 0, 0, 0))

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        """One that the guest may set: `socket_options` decides."""
        self.socket.setsockopt(level, option, value)

    def shutdown(self, how: int) -> None:
        if how not in SHUTDOWNS:
            raise failure(errno.EINVAL)
        self.socket.shutdown(how)

    def own_name(self) -> bytes:
        return pack_name(self.socket.family, self.socket.getsockname())

    def peer_name(self) -> bytes:
        return pack_name(self.socket.family, self.socket.getpeername())

    def unread_bytes(self) -> int:
        """FIONREAD"""
        return len(self._peeked())

    def _peeked(self) -> bytes:
        try:
            return self.socket.recv(PIECE_MAX, socket.MSG_PEEK | NOW)
        except OSError:
            return b""

    def release(self) -> None:
        self.socket.detach()  # the number may be another file's from here on
        super().release()


class Connection(Stream):
    """One that was accepted."""

    kind = CONNECTION


class PipeEnd(Stream):
    """One end of a pipe. `status_flags` say which."""

    def __init__(self, own: socket.socket, access: int, flags: int) -> None:
        own.shutdown(socket.SHUT_WR if access == os.O_RDONLY else socket.SHUT_RD)
        super().__init__(own, flags)
        self.status_flags = access | flags & os.O_NONBLOCK
        self.moves = READS if access == os.O_RDONLY else WRITES

    def receive(self, size_bytes: int, flags: int) -> bytes:
        self._require(os.O_RDONLY)
        return super().receive(size_bytes, flags)

    def write_rest(self, data: bytes, begun: int) -> int:
        self._require(os.O_WRONLY)
        return super().write_rest(data, begun)

    def _require(self, access: int) -> None:
        if self.status_flags & os.O_ACCMODE != access:
            raise failure(errno.EBADF)

    def status(self) -> os.stat_result:
        return os.stat_result((stat.S_IFIFO | 0o600, 1, 0, 1, 0, 0, 0, 0, 0, 0))


def pipe(flags: int) -> tuple[PipeEnd, PipeEnd]:
    """Reading end, writing end."""
    left, right = socket.socketpair()
    return PipeEnd(left, os.O_RDONLY, flags), PipeEnd(right, os.O_WRONLY, flags)


class TcpSocket(Stream):
    """What socket() gives: nothing of the network until it is bound to, or connected to, what was granted."""

    def __init__(self, network: Network, family: int, flags: int) -> None:
        self._network = network
        self._options: dict[tuple[int, int], int | bytes] = {}
        """What the guest has set while it was new: as many as there are options, however often it does."""
        self._state = "new"
        self._is_shared = False
        super().__init__(socket.socket(family, socket.SOCK_STREAM), flags)

    def set_option(self, level: int, option: int, value: int | bytes) -> None:
        super().set_option(level, option, value)
        if self._state == "new":
            self._options[level, option] = value

    def bind(self, name: bytes) -> None:
        """name: a sockaddr of the guest's. As a client that only wants an address of its own: the kernel
        chooses when it connects."""
        wanted = read_name(name, self.socket.family)
        if self._state != "new":
            raise failure(errno.EINVAL)
        if wanted.port == 0 and not self._network.bound:
            return
        self._become(self._network.listener(wanted))
        self._state = "bound"

    def _become(self, other: socket.socket) -> None:
        """The same descriptor is another open file from now on; whoever watched it has to add it anew."""
        for (level, option), value in self._options.items():
            other.setsockopt(level, option, value)
        os.dup2(other.fileno(), self._descriptor, inheritable=False)
        self.socket = BorrowedSocket(other, self._descriptor)
        other.close()
        self._is_shared = isinstance(other, SharedSocket)

    def listen(self, backlog: int) -> None:
        if self._state not in ("bound", "listening"):
            raise failure(errno.EACCES)
        self.socket.listen(min(max(backlog, 0), BACKLOG_MAX))
        self._state = "listening"
        self.kind = 0 if self._is_shared else LISTENS  # the core trusts that its descriptors do not wait

    def shutdown(self, how: int) -> None:
        """Where it listens, the host listens, too: the guest's descriptor forgets it, the socket goes on."""
        if self._state not in ("bound", "listening"):
            super().shutdown(how)
        elif self._state == "bound":
            raise failure(errno.ENOTCONN)
        elif how not in SHUTDOWNS:
            raise failure(errno.EINVAL)
        elif how != socket.SHUT_WR:
            self._state, self.kind = "bound", 0

    def accept(self, flags: int) -> tuple[Stream, bytes]:
        """The connection, and the packed name of who connected."""
        if self._state != "listening":
            raise failure(errno.EINVAL)
        connection, where = self.patiently(POLLIN, self._accept_now)
        return Connection(connection, flags), pack_name(connection.family, where)

    def _accept_now(self) -> tuple[socket.socket, Sequence[object]]:
        """Never waits, whatever somebody else has made of an open file that is theirs, too."""
        if self._is_shared:
            if not self.ready(POLLIN):
                raise failure(errno.EAGAIN)
            self.socket.setblocking(False)
        return self.socket.accept()

    def connect(self, name: bytes) -> None:
        """name: a sockaddr of the guest's. Raises EINPROGRESS where the guest does not wait, else EINTR until
        it is there."""
        wanted = read_name(name, self.socket.family)
        if self._state == "connecting":
            self._wait_for_connection(wanted)
            return
        if self._state != "new":
            raise failure(errno.EISCONN if self._state == "connected" else errno.EINVAL)
        self._network.require_reachable(wanted)
        try:
            self.socket.connect(wanted.for_socket)
        except BlockingIOError:
            self._state = "connecting"
            if self.status_flags & os.O_NONBLOCK:
                raise failure(errno.EINPROGRESS) from None
            self._wait_for_connection(wanted)
            return
        self._state = "connected"

    def _wait_for_connection(self, wanted: Address) -> None:
        """Asking again tells how it went, and makes the socket ready for another attempt."""
        try:
            self.patiently(POLLOUT, lambda: self.socket.connect(wanted.for_socket))
        except OSError as error:
            if error.errno in (errno.EALREADY, errno.EINTR):
                raise
            self._state = "connected" if error.errno == errno.EISCONN else "new"
            if error.errno != errno.EISCONN:
                raise
        else:
            self._state = "connected"


def pack_name(family: int, where: Sequence[object] | str | bytes) -> bytes:
    """A sockaddr as the kernel writes it; of a pair, only its family."""
    if family not in (socket.AF_INET, socket.AF_INET6) or isinstance(where, (str, bytes)):
        return struct.pack("<H", family)
    found = address(family, where)
    if family == socket.AF_INET:
        return struct.pack("<H", family) + struct.pack(">H", found.port) + found.host + bytes(8)
    return struct.pack("<H", family) + struct.pack(">HI", found.port, 0) + found.host + bytes(4)


NAME_SIZES: dict[int, int] = {socket.AF_INET: 16, socket.AF_INET6: 24}
"""Bytes that a sockaddr has at least; the scope of an IPv6 address may be missing."""


def read_name(data: bytes, family: int) -> Address:
    """A guest's sockaddr for a socket of this family. Raises EINVAL or EAFNOSUPPORT, as the kernel does."""
    if len(data) < NAME_SIZES[family]:
        raise failure(errno.EINVAL)
    if int.from_bytes(data[:2], "little") != family:
        raise failure(errno.EAFNOSUPPORT)
    start, size = (4, 4) if family == socket.AF_INET else (8, 16)
    return Address(family, data[start : start + size], int.from_bytes(data[2:4], "big"))
