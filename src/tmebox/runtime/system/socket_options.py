"""Options of sockets: which ones a guest may set and read."""

from __future__ import annotations

import errno
import socket
import struct

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.sockets import Stream

BUFFER_MAX = 1 << 20
"""Of SO_SNDBUF and SO_RCVBUF."""
IP_BIND_ADDRESS_NO_PORT = 24
SOL_TCP, SOL_IPV6 = socket.IPPROTO_TCP, socket.IPPROTO_IPV6
SETTABLE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.SOL_SOCKET, socket.SO_SNDBUF): BUFFER_MAX,
    (socket.SOL_SOCKET, socket.SO_RCVBUF): BUFFER_MAX,
    (socket.SOL_SOCKET, socket.SO_OOBINLINE): 1,
    (SOL_TCP, socket.TCP_NODELAY): 1,
    (SOL_TCP, socket.TCP_CORK): 1,
    (SOL_TCP, socket.TCP_KEEPIDLE): 32767,
    (SOL_TCP, socket.TCP_KEEPINTVL): 32767,
    (SOL_TCP, socket.TCP_KEEPCNT): 127,
    (SOL_TCP, socket.TCP_QUICKACK): 1,
    (SOL_TCP, socket.TCP_USER_TIMEOUT): 1 << 30,
}
"""(level, option) → greatest value. All are ints."""
IGNORED = frozenset(
    {
        (socket.SOL_SOCKET, socket.SO_REUSEADDR),
        (socket.SOL_SOCKET, socket.SO_REUSEPORT),
        (SOL_TCP, socket.TCP_DEFER_ACCEPT),
        (SOL_IPV6, socket.IPV6_V6ONLY),
        (socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT),
    }
)
"""Accepted without an effect: who binds is the host."""
READABLE = frozenset(
    {
        *SETTABLE,
        (socket.SOL_SOCKET, socket.SO_TYPE),
        (socket.SOL_SOCKET, socket.SO_ERROR),
        (socket.SOL_SOCKET, socket.SO_ACCEPTCONN),
        (socket.SOL_SOCKET, socket.SO_DOMAIN),
        (socket.SOL_SOCKET, socket.SO_PROTOCOL),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR),
        (socket.SOL_SOCKET, socket.SO_BROADCAST),
    }
)
LINGER = struct.Struct("<2i")


def set_option(description: Stream, level: int, option: int, data: bytes) -> None:
    """setsockopt. Raises ENOPROTOOPT for what is not in a table."""
    if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
        _set_linger(description, data)
        return
    if (level, option) in IGNORED:
        return
    greatest = SETTABLE.get((level, option))
    if greatest is None:
        raise failure(errno.ENOPROTOOPT)
    if len(data) < 4:
        raise failure(errno.EINVAL)
    value = min(max(int.from_bytes(data[:4], "little", signed=True), 0), greatest)
    description.set_option(level, option, value)


def _set_linger(description: Stream, data: bytes) -> None:
    """At once or not at all: close() of a socket that lingers waits, whatever the guest's time limit is."""
    if len(data) < LINGER.size:
        raise failure(errno.EINVAL)
    on, seconds = LINGER.unpack(data[: LINGER.size])
    aborts = bool(on) and seconds == 0
    description.set_option(socket.SOL_SOCKET, socket.SO_LINGER, LINGER.pack(aborts, 0))


def get_option(description: Stream, level: int, option: int) -> bytes:
    """getsockopt, of ints. Raises ENOPROTOOPT for what is not in a table."""
    if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
        return description.socket.getsockopt(level, option, LINGER.size)
    if (level, option) not in READABLE:
        raise failure(errno.ENOPROTOOPT)
    return description.socket.getsockopt(level, option).to_bytes(4, "little", signed=True)
