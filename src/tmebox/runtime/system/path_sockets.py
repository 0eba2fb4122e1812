"""AF_UNIX streams of a guest's, by paths that were granted."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SECOND, SLICE_NS
from tmebox.runtime.system.network import Network
from tmebox.runtime.system.sockets import TcpSocket


def read_path(name: bytes) -> bytes:
    """Of a guest's sockaddr_un. Raises EINVAL, or EACCES for a name that is no path."""
    if len(name) < 3 or int.from_bytes(name[:2], "little") != socket.AF_UNIX:
        raise failure(errno.EINVAL)
    path = name[2:].partition(b"\0")[0]
    if not path:
        raise failure(errno.EACCES)
    return path


def pack_path(path: bytes) -> bytes:
    """A sockaddr_un as the kernel writes it."""
    return struct.pack("<H", socket.AF_UNIX) + (path + b"\0" if path else b"")


class PathSocket(TcpSocket):
    """Listens and connects as a TCP socket does, but names are paths, which the guest knows by its own."""

    def __init__(self, network: Network, flags: int) -> None:
        self._own_path = self._peer_path = b""
        super().__init__(network, socket.AF_UNIX, flags)

    def bind(self, name: bytes) -> None:
        path = read_path(name)
        if self._state != "new":
            raise failure(errno.EINVAL)
        self._become(self._network.paths.listener(path))
        self._state = "bound"
        self._own_path = path

    def connect(self, name: bytes) -> None:
        """Raises EAGAIN where the guest does not wait and the other side accepts nobody now."""
        path = read_path(name)
        if self._state != "new":
            raise failure(errno.EISCONN if self._state == "connected" else errno.EINVAL)
        try:
            self.socket.connect(self._network.paths.target(path))
        except BlockingIOError:
            if self.status_flags & os.O_NONBLOCK:
                raise
            time.sleep(SLICE_NS / SECOND)  # nothing tells when there is room
            raise failure(errno.EINTR) from None
        self._state = "connected"
        self._peer_path = path

    def own_name(self) -> bytes:
        return pack_path(self._own_path)

    def peer_name(self) -> bytes:
        if self._state != "connected":
            raise failure(errno.ENOTCONN)
        return pack_path(self._peer_path)
