"""What the core answers without Python is what Python would have answered, and nothing more."""

from __future__ import annotations

import errno
import os
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests import descriptors
from tests.forked import run_forked
from tests.runtime.system.asking import (
    ASK,
    CLOSE,
    PREAD,
    PWRITE,
    READ,
    READV,
    RECVFROM,
    SENDTO,
    WRITE,
    WRITEV,
    unwritable,
)
from tmebox import abi
from tmebox.runtime.system import System

DATA = r"""
static char data[4 << 20]; /* what is read beyond the first 64 KiB must not be the C library's own */
long place(void) { return (long)data; }
void fill(long seed) { for (int i = 0; i < 65536; i++) data[i] = (char)((i * 31 + seed) >> 3); }
long sum(long size)
{
	unsigned long all = 0;
	for (long i = 0; i < size; i++) all = all * 31 + (unsigned char)data[i];
	return (long)(all >> 1);
}
long open_file(const char *path, int flags) { int fd = open(path, flags, 0600); return fd < 0 ? -errno : fd; }
long make_pair(void)
{
	int two[2];
	return socketpair(AF_UNIX, SOCK_STREAM, 0, two) ? -errno : two[0] | (long)two[1] << 32;
}
"""
EPOLL_WAIT, SENDFILE, CLOCK = 232, 40, 228
ANSWERED = (READ, WRITE, READV, WRITEV, PREAD, PWRITE, SENDTO, RECVFROM, EPOLL_WAIT, 281, SENDFILE, CLOCK)
MODULE = pytest.fixture(scope="module")


@MODULE
def module() -> tmebox.Module:
    return tmebox.compile(source_text=ASK + DATA, flags=("-w",))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the system calls that came to Python."""
    numbers: list[int] = []
    honest = System.handle

    def noting(self: System, memory: Any, number: int, arguments: tuple[int, ...]) -> int:
        numbers.append(number)
        return honest(self, memory, number, arguments)

    monkeypatch.setattr(System, "handle", noting)
    return numbers


def test_bytes_of_files_and_pairs_move_without_python(
    module: tmebox.Module, asked: list[int], tmp_path: Path
) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], timeout=60) as box:
        box.fill(5)
        before = box.sum(60000)
        at = box.place()
        file = box.open_file("/d/new", os.O_RDWR | os.O_CREAT)
        pair = box.make_pair()
        left, right = pair & 0xFFFFFFFF, pair >> 32
        asked.clear()
        assert box.ask(WRITE, file, at, 60000, 0, 0) == 60000
        box.fill(0)
        assert box.ask(PREAD, file, at, 60000, 0, 0) == 60000
        assert box.sum(60000) == before
        assert box.ask(SENDTO, left, at, 500, 0, 0) == 500
        assert box.ask(RECVFROM, right, at + 1000, 65000 - 1000, 0, 0) == 500
        assert box.ask(CLOCK, 1, at, 0, 0, 0) == 0
        assert asked == []
    assert (tmp_path / "new").stat().st_size == 60000


@pytest.mark.parametrize("call", [READ, PREAD, RECVFROM])
def test_nothing_is_read_into_memory_that_the_sandbox_could_not_write(
    module: tmebox.Module, call: int, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"A" * 8192)
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], timeout=60) as box:
        file = box.open_file("/d/f", os.O_RDONLY)
        pair = box.make_pair()
        left, right = pair & 0xFFFFFFFF, pair >> 32
        box.ask(WRITE, left, box.place(), 4096, 0, 0)
        source = right if call == RECVFROM else file
        constant = box.constant_place()
        control = box.memory.read(abi.CONTROL_PAGE, 4096)
        for place in unwritable(constant):
            assert box.ask(call, source, place, 16, 0, 0) == -errno.EFAULT, hex(place)
        assert box.memory.read(constant, 8) == b"constant"
        assert box.memory.read(abi.CONTROL_PAGE, 4096) == control


@pytest.mark.parametrize("size", [4095, 4096, 4097, 65536, 3 << 20])
def test_much_moves_whole_to_and_from_pages_that_nobody_has_touched(
    module: tmebox.Module, size: int, tmp_path: Path
) -> None:
    """The kernel gets the address itself, and may find no page there."""
    content = random.Random(size).randbytes(size)
    (tmp_path / "in").write_bytes(content)
    with tmebox.Sandbox(module, memory="16MiB", dirs=[(tmp_path, "/d")]) as box:
        at = box.place() + 1  # never touched: bss
        source, target = box.open_file("/d/in", os.O_RDONLY), box.open_file("/d/out", os.O_RDWR | os.O_CREAT)
        assert box.ask(READ, source, at, size, 0, 0) == size
        assert box.memory.read(at, size) == content
        assert box.ask(READ, source, at, size, 0, 0) == 0
        assert box.ask(WRITE, target, at, size, 0, 0) == size
        assert (tmp_path / "out").read_bytes() == content
        assert box.ask(WRITE, target, at + size, 4096, 0, 0) == 4096  # untouched, too
        assert (tmp_path / "out").read_bytes() == content + bytes(4096)


@pytest.mark.parametrize("kind", ["terminal", "pipe"])
def test_what_a_read_takes_is_not_lost_where_nobody_has_touched_the_page(
    module: tmebox.Module, kind: str
) -> None:
    """A terminal's line is gone once it was read, even if the kernel could not store it."""
    giving, taking = os.openpty() if kind == "terminal" else reversed(os.pipe())
    with (
        open(giving, "wb", buffering=0) as writer,
        open(taking, "rb", buffering=0) as stdin,
        tmebox.Sandbox(module, memory="16MiB", stdin=stdin, timeout=10) as box,
    ):
        writer.write(b"one\ntwo\n")
        at = box.place() + 1
        first = box.ask(READ, 0, at, 65536, 0, 0)
        if kind == "terminal":
            assert first == 4
            assert box.ask(READ, 0, at + 4, 65536, 0, 0) == 4
        assert box.memory.read(at, 8) == b"one\ntwo\n"


def test_much_stops_where_the_sandboxs_memory_does(module: tmebox.Module, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * (1 << 20))
    with tmebox.Sandbox(module, memory="16MiB", dirs=[(tmp_path, "/d")]) as box:
        source = box.open_file("/d/in", os.O_RDONLY)
        for place in (0, abi.CONTROL_PAGE - 8192, box.constant_place(), abi.PRIVATE_END - 4096, 1 << 40):
            for call in (READ, PREAD):
                got = box.ask(call, source, place, 16384, 0, 0)
                assert got == -errno.EFAULT or 0 < got < 16384
        assert box.memory.read(box.constant_place(), 9) == b"constant\0"


@pytest.mark.parametrize("call", [WRITE, PWRITE, SENDTO])
def test_nothing_is_written_from_memory_that_the_sandbox_could_not_read(
    module: tmebox.Module, call: int, tmp_path: Path
) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], timeout=60) as box:
        file = box.open_file("/d/f", os.O_RDWR | os.O_CREAT)
        left = box.make_pair() & 0xFFFFFFFF
        target = left if call == SENDTO else file
        for place in (0, 8, abi.PRIVATE_END, abi.ARENA_END, 1 << 32, 1 << 47, -1, -8, abi.CODE_BASE):
            assert box.ask(call, target, place, 16, 0, 0) == -errno.EFAULT, hex(place)
    assert (tmp_path / "f").stat().st_size == 0


def test_rights_of_descriptors_hold(module: tmebox.Module, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d", f"{tmp_path}:/r:ro"], timeout=60) as box:
        at = box.place()
        reading = box.open_file("/d/f", os.O_RDONLY)
        writing = box.open_file("/d/f", os.O_WRONLY)
        assert box.ask(WRITE, reading, at, 1, 0, 0) == -errno.EBADF
        assert box.ask(READ, writing, at, 1, 0, 0) == -errno.EBADF
        assert box.ask(WRITE, box.open_file("/r/f", os.O_RDONLY), at, 1, 0, 0) == -errno.EBADF
        assert box.ask(SENDTO, writing, at, 1, 0, 0) == -errno.ENOTSOCK
        for number in (63, 1023, 1024, 1 << 31, -1, 1 << 62):
            assert box.ask(READ, number, at, 1, 0, 0) == -errno.EBADF
        assert box.ask(CLOSE, reading, 0, 0, 0, 0) == 0
        assert box.ask(READ, reading, at, 1, 0, 0) == -errno.EBADF
        directory = box.open_file("/d", os.O_RDONLY)
        assert directory == reading
        assert box.ask(READ, directory, at, 1, 0, 0) == -errno.EISDIR
    assert (tmp_path / "f").read_bytes() == b"abc"


def test_sendfile_writes_to_files_with_their_rights(module: tmebox.Module, tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(bytes(range(256)) * 1000)
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d", f"{tmp_path}:/r:ro"], timeout=60) as box:
        source = box.open_file("/d/from", os.O_RDONLY)
        target = box.open_file("/d/to", os.O_WRONLY | os.O_CREAT)
        sent = 0
        while (moved := box.ask(SENDFILE, target, source, 0, 1 << 20, 0)) > 0:
            sent += moved
        assert (sent, moved) == (256_000, 0)
        appending = box.open_file("/d/to", os.O_WRONLY | os.O_APPEND)
        assert box.ask(SENDFILE, appending, source, 0, 5, 0) == -errno.EINVAL
        reading = box.open_file("/r/to", os.O_RDONLY)
        again = box.open_file("/d/from", os.O_RDONLY)
        assert box.ask(SENDFILE, reading, again, 0, 5, 0) == -errno.EBADF
        assert box.ask(SENDFILE, target, target, 0, 5, 0) == -errno.EBADF
    assert (tmp_path / "to").read_bytes() == (tmp_path / "from").read_bytes()


def test_a_number_of_a_closed_file_is_not_the_hosts_next_file(module: tmebox.Module, tmp_path: Path) -> None:
    """The host gets the numbers that a guest gives back."""
    (tmp_path / "f").write_bytes(b"abc")
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], timeout=60) as box:
        at = box.place()
        number = box.open_file("/d/f", os.O_RDWR)
        box.ask(CLOSE, number, 0, 0, 0, 0)
        secret = tmp_path / "secret"
        secret.write_bytes(b"secret")
        kept = [os.open(secret, os.O_RDWR) for _ in range(8)]
        assert box.ask(READ, number, at, 6, 0, 0) == -errno.EBADF
        assert box.ask(WRITE, number, at, 6, 0, 0) == -errno.EBADF
        box.reset()
        assert box.ask(READ, number, at, 6, 0, 0) == -errno.EBADF
        for descriptor in kept:
            os.close(descriptor)
    assert secret.read_bytes() == b"secret"


def test_a_stream_whose_number_the_host_gives_away_is_not_the_cores(tmp_path: Path) -> None:
    """The core would read another file there, or wait for a pipe without end."""
    (tmp_path / "in").write_bytes(b"input")
    number = os.open(tmp_path / "in", os.O_RDONLY)
    system = System(stdin=number)
    assert system.descriptors[0].data_path() is None
    program = System(stdin=number, exclusive=True)
    path = program.descriptors[0].data_path()
    assert path is not None and path.host != number
    assert os.path.samestat(os.fstat(path.host), os.fstat(number))
    os.close(number)
    assert os.read(path.host, 8) == b"input"
    program.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(path.host)


SLOW = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static unsigned char b[1 << 20];
int main(int count, char **values)
{
	for (int i = 0; i < sizeof b; i++) b[i] = (unsigned char)(i * 7 + (i >> 8));
	for (int n = 0; n < 3; n++) if (write(1, b, sizeof b) != sizeof b) return 1;
	return 0;
}
"""


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_write_that_waits_writes_all_of_it_once(kind: str) -> None:
    expected = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(1 << 20)) * 3
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        reading, writing = (end.detach() for end in socket.socketpair())
    found = bytearray()

    def read_slowly() -> None:
        chance = random.Random(1)
        while piece := os.read(reading, chance.choice([1, 100, 4096, 65536, 1 << 20])):
            found.extend(piece)
            if chance.random() < 0.02:
                time.sleep(0.03)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    with tmebox.Sandbox(tmebox.compile(source_text=SLOW, flags=("-w",)), stdout=writing) as box:
        done = box.run(stdout=writing, timeout=120)
    os.close(writing)
    reader.join(60)
    os.close(reading)
    assert done.exit_code == 0
    assert bytes(found) == expected


def test_the_time_limit_holds_at_a_pipe_that_nobody_reads() -> None:
    reading, writing = os.pipe()
    with tmebox.Sandbox(tmebox.compile(source_text=SLOW, flags=("-w",))) as box:
        began = time.monotonic()
        with pytest.raises(tmebox.Timeout):
            box.run(stdout=writing, timeout=0.3)
        assert time.monotonic() - began < 20
    os.close(reading)
    os.close(writing)


def test_a_program_leaves_no_descriptor_of_its_streams() -> None:
    before = descriptors.settled_count()
    module = tmebox.compile(source_text='int puts(const char *); int main(void) { puts("x"); return 0; }')
    reading, writing = os.pipe()
    with tmebox.Sandbox(module) as box:
        for _ in range(20):
            box.run(stdin=reading, stdout=writing)
    os.close(writing)
    assert os.read(reading, 100) == b"x\n" * 20
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert descriptors.count() == before


def test_a_file_does_not_grow_beyond_its_limit(module: tmebox.Module, tmp_path: Path) -> None:
    from tmebox.runtime.system import Directory

    system = System(directories=[Directory(str(tmp_path), "/d", False)], max_file_bytes=1000)
    with tmebox.Sandbox(module, timeout=60) as box:
        box._tenancy.system = system
        at = box.place()
        file = box.open_file("/d/f", os.O_RDWR | os.O_CREAT)
        assert box.ask(WRITE, file, at, 990, 0, 0) == 990
        assert box.ask(WRITE, file, at, 100, 0, 0) == 10
        assert box.ask(WRITE, file, at, 1, 0, 0) == -errno.EFBIG
        assert box.ask(PWRITE, file, at, 10, 1 << 40, 0) == -errno.EFBIG
        appended = box.open_file("/d/a", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        for call in (PWRITE, WRITE):
            results = [box.ask(call, appended, at, 150, 0, 0) for _ in range(5)]
            assert results == ([150] * 5 if call == PWRITE else [150, 100, *[-errno.EFBIG] * 3])
            assert box.ask(8, appended, 0, os.SEEK_CUR, 0, 0) == (0 if call == PWRITE else 1000)
        assert box.ask(PWRITE, appended, at, 1, 0, 0) == -errno.EFBIG
    assert (tmp_path / "f").stat().st_size == (tmp_path / "a").stat().st_size == 1000


EDGES = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    16,
    63,
    64,
    255,
    4095,
    4096,
    65536,
    1 << 20,
    1 << 31,
    1 << 32,
    1 << 47,
    1 << 62,
)


@pytest.mark.parametrize("seed", range(2))
def test_random_calls_never_reach_the_host(module: tmebox.Module, seed: int, tmp_path: Path) -> None:
    def attack() -> None:
        chance = random.Random(seed)
        (tmp_path / "f").write_bytes(os.urandom(5000))
        secret = os.memfd_create("secret")
        os.write(secret, b"secret" * 100)
        with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/d"], timeout=60) as box:
            at, constant = box.place(), box.constant_place()
            box.open_file("/d/f", os.O_RDWR)
            box.make_pair()
            box.ask(291, 0, 0, 0, 0, 0)
            box.ask(72, 4, 4, os.O_NONBLOCK, 0, 0)
            box.ask(72, 5, 4, os.O_NONBLOCK, 0, 0)
            places = (at, at + 8, at + 65500, constant, abi.CONTROL_PAGE, abi.ARENA_START, abi.ARENA_END - 8)
            for _ in range(4000):
                number = chance.choice(ANSWERED)
                arguments = [
                    chance.randrange(8),
                    chance.choice((*places, chance.choice(EDGES), -chance.choice(EDGES))),
                    chance.choice(EDGES[:16]),
                    chance.choice((0, 0, 1, *places, chance.choice(EDGES))),
                    chance.choice((0, 0, *places)),
                ]
                if number in (EPOLL_WAIT, 281):
                    arguments[3] = 0
                box.ask(number, *arguments)
            assert box.memory.read(constant, 8) == b"constant"
        assert os.pread(secret, 600, 0) == b"secret" * 100
        os._exit(7)

    assert run_forked(attack).exit_status == 7
