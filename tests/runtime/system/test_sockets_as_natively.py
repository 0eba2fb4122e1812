"""Calls on sockets and pipes that are wrong, or get less than all: the answers are those of a kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.network import Endpoint, endpoint

INET, INET6, UNIX, STREAM, DGRAM, PACKETS, NONBLOCK = 2, 10, 1, 1, 2, 5, os.O_NONBLOCK
BAD = 8
"""An address that no guest has."""
MESSAGE = struct.Struct("<QI4xQQQQi4x")
libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def guest() -> Iterator[Guest]:
    system = System()
    yield Guest(system)
    system.close()


def pair(guest: Guest, kind: int = STREAM) -> tuple[int, int]:
    numbers = guest.room(8)
    succeed(guest("socketpair", UNIX, kind, 0, numbers))
    left, right = struct.unpack("<2i", guest.memory.read(numbers, 8))
    return left, right


def pipe(guest: Guest) -> tuple[int, int]:
    numbers = guest.room(8)
    succeed(guest("pipe2", numbers, NONBLOCK))
    reading, writing = struct.unpack("<2i", guest.memory.read(numbers, 8))
    return reading, writing


NAMES = {
    INET: struct.pack("<H", INET) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8),
    INET6: struct.pack("<H", INET6) + struct.pack(">H", 9) + bytes(4 + 15) + b"\1" + bytes(4),
    UNIX: struct.pack("<H", UNIX) + b"/none" + bytes(24),
}


@pytest.mark.parametrize("call", ["connect", "bind"])
@pytest.mark.parametrize("family", [INET, INET6, UNIX])
@pytest.mark.parametrize("other", [INET, INET6, UNIX])
@pytest.mark.parametrize("size_bytes", [None, 2, 12])
def test_an_address_of_another_family(
    call: str, family: int, other: int, size_bytes: int | None, tmp_path: Path
) -> None:
    name = NAMES[other][:size_bytes]
    if family == other and (size_bytes is None or family == UNIX):
        pytest.skip("nothing is wrong with it")
    with socket.socket(family) as natively:
        assert getattr(libc, call)(natively.fileno(), name, len(name)) < 0
        expected = ctypes.get_errno()
    grants = [Endpoint("127.0.0.1", 9), endpoint("unix:/dev/log:/none")]
    system = System(connect=grants[:1], listen=[endpoint(f"unix:{tmp_path}/own:/none")])
    guest = Guest(system)
    own = succeed(guest("socket", family, STREAM, 0))
    assert guest(call, own, name, len(name)) == -expected
    system.close()


@pytest.mark.parametrize(
    "call",
    [
        "sendto",
        "recvfrom",
        "shutdown",
        "getsockname",
        "getpeername",
        "setsockopt",
        "listen",
        "bind",
        "accept",
    ],
)
def test_a_pipe_is_no_socket(guest: Guest, call: str) -> None:
    for end in pipe(guest):
        assert guest(call, end, guest.room(64), 0, 0, guest.room(64)) == -errno.ENOTSOCK
    message = guest.place(MESSAGE.pack(0, 0, 0, 0, 0, 0, 0))
    for end in pipe(guest):
        assert guest("sendmsg", end, message, 0) == guest("recvmsg", end, message, 0) == -errno.ENOTSOCK


def test_what_is_sent_from_a_file_has_to_be_readable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    guest = Guest(System(directories=[Directory(tmp_path, "/d")]))
    left, _ = pair(guest)
    reading, writing = pipe(guest)
    assert guest("sendfile", left, succeed(guest.open("/d/file", os.O_WRONLY)), 0, 1) == -errno.EBADF
    assert guest("sendfile", left, writing, 0, 1) == -errno.EBADF
    assert guest("sendfile", reading, succeed(guest.open("/d/file")), 0, 1) == -errno.EBADF
    assert guest("sendfile", left, reading, 0, 1) == -errno.EINVAL
    guest.system.close()
