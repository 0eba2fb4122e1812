"""Calls on sockets and pipes that are wrong, or get less than all: the answers are those of a kernel."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.guest_side import BASE, Guest, succeed
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


def received(guest: Guest, call: str, own: int, offset: int, size_bytes: int, flags: int = 0) -> int:
    """By any of the calls that receive."""
    if call in ("read", "recvfrom"):
        return guest(call, own, offset, size_bytes, flags)
    half = size_bytes // 2
    parts = guest.place(struct.pack("<4Q", offset, half, offset + half, size_bytes - half))
    if call == "readv":
        return guest("readv", own, parts, 2)
    return guest("recvmsg", own, guest.place(MESSAGE.pack(0, 0, parts, 2, 0, 0, 0)), flags)


@pytest.mark.parametrize("call", ["read", "readv", "recvfrom", "recvmsg"])
@pytest.mark.parametrize("kind", [STREAM, DGRAM, PACKETS, "pipe"])
def test_what_cannot_be_put_is_still_there(guest: Guest, call: str, kind: int | str) -> None:
    own, other = pipe(guest) if isinstance(kind, str) else pair(guest, kind)
    if kind == "pipe" and call.startswith("recv"):
        pytest.skip("a pipe")
    assert guest.write(other, b"abcdefgh") == 8
    place = guest.room(16)
    assert received(guest, call, own, BAD, 8) == -errno.EFAULT
    if call in ("readv", "recvmsg"):  # only the second part is bad
        assert received(guest, call, own, BASE + 0x10000 - 4, 8) == -errno.EFAULT
    assert received(guest, call, own, place, 8) == 8
    assert guest.memory.read(place, 8) == b"abcdefgh"
    assert received(guest, "read", own, place, 8) in (-errno.EINTR, -errno.EAGAIN)


@pytest.mark.parametrize("kind", [DGRAM, PACKETS])
def test_a_message_that_was_cut_says_so(guest: Guest, kind: int) -> None:
    own, other = pair(guest, kind)
    place = guest.room(16)
    for text in (b"abcdefgh", b"abcdefgh", b"", b"last"):
        guest.write(other, text)
    assert guest("recvfrom", own, place, 3, socket.MSG_TRUNC | socket.MSG_PEEK) == 8
    assert guest("recvfrom", own, place, 3, socket.MSG_TRUNC) == 8
    assert guest.memory.read(place, 4) == b"abc\0"
    for size_bytes, expected, flags in ((2, 2, socket.MSG_TRUNC), (8, 0, 0), (4, 4, 0)):
        parts = guest.place(struct.pack("<2Q", place, size_bytes))
        message = guest.place(MESSAGE.pack(0, 0, parts, 1, 0, 0, -1))
        assert guest("recvmsg", own, message, 0) == expected
        assert MESSAGE.unpack(guest.memory.read(message, 56))[6] == flags


def later(guest: Guest, own: int, *pieces: bytes) -> threading.Thread:
    """Somebody else writes to it, piece by piece, and then no more."""
    peer = guest.system.descriptors[own]

    def play() -> None:
        for piece in pieces:
            time.sleep(0.05)
            peer.socket.sendall(piece)  # type: ignore[attr-defined]
        time.sleep(0.05)
        peer.socket.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]

    thread = threading.Thread(target=play)
    thread.start()
    return thread


@pytest.mark.parametrize("call", ["recvfrom", "recvmsg"])
@pytest.mark.parametrize("size_bytes", [10, 11, 4])
def test_all_that_was_asked_for_is_waited_for(guest: Guest, call: str, size_bytes: int) -> None:
    """In time slices, between which nothing is lost; the end comes before the rest of 11 bytes."""
    own, other = pair(guest)
    place = guest.room(16)
    guest.write(other, b"abc")
    thread = later(guest, other, b"de", b"f", b"ghij")
    repeated, longest = 0, 0.0
    while True:
        begun = time.monotonic()
        result = received(guest, call, own, place, size_bytes, socket.MSG_WAITALL)
        longest = max(longest, time.monotonic() - begun)
        if result != -errno.EINTR:
            break
        repeated += 1
        if repeated == 2:  # the guest asks for something else in between
            assert guest("getpid") == 1
    thread.join()
    assert result == min(size_bytes, 10)
    assert guest.memory.read(place, 16) == b"abcdefghij"[:size_bytes].ljust(16, b"\0")
    assert repeated >= 1 and longest < 1


def test_who_does_not_wait_gets_what_there_is(guest: Guest) -> None:
    own, other = pair(guest)
    place = guest.room(16)
    flags = socket.MSG_WAITALL | socket.MSG_DONTWAIT
    assert guest("recvfrom", own, place, 10, flags) == -errno.EAGAIN
    guest.write(other, b"abc")
    assert guest("recvfrom", own, place, 10, flags) == 3
    guest.write(other, b"abc")
    assert guest("recvfrom", own, place, 10, socket.MSG_WAITALL | socket.MSG_PEEK) == 3
    assert guest("recvfrom", own, BAD, 3, socket.MSG_WAITALL) == -errno.EFAULT
    assert guest("recvfrom", own, place, 3, socket.MSG_WAITALL) == 3


THREADS = r"""
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int ends[2];
char text[16];
static void *late(void *unused) { usleep(60000); return (void *)send(ends[1], "efghij", 6, 0); }
long all(void)
{
	pthread_t thread;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || send(ends[1], "abcd", 4, 0) != 4) return -1;
	pthread_create(&thread, 0, late, 0);
	long size = recv(ends[0], text, 10, MSG_WAITALL);
	pthread_join(thread, 0);
	return memcmp(text, "abcdefghij", 10) ? -2 : size;
}
long forever(void) { return recv(ends[0], text, 10, MSG_WAITALL); }
"""


def test_other_threads_run_meanwhile_and_the_time_limit_holds() -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=THREADS), timeout=5) as sandbox:
        assert sandbox.all() == 10
    with tmebox.Sandbox(tmebox.compile(source_text=THREADS), timeout=0.3) as sandbox:
        sandbox.all()
        with pytest.raises(tmebox.Timeout):
            sandbox.forever()


def test_more_than_a_socket_holds_is_received_whole(guest: Guest) -> None:
    own, other = pair(guest)
    size_bytes = 40000
    place = guest.room(size_bytes)
    stream = guest.system.descriptors[other]
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # type: ignore[attr-defined]
    stream.socket.settimeout(30)  # type: ignore[attr-defined]
    thread = threading.Thread(target=stream.socket.sendall, args=(b"x" * size_bytes,))  # type: ignore[attr-defined]
    thread.start()
    while (result := guest("recvfrom", own, place, size_bytes, socket.MSG_WAITALL)) == -errno.EINTR:
        pass
    thread.join()
    assert result == size_bytes and guest.memory.read(place, size_bytes) == b"x" * size_bytes
