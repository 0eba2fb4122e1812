"""Sockets that the host lends a guest to listen at: whatever it does with them, no call waits for good."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import System
from tmebox.runtime.system.network import Endpoint

INET, UNIX, STREAM, NONBLOCK = 2, 1, 1, os.O_NONBLOCK


@pytest.fixture(params=[socket.AF_INET, socket.AF_UNIX], ids=["inet", "unix"])
def lent(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(request.param) as made:
        made.bind(str(tmp_path / "own") if request.param == socket.AF_UNIX else ("127.0.0.1", 0))
        made.listen()
        yield made


def name(lent: socket.socket) -> bytes:
    where = lent.getsockname()
    if lent.family == socket.AF_UNIX:
        return struct.pack("<H", UNIX) + where.encode() + b"\0"
    return struct.pack("<H", INET) + struct.pack(">H", where[1]) + socket.inet_aton(where[0]) + bytes(8)


def listening(guest: Guest, where: bytes, flags: int) -> int:
    own = succeed(guest("socket", int.from_bytes(where[:2], "little"), STREAM | flags, 0))
    succeed(guest("bind", own, where, len(where)))
    succeed(guest("listen", own, 5))
    return own


def test_the_hosts_object_says_that_it_does_not_wait(lent: socket.socket) -> None:
    system = System(listen=[lent])
    assert not lent.getblocking() and not os.get_blocking(lent.fileno())
    with pytest.raises(BlockingIOError):
        lent.accept()
    system.close()


def test_a_timeout_of_the_hosts_stays(lent: socket.socket) -> None:
    lent.settimeout(0.05)
    system = System(listen=[lent])
    assert lent.gettimeout() == 0.05
    with pytest.raises(TimeoutError):
        lent.accept()
    system.close()


@pytest.mark.parametrize("flags", [0, NONBLOCK])
def test_a_host_that_lets_it_wait_again_holds_up_nobody(lent: socket.socket, flags: int) -> None:
    system = System(listen=[lent])
    guest = Guest(system)
    own = listening(guest, name(lent), flags)
    for _ in range(2):
        lent.setblocking(True)
        begun = time.monotonic()
        assert guest("accept", own, 0, 0) == -(errno.EAGAIN if flags else errno.EINTR)
        assert time.monotonic() - begun < 5
    lent.setblocking(True)
    with socket.socket(lent.family) as client:
        client.connect(lent.getsockname())
        assert guest("accept", own, 0, 0) > 0
    system.close()


SERVE = r"""
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
int own;
long begin(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	own = socket(AF_INET, SOCK_STREAM, 0);
	return bind(own, (void *)&at, sizeof at) || listen(own, 5) ? -errno : 0;
}
long serve(void) { return accept(own, 0, 0); }
"""


def test_a_time_limit_holds_where_the_host_waits() -> None:
    """Also where the core answers by itself whatever it can."""
    module = tmebox.compile(source_text=SERVE)
    with (
        socket.create_server(("127.0.0.1", 0)) as lent,
        tmebox.Sandbox(module, timeout=0.3, listen=[lent]) as sandbox,
    ):
        assert sandbox.begin(lent.getsockname()[1]) == 0
        lent.setblocking(True)
        with pytest.raises(tmebox.Timeout):
            sandbox.serve()


@pytest.mark.parametrize("flags", [0, NONBLOCK])
def test_a_default_timeout_of_the_hosts_is_none_of_the_guests(flags: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.setdefaulttimeout(30)
        try:
            port = server.getsockname()[1]
            system = System(listen=[Endpoint("127.0.0.1", 0)], connect=[Endpoint("127.0.0.1", port)])
            guest = Guest(system)
            where = name(system.network.bound[0][1])
            own = listening(guest, where, flags)
            begun = time.monotonic()
            assert guest("accept", own, 0, 0) == -(errno.EAGAIN if flags else errno.EINTR)
            client = succeed(guest("socket", INET, STREAM | NONBLOCK, 0))
            connected = guest("connect", client, name(server), 16)
            assert connected in (0, -errno.EINPROGRESS)
            with socket.create_connection(system.network.bound[0][0].for_socket):
                while (connection := guest("accept", own, 0, 0)) in (-errno.EINTR, -errno.EAGAIN):
                    pass
                result = guest("read", succeed(connection), guest.room(8), 8)
                assert result == -errno.EINTR
            assert time.monotonic() - begun < 10
            system.close()
        finally:
            socket.setdefaulttimeout(None)
