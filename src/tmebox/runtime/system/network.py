"""What a guest reaches of the network: where it may accept connections, and what it may connect to.

Nothing by default. Only TCP, and sockets of the file system (`socket_paths`). A guest sees the addresses
that it was granted, and finds their names in its
/etc/hosts: names are resolved by the host, once, when the sandbox gets them.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.socket_paths import PREFIX, PathEndpoint, SocketPaths, path_endpoint, shared

EndpointLike = str | tuple[str, int]
"""Where to connect to: "HOST:PORT", "[IPV6]:PORT", (HOST, PORT), "unix:PATH" or "unix:HOST:GUEST"."""
ListenLike = EndpointLike | socket.socket
"""Where to listen: an address, or a socket that is bound already, which does not wait from then on."""
FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True)
class Address:
    """Of one end of a connection. host: packed, 4 or 16 bytes."""

    family: int
    host: bytes
    port: int

    @property
    def text(self) -> str:
        return socket.inet_ntop(self.family, self.host)

    @property
    def for_socket(self) -> tuple[str, int]:
        return self.text, self.port

    @property
    def is_any(self) -> bool:
        return not any(self.host)


@dataclass(frozen=True)
class Endpoint:
    """A name, or an address in text, and a port."""

    host: str
    port: int

    @property
    def as_given(self) -> EndpointLike:
        return self.host, self.port

    def resolve(self) -> list[Address]:
        """Every address that the name has. Raises OSError for a name that has none."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        return list(dict.fromkeys(address(family, where) for family, _, _, _, where in found))


AnyEndpoint = Endpoint | PathEndpoint


def address(family: int, where: Sequence[object]) -> Address:
    """Of what a socket's methods return."""
    host, port = where[0], where[1]
    assert isinstance(host, str) and isinstance(port, int)
    return Address(family, socket.inet_pton(family, host.partition("%")[0]), port)


def endpoint(given: EndpointLike) -> AnyEndpoint:
    """Raises TypeError or ValueError, naming what was given."""
    if isinstance(given, str) and given.startswith(PREFIX):
        return path_endpoint(given)
    if isinstance(given, str):
        host, colon, port_text = given.rpartition(":")
        if not colon or not port_text.isascii() or not port_text.isdigit():
            raise ValueError(f"{given!r}: expected HOST:PORT, like 127.0.0.1:8080 or [::1]:8080")
        if ":" in host and not (host.startswith("[") and host.endswith("]")):
            raise ValueError(f"{given!r}: an IPv6 address stands in brackets, like [::1]:8080")
        host, port = host.removeprefix("[").removesuffix("]"), int(port_text)
    elif isinstance(given, tuple) and len(given) == 2:
        host, port = given
    else:
        raise TypeError(f'{given!r:.100}: expected "HOST:PORT" or (HOST, PORT)')
    if not isinstance(host, str) or type(port) is not int:
        raise TypeError(f"{given!r:.100}: HOST is a string and PORT a number")
    if not host or not 0 <= port <= 0xFFFF:
        raise ValueError(f"{given!r}: expected a host, and a port from 0 to 65535")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{given!r}: {host!a:.100} is not the name of a host: {error}") from None
    return Endpoint(host, port)


def listening(given: ListenLike) -> AnyEndpoint | socket.socket:
    """Raises TypeError or ValueError, naming what was given."""
    if not isinstance(given, socket.socket):
        return endpoint(given)
    if given.family not in (*FAMILIES, socket.AF_UNIX) or given.type != socket.SOCK_STREAM:
        raise ValueError(f"{given!r:.200}: a sandbox can listen at TCP and AF_UNIX streams only")
    name = given.getsockname()
    is_bound = isinstance(name, str) and name != "" if given.family == socket.AF_UNIX else name[1] != 0
    if not is_bound:
        raise ValueError(f"{given!r:.200}: the socket is not bound: bind() it first")
    return given


class Network:
    """The grants of one guest, as bound sockets and addresses. Close it.

    Raises OSError, with the endpoint in its text, for an address that cannot be had or a name without one.
    """

    def __init__(
        self, listen: Iterable[AnyEndpoint | socket.socket] = (), connect: Iterable[AnyEndpoint] = ()
    ) -> None:
        self.paths = SocketPaths()
        self.bound: list[tuple[Address, socket.socket]] = []
        """Where it may listen. The sockets are ours; a guest's bind() gets a duplicate."""
        self._names: dict[str, list[Address]] = {}
        self._reachable: set[Address] = set()
        try:
            for where in listen:
                self._bind(where)
            for target in connect:
                if isinstance(target, PathEndpoint):
                    self.paths.connect(target)
                else:
                    self._resolve(target)
        except BaseException:
            self.close()
            raise

    def _bind(self, where: AnyEndpoint | socket.socket) -> None:
        if isinstance(where, PathEndpoint):
            self.paths.listen(where)
            return
        if isinstance(where, socket.socket) and where.family == socket.AF_UNIX:
            self.paths.adopt(shared(where), where.getsockname())
            return
        own = shared(where) if isinstance(where, socket.socket) else _bound(where)
        own.setblocking(False)
        self.bound.append((address(own.family, own.getsockname()), own))

    def _resolve(self, target: Endpoint) -> None:
        try:
            found = target.resolve()
        except OSError as error:
            raise OSError(error.errno, f"connect={target.host}:{target.port}: {error.strerror}") from error
        self._reachable.update(found)
        names = self._names.setdefault(target.host, [])
        names += [one for one in found if one.host not in {known.host for known in names}]

    @property
    def exists(self) -> bool:
        """Whether anything was granted."""
        return bool(self.bound or self._reachable or self.paths.exists)

    def listener(self, wanted: Address) -> socket.socket:
        """A duplicate of the socket that is bound there. A guest that binds to "any address" gets the granted
        one with this port. Raises EACCES."""
        for granted, own in self.bound:
            same_port = wanted.port in (granted.port, 0)
            if same_port and (granted.host == wanted.host or wanted.is_any or granted.is_any):
                return own.dup()
        raise failure(errno.EACCES)

    def require_reachable(self, wanted: Address) -> None:
        """Raises EACCES."""
        if wanted not in self._reachable and _as_ipv4(wanted) not in self._reachable:
            raise failure(errno.EACCES)

    def hosts_file(self) -> bytes:
        """The guest's /etc/hosts."""
        lines = ["127.0.0.1 localhost", "::1 localhost"]
        lines += [f"{found.text} {name}" for name, addresses in self._names.items() for found in addresses]
        return "\n".join(lines).encode("utf-8", "replace") + b"\n"

    def close(self) -> None:
        """Idempotent."""
        self.paths.close()
        while self.bound:
            self.bound.pop()[1].close()


def _bound(where: Endpoint) -> socket.socket:
    try:
        first = where.resolve()[0]
        own = socket.socket(first.family, socket.SOCK_STREAM)
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind(first.for_socket)
        except BaseException:
            own.close()
            raise
        return own
    except OSError as error:
        raise OSError(error.errno, f"listen={where.host}:{where.port}: {error.strerror}") from error


MAPPED = bytes(10) + b"\xff\xff"


def _as_ipv4(wanted: Address) -> Address:
    """What an IPv6 socket reaches under ::ffff:a.b.c.d."""
    if wanted.family == socket.AF_INET6 and wanted.host.startswith(MAPPED):
        return Address(socket.AF_INET, wanted.host[12:], wanted.port)
    return wanted
