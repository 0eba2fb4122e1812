"""Sockets of the file system: at which paths a guest may listen, and which it may connect to.

Both are decided, and looked up, when the guest gets them. Paths of the host's are not looked at again: a
guest that may write to the directory could have put something else there by then.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.walking import Identity

PREFIX = "unix:"


class SharedSocket(socket.socket):
    """A duplicate of a bound one of the host's. Both are one open file: the host, or another process that has
    it, can make it wait again at any time. What dup() gives is one, too."""

    def __init__(self, family: int, kind: int, protocol: int, *, fileno: int) -> None:
        super().__init__(family, kind, protocol, fileno)
        self.setblocking(False)


def shared(given: socket.socket) -> SharedSocket:
    """The given object says from now on that it does not wait, as is so, unless it has a timeout: that holds
    without waiting, too."""
    own = SharedSocket(given.family, given.type, given.proto, fileno=os.dup(given.fileno()))
    if given.gettimeout() is None:
        given.setblocking(False)
    return own


@dataclass(frozen=True)
class PathEndpoint:
    """A socket's path on the host, and the one by which the guest asks for it."""

    host_path: str
    guest_path: str

    @property
    def as_given(self) -> str:
        return f"{PREFIX}{self.host_path}:{self.guest_path}"


def path_endpoint(given: str) -> PathEndpoint:
    """Of "unix:PATH", which the guest calls the same, or "unix:HOST:GUEST". Raises ValueError."""
    host, _, guest = given.removeprefix(PREFIX).partition(":")
    if not host or not (guest or host).startswith("/") or "\0" in given:
        raise ValueError(
            f"{given!r}: expected unix:PATH or unix:HOST:GUEST, the guest's path an absolute one"
        )
    return PathEndpoint(os.path.abspath(host), guest or host)


def _remove_abandoned(path: str) -> None:
    """A socket at which nobody listens any more: whoever did was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, suppress(OSError):
        probe.setblocking(False)
        if stat.S_ISSOCK(os.lstat(path).st_mode) and probe.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)


class SocketPaths:
    """The grants of one guest. Close it."""

    def __init__(self) -> None:
        self._bound: dict[bytes, socket.socket] = {}
        self._made: list[tuple[str, Identity]] = []
        """What binding has made in the host's file system, and is to be removed."""
        self._reachable: dict[bytes, int] = {}
        """Descriptors that name the host's sockets, and open nothing."""

    @property
    def exists(self) -> bool:
        return bool(self._bound or self._reachable)

    def listen(self, where: PathEndpoint) -> None:
        """Raises OSError, with the endpoint in its text."""
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_abandoned(where.host_path)
            own.bind(where.host_path)
            found = os.lstat(where.host_path)
        except OSError as error:
            own.close()
            raise OSError(error.errno, f"listen={where.as_given}: {error.strerror}") from error
        self._made.append((where.host_path, (found.st_dev, found.st_ino)))
        self.adopt(own, where.guest_path)

    def adopt(self, own: socket.socket, guest_path: str) -> None:
        """A bound socket, ours from now on."""
        own.setblocking(False)
        former = self._bound.pop(os.fsencode(guest_path), None)
        if former is not None:
            former.close()
        self._bound[os.fsencode(guest_path)] = own

    def connect(self, target: PathEndpoint) -> None:
        """Raises OSError, with the endpoint in its text."""
        try:
            found = os.open(target.host_path, os.O_PATH | os.O_CLOEXEC)
            if not stat.S_ISSOCK(os.fstat(found).st_mode):
                os.close(found)
                raise failure(errno.ENOTSOCK)
        except OSError as error:
            raise OSError(error.errno, f"connect={target.as_given}: {error.strerror}") from error
        former = self._reachable.pop(os.fsencode(target.guest_path), None)
        if former is not None:
            os.close(former)
        self._reachable[os.fsencode(target.guest_path)] = found

    def listener(self, path: bytes) -> socket.socket:
        """A duplicate of the socket that is bound there. Raises EACCES."""
        own = self._bound.get(path)
        if own is None:
            raise failure(errno.EACCES)
        return own.dup()

    def target(self, path: bytes) -> str:
        """What the host connects to. Raises EACCES."""
        found = self._reachable.get(path)
        if found is None:
            raise failure(errno.EACCES)
        return f"/proc/self/fd/{found}"

    def close(self) -> None:
        """Idempotent. A socket file that binding has made goes, unless something else is there by now."""
        while self._bound:
            self._bound.popitem()[1].close()
        while self._reachable:
            os.close(self._reachable.popitem()[1])
        while self._made:
            path, made = self._made.pop()
            with suppress(OSError):
                found = os.lstat(path)
                if (found.st_dev, found.st_ino) == made:
                    os.unlink(path)
