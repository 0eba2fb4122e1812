"""Sockets of a guest: it reaches the addresses that it was granted, and nothing else."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

import tmebox
from tests import descriptors
from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import System
from tmebox.runtime.system.network import Endpoint, endpoint

INET, INET6, UNIX, STREAM, DGRAM, NONBLOCK = 2, 10, 1, 1, 2, os.O_NONBLOCK
LOCAL = "127.0.0.1"


def name(host: str, port: int) -> bytes:
    return struct.pack("<H", INET) + struct.pack(">H", port) + socket.inet_aton(host) + bytes(8)


@contextmanager
def served() -> Iterator[socket.socket]:
    """A listener of the host's."""
    with socket.create_server((LOCAL, 0)) as server:
        yield server


@contextmanager
def guest(**grants: object) -> Iterator[Guest]:
    system = System(**grants)  # type: ignore[arg-type]
    try:
        yield Guest(system)
    finally:
        system.close()


def connected(there: Guest, port: int) -> int:
    own = succeed(there("socket", INET, STREAM, 0))
    succeed(repeated(there, "connect", own, name(LOCAL, port), 16))
    return own


def repeated(there: Guest, call: str, *arguments: int | str | bytes) -> int:
    """As the guest's libc does."""
    while (result := there(call, *arguments)) == -errno.EINTR:
        pass
    return result


def test_without_grants_there_are_no_sockets() -> None:
    with guest() as there:
        assert there("socket", INET, STREAM, 0) == -errno.EACCES


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "expected"),
    [
        (UNIX, STREAM, 0, errno.EAFNOSUPPORT),
        (16, DGRAM, 0, errno.EAFNOSUPPORT),  # netlink
        (17, 3, 0, errno.EAFNOSUPPORT),  # packets
        (INET, DGRAM, 0, errno.EPROTONOSUPPORT),
        (INET, 3, 1, errno.EPROTONOSUPPORT),  # raw
        (INET, STREAM, 132, errno.EPROTONOSUPPORT),  # SCTP
    ],
)
def test_only_tcp_can_be_had(family: int, kind: int, protocol: int, expected: int) -> None:
    with served() as server, guest(connect=[Endpoint(LOCAL, server.getsockname()[1])]) as there:
        assert there("socket", family, kind, protocol) == -expected


def test_a_guest_connects_to_what_it_was_granted() -> None:
    with served() as server:
        port = server.getsockname()[1]
        with guest(connect=[Endpoint(LOCAL, port)]) as there:
            own = connected(there, port)
            peer, _ = server.accept()
            with peer:
                assert there.write(own, b"ping") == 4
                assert peer.recv(16) == b"ping"
                peer.sendall(b"pong")
                assert there.read(own, 16) == b"pong"
                result = there.room(128)
                size = there.place((128).to_bytes(4, "little"))
                succeed(there("getpeername", own, result, size))
                assert there.memory.read(result, 16) == name(LOCAL, port)


def test_a_guest_connects_to_nothing_else() -> None:
    with (
        served() as server,
        served() as other,
        guest(connect=[Endpoint(LOCAL, server.getsockname()[1])]) as there,
    ):
        own = succeed(there("socket", INET, STREAM, 0))
        port = other.getsockname()[1]
        for host, where in ((LOCAL, port), ("127.0.0.2", server.getsockname()[1]), ("0.0.0.0", port)):
            assert there("connect", own, name(host, where), 16) == -errno.EACCES
        mapped = struct.pack("<H", INET6) + struct.pack(">HI", port, 0) + bytes(10) + b"\xff\xff\x7f\0\0\1"
        six = succeed(there("socket", INET6, STREAM, 0))
        assert there("connect", six, mapped + bytes(4), 28) == -errno.EACCES
        assert (
            there("connect", own, struct.pack("<H", UNIX) + b"/run/docker.sock\0", 19) == -errno.EAFNOSUPPORT
        )


def test_a_guest_listens_where_it_was_granted_and_accepts() -> None:
    with guest(listen=[Endpoint(LOCAL, 0)]) as there:
        (address, _) = there.system.network.bound[0]
        own = succeed(there("socket", INET, STREAM, 0))
        assert there("listen", own, 5) == -errno.EACCES
        succeed(there("bind", own, name("0.0.0.0", address.port), 16))
        succeed(there("listen", own, 5))
        with socket.create_connection(address.for_socket) as client:
            result, size = there.room(16), there.place((16).to_bytes(4, "little"))
            connection = succeed(repeated(there, "accept4", own, result, size, NONBLOCK))
            assert there.memory.read(result, 16) == name(*client.getsockname())
            assert there("read", connection, result, 1) == -errno.EAGAIN
            client.sendall(b"x")
            assert there.read(connection, 4) == b"x"


def test_a_guest_binds_nowhere_else() -> None:
    with guest(listen=[Endpoint(LOCAL, 0)]) as there:
        (address, _) = there.system.network.bound[0]
        own = succeed(there("socket", INET, STREAM, 0))
        other = address.port - 1 if address.port > 1024 else address.port + 1
        for host, port in ((LOCAL, other), ("127.0.0.9", address.port), ("0.0.0.0", other)):
            assert there("bind", own, name(host, port), 16) == -errno.EACCES


def test_a_socket_of_the_host_can_be_listened_at_and_stays_the_hosts() -> None:
    with served() as server:
        with guest(listen=[server]) as there:
            own = succeed(there("socket", INET, STREAM, 0))
            succeed(there("bind", own, name(LOCAL, server.getsockname()[1]), 16))
            succeed(there("listen", own, 5))
            with socket.create_connection(server.getsockname()):
                assert repeated(there, "accept", own, 0, 0) > 0
        with socket.create_connection(server.getsockname()):
            server.setblocking(True)
            server.accept()[0].close()


def test_a_connection_in_progress_is_told_when_it_is_there() -> None:
    with served() as server:
        port = server.getsockname()[1]
        with guest(connect=[Endpoint(LOCAL, port)]) as there:
            own = succeed(there("socket", INET, STREAM | NONBLOCK, 0))
            assert there("connect", own, name(LOCAL, port), 16) in (0, -errno.EINPROGRESS)
            rows = there.place(struct.pack("<ihh", own, 4, 0))
            assert repeated(there, "poll", rows, 1, 1000) == 1
            assert there("connect", own, name(LOCAL, port), 16) in (0, -errno.EISCONN)


def test_a_refused_connection_says_so_and_can_be_tried_again() -> None:
    with served() as server:
        port = server.getsockname()[1]
        server.close()
        with guest(connect=[Endpoint(LOCAL, port)]) as there:
            own = succeed(there("socket", INET, STREAM, 0))
            for _ in range(2):
                assert repeated(there, "connect", own, name(LOCAL, port), 16) == -errno.ECONNREFUSED


def test_writing_to_a_closed_connection_is_epipe_and_never_a_signal() -> None:
    with guest() as there:
        pair = there.room(8)
        succeed(there("socketpair", UNIX, STREAM, 0, pair))
        left, right = struct.unpack("<2i", there.memory.read(pair, 8))
        there("close", right)
        assert there.write(left, b"x") == -errno.EPIPE


def test_descriptors_are_not_passed_on() -> None:
    with guest() as there:
        pair = there.room(8)
        succeed(there("socketpair", UNIX, STREAM, 0, pair))
        left, _ = struct.unpack("<2i", there.memory.read(pair, 8))
        control = there.place(struct.pack("<Qiii", 20, 1, 1, 0))
        data = there.place(b"x")
        parts = there.place(struct.pack("<2Q", data, 1))
        message = there.place(struct.pack("<QI4xQQQQi4x", 0, 0, parts, 1, control, 24, 0))
        assert there("sendmsg", left, message, 0) == -errno.EINVAL


def test_a_message_in_pieces_arrives_in_pieces() -> None:
    with guest() as there:
        pair = there.room(8)
        succeed(there("socketpair", UNIX, STREAM, 0, pair))
        left, right = struct.unpack("<2i", there.memory.read(pair, 8))
        first, second = there.place(b"hello "), there.place(b"world")
        parts = there.place(struct.pack("<4Q", first, 6, second, 5))
        message = there.place(struct.pack("<QI4xQQQQi4x", 0, 0, parts, 2, 0, 0, 0))
        assert there("sendmsg", left, message, 0) == 11
        into = there.room(32)
        parts = there.place(struct.pack("<4Q", into, 4, into + 16, 16))
        message = there.place(struct.pack("<QI4xQQQQi4x", 0, 99, parts, 2, 0, 77, 5))
        assert there("recvmsg", right, message, 0) == 11
        assert there.memory.read(into, 4) + there.memory.read(into + 16, 7) == b"hello world"
        assert struct.unpack("<QI4xQQQQi4x", there.memory.read(message, 56))[1::4] == (0, 0)


def test_options_outside_of_the_tables_are_refused() -> None:
    with served() as server, guest(connect=[Endpoint(LOCAL, server.getsockname()[1])]) as there:
        own = succeed(there("socket", INET, STREAM, 0))
        one = (1).to_bytes(4, "little")
        assert there("setsockopt", own, socket.IPPROTO_TCP, socket.TCP_NODELAY, one, 4) == 0
        result, size = there.room(4), there.place((4).to_bytes(4, "little"))
        assert there("getsockopt", own, socket.IPPROTO_TCP, socket.TCP_NODELAY, result, size) == 0
        assert there.memory.read(result, 4) == one
        for level, option in ((1, 25), (1, 36), (0, 0xFF), (41, 0xFFFF), (socket.IPPROTO_TCP, 31)):
            assert there("setsockopt", own, level, option, one, 4) == -errno.ENOPROTOOPT
        # SO_BINDTODEVICE, SO_MARK, any IP option, any IPv6 option, TCP_ULP


def test_close_never_lingers() -> None:
    with served() as server, guest(connect=[Endpoint(LOCAL, server.getsockname()[1])]) as there:
        own = connected(there, server.getsockname()[1])
        forever = struct.pack("<2i", 1, 1 << 20)
        assert there("setsockopt", own, socket.SOL_SOCKET, socket.SO_LINGER, forever, 8) == 0
        stream = there.system.descriptors[own]
        kept = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)  # type: ignore[attr-defined]
        assert struct.unpack("<2i", kept) == (0, 0)


def test_names_are_resolved_by_the_host_and_found_in_the_guests_hosts_file() -> None:
    with guest(connect=[Endpoint("localhost", 443)]) as there:
        lines = there.contents("/etc/hosts").decode().splitlines()
        assert "127.0.0.1 localhost" in lines
        assert there.open("/etc/shadow") == -errno.ENOENT
        assert there.stat("/etc/hosts")["size"] == len(there.contents("/etc/hosts"))
    with guest() as there:
        assert there.open("/etc/hosts") == -errno.ENOENT


def test_an_address_that_cannot_be_had_is_named() -> None:
    with served() as server, pytest.raises(OSError, match=rf"listen={LOCAL}:{server.getsockname()[1]}: "):
        System(listen=[Endpoint(LOCAL, server.getsockname()[1])])
    with pytest.raises(OSError, match=r"connect=no-such-host\.invalid:80: "):
        System(connect=[Endpoint("no-such-host.invalid", 80)])


@pytest.mark.parametrize(
    "text", ["8080", "host", "host:", "host:x", "::1:80", "[::1]", ":80", "h:65536", "h:-1"]
)
def test_endpoints_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:PORT|brackets|65535"):
        endpoint(text)


def test_endpoints_are_read_in_every_form() -> None:
    assert endpoint("[::1]:80") == endpoint(("::1", 80)) == Endpoint("::1", 80)
    assert endpoint("a.example:443") == Endpoint("a.example", 443)


def test_a_guest_cannot_use_up_the_hosts_descriptors() -> None:
    before = descriptors.settled_count()
    with guest(max_open_files=10, listen=[Endpoint(LOCAL, 0)]) as there:
        while (made := there("socket", INET, STREAM, 0)) >= 0:
            pass
        assert made == -errno.EMFILE
        assert there("socketpair", UNIX, STREAM, 0, there.room(8)) == -errno.EMFILE
        assert there("pipe2", there.room(8), 0) == -errno.EMFILE
        assert descriptors.count() <= before + 10
    assert descriptors.count() == before


def test_a_pair_that_cannot_be_told_leaves_nothing_open() -> None:
    before = descriptors.settled_count()
    with guest() as there:
        assert there("socketpair", UNIX, STREAM, 0, 8) == -errno.EFAULT
        assert there("pipe", 8) == -errno.EFAULT
        assert descriptors.count() == before


def reached(host: str, port: int) -> socket.socket:
    """A connection, as soon as somebody listens."""
    for _ in range(1000):
        with suppress(ConnectionRefusedError):
            return socket.create_connection((host, port), timeout=30)
        time.sleep(0.01)
    raise AssertionError("nobody listens")


SERVER = r"""
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Echoes every connection's bytes, upper case, until one sends "stop". */
int main(int count, char **values)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(values[1]))};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (void *)&at, sizeof at) || listen(listener, 16)) return perror("listen"), 1;
	int events = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, ready[8];
	epoll_ctl(events, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int found = epoll_wait(events, ready, 8, -1);
		if (found < 0) return perror("epoll_wait"), 1;
		for (int i = 0; i < found; i++) {
			int who = ready[i].data.fd;
			char text[512];
			if (who == listener) {
				int connection = accept4(listener, 0, 0, SOCK_NONBLOCK);
				event.data.fd = connection;
				if (connection >= 0) epoll_ctl(events, EPOLL_CTL_ADD, connection, &event);
				continue;
			}
			ssize_t size = read(who, text, sizeof text);
			if (size <= 0) {
				close(who);
				continue;
			}
			if (size == 4 && !memcmp(text, "stop", 4)) return 0;
			for (int k = 0; k < size; k++) if (text[k] >= 'a' && text[k] <= 'z') text[k] -= 32;
			if (write(who, text, size) != size) return perror("write"), 1;
		}
	}
}
"""


def test_a_server_with_epoll_serves_several_clients() -> None:
    module = tmebox.compile(source_text=SERVER)
    with tmebox.Sandbox(module, listen=["127.0.0.1:0"], timeout=60) as sandbox:
        ((host, port),) = sandbox.listening
        results = []
        server = threading.Thread(target=lambda: results.append(sandbox.run(["server", str(port)])))
        server.start()
        clients = [reached(host, port) for _ in range(3)]
        for number in range(20):
            for client in clients:
                client.sendall(f"hello {number}".encode())
            for client in clients:
                assert client.recv(64) == f"HELLO {number}".encode()
        clients[0].sendall(b"stop")
        server.join(30)
        for client in clients:
            client.close()
        assert [done.exit_code for done in results] == [0]


CLIENT = r"""
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int count, char **values)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int error = getaddrinfo(values[1], values[2], &hints, &found);
	if (error) return fprintf(stderr, "%s\n", gai_strerror(error)), 2;
	for (; found; found = found->ai_next) {
		int own = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
		if (connect(own, found->ai_addr, found->ai_addrlen)) {
			perror("connect");
			close(own);
			continue;
		}
		char text[64];
		write(own, "hi", 2);
		ssize_t size = read(own, text, sizeof text);
		return printf("%.*s\n", (int)size, text), 0;
	}
	return 1;
}
"""


def test_a_client_finds_a_granted_name_and_no_other() -> None:
    module = tmebox.compile(source_text=CLIENT)
    with served() as server:
        port = str(server.getsockname()[1])

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.sendall(b"heard " + peer.recv(16))

        with tmebox.Sandbox(module, connect=[f"localhost:{port}"], timeout=30) as sandbox:
            helper = threading.Thread(target=answer)
            helper.start()
            done = sandbox.run(["client", "localhost", port])
            helper.join(10)
            assert (done.exit_code, done.stdout) == (0, b"heard hi\n"), done.stderr
            other = sandbox.run(["client", "example.com", port], timeout=20)
            assert other.exit_code == 2, other.stderr


def test_a_guest_cannot_shut_down_a_listener_that_it_was_lent() -> None:
    with served() as server, guest(listen=[server]) as there:
        port = server.getsockname()[1]
        own = succeed(there("socket", INET, STREAM | NONBLOCK, 0))
        succeed(there("bind", own, name(LOCAL, port), 16))
        assert there("shutdown", own, socket.SHUT_RDWR) == -errno.ENOTCONN
        succeed(there("listen", own, 1))
        assert there("shutdown", own, 3) == -errno.EINVAL
        succeed(there("shutdown", own, socket.SHUT_RDWR))
        assert there("accept", own, 0, 0) == -errno.EINVAL
        with socket.create_connection((LOCAL, port), 5.0):
            server.settimeout(5.0)
            server.accept()[0].close()
        succeed(there("listen", own, 1))
        assert there("accept", own, 0, 0) == -errno.EAGAIN
