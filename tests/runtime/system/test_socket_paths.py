"""AF_UNIX sockets: by granted paths, and no others."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.guest_side import Guest
from tmebox.runtime.system import System
from tmebox.runtime.system.network import endpoint, listening
from tmebox.runtime.system.socket_paths import path_endpoint


def name(path: bytes) -> bytes:
    return struct.pack("<H", socket.AF_UNIX) + path + b"\0"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(tmp_path / "server"))
        found.listen(1)
        yield found


def asked(guest: Guest, call: str, number: int, path: bytes) -> int:
    data = name(path)
    return guest(call, number, guest.place(data), len(data))


def test_an_endpoint_has_two_paths() -> None:
    assert path_endpoint("unix:/a/b:/c").as_given == "unix:/a/b:/c"
    assert path_endpoint("unix:/a/b").guest_path == "/a/b"
    for wrong in ("unix:", "unix:relative", "unix:/a:relative", "unix:/a\0b"):
        with pytest.raises(ValueError, match="expected unix:PATH"):
            endpoint(wrong)


def test_without_a_grant_there_is_no_such_family() -> None:
    guest = Guest(System())
    assert guest("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0) == -errno.EAFNOSUPPORT


def test_what_was_not_granted_is_refused(server: socket.socket, tmp_path: Path) -> None:
    guest = Guest(System(connect=[endpoint(f"unix:{tmp_path}/server:/granted")]))
    number = guest("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
    for path in (bytes(tmp_path / "server"), b"/other", b"/granted/", b"\0granted"):
        assert asked(guest, "connect", number, path) == -errno.EACCES
        assert asked(guest, "bind", number, path) == -errno.EACCES
    assert asked(guest, "bind", number, b"/granted") == -errno.EACCES
    assert guest("listen", number, 1) == -errno.EACCES
    assert asked(guest, "connect", number, b"/granted") == 0
    guest.system.close()


def test_a_path_leads_to_what_was_there_when_it_was_granted(server: socket.socket, tmp_path: Path) -> None:
    """A guest that may write to the directory puts a link to another socket of the host's there."""
    with socket.socket(socket.AF_UNIX) as secret:
        secret.bind(str(tmp_path / "secret"))
        secret.listen(1)
        secret.setblocking(False)
        guest = Guest(System(connect=[endpoint(f"unix:{tmp_path}/server:/granted")]))
        (tmp_path / "server").unlink()
        (tmp_path / "server").symlink_to("secret")
        number = guest("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
        assert asked(guest, "connect", number, b"/granted") == 0
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            secret.accept()
        guest.system.close()


def test_descriptors_that_are_sent_along_are_lost_and_leak_nowhere(
    server: socket.socket, tmp_path: Path
) -> None:
    guest = Guest(System(connect=[endpoint(f"unix:{tmp_path}/server:/granted")]))
    number = guest("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
    assert asked(guest, "connect", number, b"/granted") == 0
    before = set(os.listdir("/proc/self/fd"))
    peer, _ = server.accept()
    with peer:
        socket.send_fds(peer, [b"x"], [0, 1, 2])
        buffer = guest.place(bytes(8))
        assert guest("recvfrom", number, buffer, 8, 0, 0, 0) == 1
    assert set(os.listdir("/proc/self/fd")) == before
    guest.system.close()


def test_a_socket_file_goes_with_its_sandbox_but_no_other_file_does(tmp_path: Path) -> None:
    path = tmp_path / "made"
    system = System(listen=[endpoint(f"unix:{path}")])
    assert path.is_socket()
    with pytest.raises(OSError, match="Address already in use"), socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(path))
    path.unlink()
    path.write_text("somebody's")
    system.close()
    assert path.read_text() == "somebody's"
    with pytest.raises(OSError, match="Address already in use"):
        System(listen=[endpoint(f"unix:{path}")])


def test_an_abandoned_socket_is_replaced_and_a_live_one_is_not(server: socket.socket, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        System(listen=[endpoint(f"unix:{tmp_path}/server")])
    server.close()
    system = System(listen=[endpoint(f"unix:{tmp_path}/server")])
    system.close()
    assert not (tmp_path / "server").exists()


def test_a_bound_socket_can_be_given(server: socket.socket, tmp_path: Path) -> None:
    granted = listening(server)
    guest = Guest(System(listen=[granted]))
    number = guest("socket", socket.AF_UNIX, socket.SOCK_STREAM, 0)
    assert asked(guest, "bind", number, bytes(tmp_path / "server")) == 0
    guest.system.close()
    assert (tmp_path / "server").exists()
    with socket.socket(socket.AF_UNIX) as unbound, pytest.raises(ValueError, match="not bound"):
        listening(unbound)


ECHO = r"""
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/run/echo" };
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(server, (void *)&name, sizeof name) || listen(server, 4)) return 1;
	int client = accept(server, 0, 0);
	char buffer[64];
	for (long got; (got = read(client, buffer, sizeof buffer)) > 0;)
		if (write(client, buffer, got) != got) return 2;
	return 0;
}
"""


def test_a_program_serves_at_a_path_of_the_hosts(tmp_path: Path) -> None:
    source = tmp_path / "echo.c"
    source.write_text(ECHO)
    path = tmp_path / "s"
    with tmebox.Sandbox(tmebox.compile(source), timeout=30, listen=[f"unix:{path}:/run/echo"]) as sandbox:
        codes: list[int] = []
        thread = threading.Thread(target=lambda: codes.append(sandbox.run().exit_code))
        thread.start()
        with socket.socket(socket.AF_UNIX) as client:
            while client.connect_ex(str(path)):
                pass
            for size in (1, 64, 17):
                client.sendall(b"x" * size)
                assert client.recv(64, socket.MSG_WAITALL if size == 64 else 0) == b"x" * size
        thread.join()
    assert codes == [0]
