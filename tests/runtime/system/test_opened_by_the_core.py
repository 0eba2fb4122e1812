"""Connections that the core accepts and files that it opens by itself are what Python would have given."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests import descriptors
from tests.forked import run_forked
from tests.runtime.system.asking import ASK
from tests.runtime.system.test_datapath import DATA, asked
from tmebox import abi
from tmebox.runtime.system.files import O_LARGEFILE

__all__ = ["asked"]

SOURCE = (
    ASK
    + DATA
    + r"""
#include <netinet/in.h>
#include <sys/epoll.h>

/* A path, as the guest names it. */
long put(const char *path) { strcpy(data, path); return (long)data; }
long byte_at(long at) { return (unsigned char)data[at]; }
long listener(int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons(port) };
	name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	return bind(fd, (void *)&name, sizeof name) || listen(fd, 64) ? -errno : fd;
}
"""
)
READ, OPEN, CLOSE, STAT, FSTAT, LSEEK, IOCTL, DUP, SENDFILE = 0, 2, 3, 4, 5, 8, 16, 32, 40
SHUTDOWN, SETSOCKOPT, FCNTL, EPOLL_CTL, OPENAT, ACCEPT4, EPOLL_CREATE1 = 48, 54, 72, 233, 257, 288, 291
AT_FDCWD, F_GETFL, F_GETFD = -100, 3, 1
FIONREAD, TCP_CORK, TCP_NODELAY = 0x541B, 3, 1
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
ROOM = 4096
"""Where results go, behind paths."""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "f").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "sub" / "g").write_bytes(b"g" * 100)
    return tmp_path


def test_a_file_is_opened_read_and_closed_without_python(
    module: tmebox.Module, asked: list[int], tree: Path
) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d:ro"], timeout=60) as box:
        box.ask(CLOSE, box.open_file("/d/f", 0), 0, 0, 0, 0)
        before = descriptors.settled_count()
        for _ in range(50):
            path = box.put("/d/f")
            asked.clear()
            file = box.ask(OPEN, path, 0, 0, 0, 0)
            assert file == 3 and box.ask(FSTAT, file, path + ROOM, 0, 0, 0) == 0
            assert box.ask(READ, file, path, 10, 0, 0) == box.ask(READ, file, path, 10, 0, 0) == 10
            assert box.byte_at(0) == 10
            assert box.ask(CLOSE, file, 0, 0, 0, 0) == 0
            assert box.ask(READ, file, path, 1, 0, 0) == -errno.EBADF
            assert asked == [READ]
        assert descriptors.count() == before


def test_status_is_the_same_whoever_answers(module: tmebox.Module, tree: Path) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], timeout=60) as box:
        path = box.put("/d/f")
        file = box.ask(OPEN, path, 0, 0, 0, 0)
        assert box.ask(FSTAT, file, path + ROOM, 0, 0, 0) == 0
        by_core = box.memory.read(path + ROOM, 144)
        assert box.ask(STAT, path, path + ROOM, 0, 0, 0) == 0
        assert box.memory.read(path + ROOM, 144) == by_core


def test_python_takes_over_where_the_core_was(module: tmebox.Module, tree: Path) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], timeout=60) as box:
        box.ask(CLOSE, box.open_file("/d/f", 0), 0, 0, 0, 0)
        file = box.open_file("/d/f", os.O_CLOEXEC | os.O_NONBLOCK)
        at = box.place()
        assert box.ask(READ, file, at, 100, 0, 0) == 100
        other = box.ask(DUP, file, 0, 0, 0, 0)
        assert other == file + 1 and box.ask(LSEEK, other, 0, os.SEEK_CUR, 0, 0) == 100
        assert box.ask(FCNTL, file, F_GETFL, 0, 0, 0) == os.O_NONBLOCK | O_LARGEFILE
        assert box.ask(FCNTL, file, F_GETFD, 0, 0, 0) == 1
        assert box.ask(READ, other, at, 1, 0, 0) == 1 and box.byte_at(0) == 100
        assert box.ask(1, file, at, 1, 0, 0) == -errno.EBADF


def test_what_the_core_cannot_open_is_for_python(module: tmebox.Module, asked: list[int], tree: Path) -> None:
    """Where /proc is not mounted, files are found but cannot be opened: that is not "no such file"."""

    def child() -> list[object] | None:
        with tmebox.Sandbox(module, dirs=[f"{tree}:/d:ro"], timeout=60) as box:
            box.ask(CLOSE, box.open_file("/d/f", 0), 0, 0, 0, 0)
            libc = ctypes.CDLL(None)
            if libc.unshare(CLONE_NEWNS) or libc.mount(b"", b"/", None, MS_REC | MS_PRIVATE, None):
                return None
            if libc.mount(b"none", b"/proc", b"tmpfs", 0, None):
                return None
            asked.clear()
            answers = [box.ask(OPEN, box.put(path), 0, 0, 0, 0) for path in ("/d/sub/g", "/d/none")]
            return [*answers, OPEN in asked]

    answers = run_forked(child).result()
    if answers is None:
        pytest.skip("this process may not hide /proc from itself")
    assert answers == [-errno.EIO, -errno.ENOENT, True]


def test_a_path_that_leads_elsewhere_by_now_is_looked_at_anew(module: tmebox.Module, tree: Path) -> None:
    outside = tree / "outside"
    outside.write_bytes(b"secret")
    granted = tree / "sub"
    with tmebox.Sandbox(module, dirs=[f"{granted}:/d"], timeout=60) as box:
        for make, expected in (
            (lambda: (granted / "g").write_bytes(b"other"), 3),
            (lambda: (granted / "g").symlink_to(outside), -errno.EACCES),
            (lambda: os.mkfifo(granted / "g"), -errno.EACCES),
            ((granted / "g").mkdir, 3),
            (lambda: None, -errno.ENOENT),
        ):
            box.ask(CLOSE, box.open_file("/d/g", 0), 0, 0, 0, 0)
            _remove(granted / "g")
            make()
            found = box.open_file("/d/g", 0)
            assert found == expected
            if found >= 0:
                box.ask(CLOSE, found, 0, 0, 0, 0)
            _remove(granted / "g")
            (granted / "g").write_bytes(b"g")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "path", ["/d/../f", "/d/sub/../../f", "/d//f", "/d/./f", "/d/f/", "/d", "/", "d/f", ""]
)
def test_paths_that_are_not_plain_are_pythons(
    module: tmebox.Module, asked: list[int], tree: Path, path: str
) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], timeout=60) as box:
        at = box.put(path)
        asked.clear()
        box.ask(OPEN, at, 0, 0, 0, 0)
        assert asked == [OPEN]


@pytest.mark.parametrize(
    "path", ["/proc/self/stat", "/proc/x", "/proc", "/proc/", "/proc/../d/f", "/process"]
)
@pytest.mark.parametrize("guest_path", ["/d", "/proc", "/proc/self", "/proc/x", "/procession", "/"])
def test_there_is_no_proc_unless_it_was_granted(
    module: tmebox.Module, asked: list[int], tree: Path, guest_path: str, path: str
) -> None:
    """The core answers as Python does, which answers alone where a path has to be cleaned."""
    (tree / "x").touch()
    (tree / "proc").mkdir()
    (tree / "proc" / "x").touch()
    with tmebox.Sandbox(module, dirs=[f"{tree}:{guest_path}:ro"], timeout=60) as box:
        expected = box.ask(OPEN, box.put("/" + path), 0, 0, 0, 0)
        if expected >= 0:
            box.ask(CLOSE, expected, 0, 0, 0, 0)
        at = box.put(path)
        asked.clear()
        assert box.ask(OPEN, at, 0, 0, 0, 0) == expected
        if path in ("/proc/self/stat", "/proc/x") and guest_path == "/d":
            assert asked == []


def test_rights_that_depend_on_the_way_are_pythons(
    module: tmebox.Module, asked: list[int], tree: Path
) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d", f"{tree}/sub:/d/sub:ro"], timeout=60) as box:
        at = box.put("/d/f")
        asked.clear()
        assert box.ask(OPEN, at, 0, 0, 0, 0) == 3
        assert asked == [OPEN]


def test_a_guest_has_no_more_files_than_it_may(module: tmebox.Module, tree: Path) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], files=10, timeout=60) as box:
        before = descriptors.settled_count()
        opened = [box.open_file("/d/f", 0) for _ in range(20)]
        assert opened == [*range(3, 10), *[-errno.EMFILE] * 10, *[-errno.EMFILE] * 3]
        box.ask(DUP, 3, 0, 0, 0, 0)
        assert descriptors.count() <= before + 8
    assert descriptors.count() <= before


def test_reset_and_close_leave_no_descriptor(module: tmebox.Module, tree: Path) -> None:
    box = tmebox.Sandbox(module, dirs=[f"{tree}:/d"], timeout=60)
    box.open_file("/d/f", 0)
    box.reset()
    before = descriptors.settled_count()
    for _ in range(3):
        assert [box.open_file(f"/d/{name}", 0) for name in ("f", "sub/g", "f")] == [3, 4, 5]
        box.reset()
        assert descriptors.count() == before
    box.open_file("/d/f", 0)
    box.close()
    assert descriptors.count() < before


def test_a_connection_is_accepted_used_and_closed_without_python(
    module: tmebox.Module, asked: list[int]
) -> None:
    with tmebox.Sandbox(module, listen=["127.0.0.1:0"], timeout=60) as box:
        ((_, port),) = box.listening
        listener = box.listener(port)
        epoll = box.ask(EPOLL_CREATE1, 0, 0, 0, 0, 0)
        at = box.place()
        before = descriptors.settled_count()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                asked.clear()
                box.memory.write(at, struct.pack("<i", 128))
                number = box.ask(ACCEPT4, listener, at + ROOM, at, os.O_NONBLOCK, 0)
                assert number == epoll + 1
                name = box.memory.read(at + ROOM, 16)
                assert name == struct.pack("<H", 2) + struct.pack(">H", peer.getsockname()[1]) + bytes(
                    [127, 0, 0, 1, *[0] * 8]
                )
                box.memory.write(at, struct.pack("<IQ", 1, 77))
                assert box.ask(EPOLL_CTL, epoll, 1, number, at, 0) == 0
                peer.sendall(b"hello")
                assert box.ask(232, epoll, at, 8, 2000, 0) == 1
                assert struct.unpack("<IQ", box.memory.read(at, 12)) == (1, 77)
                assert box.ask(IOCTL, number, FIONREAD, at, 0, 0) == 0
                assert box.memory.read(at, 4) == struct.pack("<i", 5)
                assert box.ask(SETSOCKOPT, number, 6, TCP_NODELAY, at, 4) == 0
                assert box.ask(45, number, at, 100, 0, 0) == 5
                assert box.ask(44, number, at, 5, 0, 0) == 5
                assert peer.recv(5) == b"hello"
                assert box.ask(CLOSE, number, 0, 0, 0, 0) == 0
                assert peer.recv(5) == b""
                assert asked == []
        assert descriptors.count() == before
        assert box.ask(ACCEPT4, listener, 0, 0, 0, 0) == -errno.EAGAIN


def test_python_takes_over_connections_too(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, listen=["127.0.0.1:0"], timeout=60) as box:
        (where,) = box.listening
        listener, at = box.listener(where[1]), box.place()
        with socket.create_connection(where, 5) as peer:
            number = box.ask(ACCEPT4, listener, 0, 0, os.O_NONBLOCK, 0)
            assert box.ask(FCNTL, number, F_GETFL, 0, 0, 0) == os.O_RDWR | os.O_NONBLOCK
            peer.sendall(b"abc")
            assert box.ask(READ, number, at, 10, 0, 0) == 3
            assert box.ask(SHUTDOWN, number, 1, 0, 0, 0) == 0 and peer.recv(1) == b""
            assert box.ask(CLOSE, number, 0, 0, 0, 0) == 0
            assert box.ask(READ, number, at, 10, 0, 0) == -errno.EBADF


EDGES = (0, 1, 2, 3, 4, 7, 8, 16, 4095, 4096, 65536, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1)
CALLS = (
    *(0, 1, 3, 5, 8, 16, 17, 18, 19, 20, 32, 33, 40, 43, 44, 45, 46, 47, 48, 51, 52, 54, 55, 72, 77),
    *(2, 4, 6, 21, 86, 87, 88, 89, 90, 137, 138, 160, 232, 233, 257, 262, 265, 266, 267, 288, 302),
)
PATHS = (
    "/d/f",
    "/d/sub/g",
    "/d/new",
    "/d/../../etc/hostname",
    "/d/sub/",
    "/d/link",
    "/dev/null",
    "sub/g",
    "/",
)


def fuzz(module: tmebox.Module, tree: Path, seed: int, count: int) -> None:
    """Random calls with edges for arguments, while a peer connects, stalls and goes. In a forked child."""
    chance = random.Random(seed)
    secret = os.memfd_create("secret")
    os.write(secret, b"secret" * 100)
    tmebox.Sandbox(module, timeout=600).close()  # what the process has once
    before = descriptors.settled_count()
    with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], listen=["127.0.0.1:0"], files=24, timeout=600) as box:
        (where,) = box.listening
        listener, peers = box.listener(where[1]), []
        box.ask(EPOLL_CREATE1, 0, 0, 0, 0, 0)
        at, constant = box.place(), box.constant_place()
        places = (
            at,
            at + ROOM,
            at + 65500,
            constant,
            abi.CONTROL_PAGE,
            abi.ARENA_START,
            abi.ARENA_END - 8,
        )
        for step in range(count):
            if step % 64 == 0:
                box.put(chance.choice(PATHS))
                peers.append(socket.create_connection(where, 5))
                peers[-1].sendall(b"GET / HTTP/1.0\r\n\r\n")
                if len(peers) > 8:
                    peers.pop(chance.randrange(9)).close()
                for number in range(10, 24):
                    box.ask(CLOSE, number, 0, 0, 0, 0)
            number = chance.choice(CALLS)
            arguments = [
                chance.choice((*range(24), listener, at, chance.choice(EDGES), -100)),
                chance.choice((*range(8), *places, chance.choice(EDGES), -chance.choice(EDGES))),
                chance.choice((0, 1, 4, 6, *places, chance.choice(EDGES))),
                chance.choice((0, 0, 1, 2048, *places, chance.choice(EDGES))),
                chance.choice((0, 4, 16, *places)),
            ]
            if number == 232:
                arguments[3] = 0
            if number == 72 and arguments[1] == 7:
                continue  # waiting for a lock is what was asked for
            if number in (0, 19, 45, 47, 1, 20, 44, 46, 43) or arguments[0] == listener:
                box.ask(FCNTL, arguments[0], 4, os.O_NONBLOCK, 0, 0)
            box.ask(number, *arguments)
        assert box.memory.read(constant, 8) == b"constant"
        for peer in peers:
            peer.close()
        peers.clear()
    assert descriptors.count() == before
    assert os.pread(secret, 600, 0) == b"secret" * 100
    os._exit(7)


@pytest.mark.parametrize("seed", range(3))
def test_random_calls_lose_no_descriptor(module: tmebox.Module, tree: Path, seed: int) -> None:
    assert run_forked(lambda: fuzz(module, tree, seed, 4000)).exit_status == 7


GROWING = r"""
#include <fcntl.h>
#include <sys/stat.h>
void grow(void);
static int file;
long begin(void) { return file = open("/d/f", O_RDONLY); }
long size(void)
{
	struct stat status;
	return fstat(file, &status) ? -1 : status.st_size;
}
long begin_and_size(void) { return begin() < 0 ? -1 : size(); }
long size_after_growth(void) { return begin() < 0 ? -1 : (grow(), size()); }
"""


def test_the_size_of_a_file_is_that_of_now_once_the_host_has_run(asked: list[int], tmp_path: Path) -> None:
    """What opening has seen is only told to whom asks before anything else can happen."""
    path = tmp_path / "f"

    def grow() -> None:
        path.write_bytes(path.read_bytes() + b"more")
        assert nested.begin() > 0

    path.write_bytes(b"data")
    module = tmebox.compile(source_text=GROWING, flags=("-w",))
    options: dict[str, Any] = {"dirs": [f"{tmp_path}:/d"], "timeout": 60}
    with (
        tmebox.Sandbox(module, imports={"grow": lambda: None}, **options) as nested,
        tmebox.Sandbox(module, imports={"grow": grow}, **options) as box,
    ):
        assert box.begin_and_size() == 4
        assert box.size_after_growth() == 8
        assert box.begin() > 0
        grow()
        assert box.size() == 12
        assert FSTAT not in asked
