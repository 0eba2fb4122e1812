"""What servers ask for most takes a short cut in the core: nothing is lost there, nor done twice."""

from __future__ import annotations

import errno
import random
import socket
import threading
import time
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.asking import (
    ASK,
    PREAD,
    READ,
    RECVFROM,
    SENDTO,
    WRITE,
    WRITEV,
    unwritable,
)
from tests.runtime.system.looking import ONES, SIZE_BYTES, ZEROS, look, seen
from tmebox import abi

DATA = r"""
static char data[12 << 20];
long place(void) { return (long)data; }
long untouched(long size)
{
	return (long)mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
void fill(void) { for (int i = 0; i < sizeof data; i++) data[i] = (char)(i * 7 + (i >> 8)); }
void vector(long base, long size) { *(struct iovec *)data = (struct iovec){ (void *)base, size }; }
int reach(int port, int options)
{
	struct sockaddr_in to = { AF_INET, htons(port), { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(fd, (void *)&to, sizeof to)) return -errno;
	if (options) fcntl(fd, F_SETFL, options);
	return fd;
}
"""
CONTENT = bytes((i * 7 + (i >> 8)) & 0xFF for i in range(12 << 20))
PAGE = 4096


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=ASK + DATA, flags=("-w",))


class Peer:
    """A connection's end at the host, and a sandbox with the other one."""

    def __init__(self, module: tmebox.Module, *, waits: bool) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self.box = tmebox.Sandbox(module, memory="32MiB", connect=[f"127.0.0.1:{port}"], timeout=60)
            self.fd = self.box.reach(port, 0 if waits else 0o4000)
            self.socket = listener.accept()[0]
        self.socket.settimeout(60)

    def __enter__(self) -> Peer:
        assert self.fd > 2
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()
        self.box.close()


@pytest.mark.parametrize("call", [WRITE, SENDTO, WRITEV])
def test_who_waits_writes_all_of_it_once(module: tmebox.Module, call: int) -> None:
    """The kernel takes less at once: what it has taken must not be given again."""
    found = bytearray()
    with Peer(module, waits=True) as peer:

        def read_slowly() -> None:
            chance = random.Random(1)
            while len(found) < len(CONTENT) and (
                piece := peer.socket.recv(chance.choice([1000, 4096, 65536]))
            ):
                found.extend(piece)
                if chance.random() < 0.01:
                    time.sleep(0.01)

        reader = threading.Thread(target=read_slowly)
        reader.start()
        peer.box.fill()
        at = peer.box.place()
        if call == WRITEV:
            room = peer.box.untouched(PAGE)
            peer.box.memory.write(room, at.to_bytes(8, "little") + len(CONTENT).to_bytes(8, "little"))
            wrote = peer.box.ask(WRITEV, peer.fd, room, 1, 0, 0)
        else:
            wrote = peer.box.ask(call, peer.fd, at, len(CONTENT), 0, 0)
        assert wrote == len(CONTENT)
        reader.join(60)
    assert bytes(found) == CONTENT


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("call", [READ, RECVFROM])
@pytest.mark.parametrize("before", [0, 1, 100, PAGE])
def test_what_comes_is_not_lost_where_nobody_has_touched_the_page(
    module: tmebox.Module, call: int, waits: bool, before: int
) -> None:
    """before: how many bytes of it go to a page that was touched."""
    with Peer(module, waits=waits) as peer:
        at = peer.box.untouched(4 * PAGE) + 2 * PAGE
        if before:
            peer.box.memory.write(at - 1, b"x")
        for piece in (CONTENT[:50], CONTENT[50:PAGE], CONTENT[PAGE:6000]):
            peer.socket.sendall(piece)
        got = 0
        while got < 6000:
            more = peer.box.ask(call, peer.fd, at - before + got, 6000 - got, 0, 0)
            assert more > 0 or more == -errno.EAGAIN
            got += max(more, 0)
        assert peer.box.memory.read(at - before, 6000) == CONTENT[:6000]
        if not waits:
            assert peer.box.ask(call, peer.fd, at, 16, 0, 0) == -errno.EAGAIN
        peer.socket.close()
        assert peer.box.ask(call, peer.fd, at, 16, 0, 0) == 0


@pytest.mark.parametrize("call", [READ, RECVFROM])
def test_nothing_is_read_into_memory_that_the_sandbox_could_not_write(
    module: tmebox.Module, call: int
) -> None:
    with Peer(module, waits=False) as peer:
        peer.socket.sendall(CONTENT[:PAGE])
        constant = peer.box.constant_place()
        control = peer.box.memory.read(abi.CONTROL_PAGE, PAGE)
        for place in unwritable(constant):
            assert peer.box.ask(call, peer.fd, place, 16, 0, 0) == -errno.EFAULT, hex(place)
        assert peer.box.memory.read(constant, 8) == b"constant"
        assert peer.box.memory.read(abi.CONTROL_PAGE, PAGE) == control


def test_nothing_is_sent_from_memory_that_the_sandbox_could_not_read(module: tmebox.Module) -> None:
    with Peer(module, waits=False) as peer:
        for place in (0, 8, abi.PRIVATE_END, abi.ARENA_END, 1 << 32, 1 << 47, -1, -8, abi.CODE_BASE):
            for call in (WRITE, SENDTO, WRITEV):
                assert (
                    peer.box.ask(call, peer.fd, place, 16 if call != WRITEV else 1, 0, 0) == -errno.EFAULT
                ), hex(place)
            peer.box.vector(place, 16)
            assert peer.box.ask(WRITEV, peer.fd, peer.box.place(), 1, 0, 0) == -errno.EFAULT, hex(place)
        for count in (0, -1, 1 << 33):
            peer.box.vector(peer.box.place(), 8)
            assert peer.box.ask(WRITEV, peer.fd, peer.box.place(), count, 0, 0) in (
                0,
                -errno.EINVAL,
                -errno.EFAULT,
            )
        peer.box.close()
        assert peer.socket.recv(1) == b""


def test_flags_and_names_are_not_forgotten(module: tmebox.Module) -> None:
    with Peer(module, waits=False) as peer:
        at = peer.box.place()
        peer.socket.sendall(b"peeked")
        time.sleep(0.01)
        assert peer.box.ask(RECVFROM, peer.fd, at, 6, socket.MSG_PEEK, 0) == 6
        assert peer.box.ask(RECVFROM, peer.fd, at, 6, 0, 0) == 6
        assert peer.box.memory.read(at, 6) == b"peeked"
        assert peer.box.ask(RECVFROM, peer.fd, at, 6, 0, 0) == -errno.EAGAIN
        assert peer.box.ask(PREAD, peer.fd, at, 6, 0, 0) == -errno.ESPIPE
        assert peer.box.ask(READ, peer.fd, at, 0, 0, 0) in (0, -errno.EAGAIN)


LOOK_C = """
void look(unsigned char *found, long a, long b, long c, long d);
long see(unsigned char *found, long a, long b, long c, long d) { look(found, a, b, c, d); return 0; }
"""


@pytest.mark.parametrize("call", [READ, WRITE, WRITEV, RECVFROM, SENDTO])
def test_registers_show_nothing_of_the_host_afterwards(call: int, tmp_path: Path) -> None:
    """The gate neither keeps nor clears vector registers for a short cut."""
    (tmp_path / "look.s").write_text(look(abi.SYS_DIRECT + call))
    (tmp_path / "ask.c").write_text(ASK + DATA + LOOK_C)
    module = tmebox.compile([tmp_path / "look.s", tmp_path / "ask.c"], flags=("-w",))
    with Peer(module, waits=False) as peer:
        room, at = peer.box.array(SIZE_BYTES), peer.box.place()
        peer.socket.sendall(b"x" * 64)
        peer.box.fill()
        if call == WRITEV:
            peer.box.vector(at, 64)
        size = 1 if call == WRITEV else 64
        answers: list[tuple[int, int]] = []
        for place, many in ((at, size), (at, size), (0, 64), (at, 1 << 40)):
            peer.box.see(room, peer.fd, place, many, 0)
            (result, refused), vectors = seen(bytes(room))
            assert vectors <= {ONES, ZEROS}
            assert answers or vectors == {ONES}  # the first is sure to go the short way
            answers.append((result, refused))
        assert answers[0] == (64, 0)
        assert answers[1] == ((-errno.EAGAIN, 0) if call in (READ, RECVFROM) else (64, 0))
