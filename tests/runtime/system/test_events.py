"""Pipes, counters, timers, epoll, poll and select: what a guest waits with."""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tmebox
from tests.forked import run_forked
from tests.runtime.system.guest_side import Guest, succeed
from tests.runtime.system.test_network import repeated
from tmebox.runtime.system import System
from tmebox.runtime.system.network import Endpoint

NONBLOCK = os.O_NONBLOCK
IN, OUT, ERR, HUP, NVAL, ET = 1, 4, 8, 16, 32, 1 << 31
ADD, DEL, MOD = 1, 2, 3
MS = 1_000_000


def pipe(guest: Guest, flags: int = 0) -> tuple[int, int]:
    result = guest.room(8)
    succeed(guest("pipe2", result, flags))
    reading, writing = struct.unpack("<2i", guest.memory.read(result, 8))
    return reading, writing


def polled(guest: Guest, *rows: tuple[int, int], timeout_ms: int = 0) -> list[int]:
    at = guest.place(b"".join(struct.pack("<ihh", number, events, 77) for number, events in rows))
    succeed(repeated(guest, "poll", at, len(rows), timeout_ms))
    return [found[2] for found in struct.iter_unpack("<ihh", guest.memory.read(at, 8 * len(rows)))]


def test_a_pipe_carries_bytes_and_ends() -> None:
    guest = Guest()
    reading, writing = pipe(guest)
    assert guest.write(writing, b"abc") == 3
    assert guest.read(reading, 2) == b"ab"
    assert guest.read(reading) == b"c"
    assert guest.write(reading, b"x") == -errno.EBADF
    assert guest("read", writing, guest.room(4), 4) == -errno.EBADF
    assert guest.stat("/dev/stdin")["mode"] & 0o170000 == 0o020000
    succeed(guest("close", writing))
    assert guest.read(reading) == b""


def test_a_pipe_that_nobody_reads_fails_and_sends_no_signal() -> None:
    def attack() -> None:
        import signal

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # as programs in a shell's pipeline have it
        guest = Guest()
        reading, writing = pipe(guest)
        succeed(guest("close", reading))
        assert guest.write(writing, b"x") == -errno.EPIPE
        os._exit(7)

    assert run_forked(attack).exit_status == 7


def test_a_full_pipe_says_so_to_whom_does_not_wait() -> None:
    guest = Guest()
    _, writing = pipe(guest, NONBLOCK)
    total = 0
    while (count := guest.write(writing, bytes(4096))) > 0:
        total += count
    assert count == -errno.EAGAIN
    assert 4096 < total < 1 << 22
    assert guest("fcntl", writing, 3, 0) & NONBLOCK
    succeed(guest("fcntl", writing, 4, 0))
    assert guest.write(writing, b"x") == -errno.EINTR  # the guest asks again


def test_a_counter_counts() -> None:
    guest = Guest()
    own = succeed(guest("eventfd2", 3, NONBLOCK))
    assert guest.write(own, (4).to_bytes(8, "little")) == 8
    assert int.from_bytes(guest.read(own, 8), "little") == 7
    assert guest("read", own, guest.room(8), 8) == -errno.EAGAIN
    assert guest("read", own, guest.room(8), 7) == -errno.EINVAL
    assert guest("eventfd2", 0, 1 << 20) == -errno.EINVAL


def test_a_timer_ends_a_wait() -> None:
    guest = Guest()
    timer = succeed(guest("timerfd_create", 1, 0))
    setting = struct.pack("<4q", 0, 0, 0, 30 * MS)
    succeed(guest("timerfd_settime", timer, 0, setting, 0))
    began = time.monotonic()
    assert polled(guest, (timer, IN), timeout_ms=5000) == [IN]
    assert 0.02 < time.monotonic() - began < 4
    assert guest.read(timer, 8) == (1).to_bytes(8, "little")
    assert guest("timerfd_create", 9, 0) == -errno.EINVAL
    assert guest("timerfd_settime", 0, 0, setting, 0) == -errno.EINVAL


def test_poll_sees_kernel_objects_files_and_what_is_not_open() -> None:
    guest = Guest(System(stdin=b"text"))
    reading, writing = pipe(guest)
    assert polled(guest, (reading, IN), (writing, OUT), (0, IN), (40, IN), (-1, IN)) == [0, OUT, IN, NVAL, 0]
    guest.write(writing, b"x")
    assert polled(guest, (reading, IN)) == [IN]
    guest("close", writing)
    assert polled(guest, (reading, 0))[0] & HUP


def test_poll_waits_as_long_as_it_was_told() -> None:
    guest = Guest()
    reading, _ = pipe(guest)
    began = time.monotonic()
    assert polled(guest, (reading, IN), timeout_ms=60) == [0]
    assert 0.055 < time.monotonic() - began < 5
    began = time.monotonic()
    assert polled(guest, timeout_ms=60) == []
    assert 0.055 < time.monotonic() - began < 5


def test_waiting_ends_when_something_comes() -> None:
    guest = Guest()
    reading, writing = pipe(guest)
    end = guest.system.descriptors[writing]
    threading.Timer(0.05, lambda: end.write(b"x")).start()
    assert polled(guest, (reading, IN), timeout_ms=20000) == [IN]


def test_select_answers_each_set() -> None:
    guest = Guest()
    reading, writing = pipe(guest)

    def select(readable: int, writable: int, timeout: bytes) -> tuple[int, int, int]:
        sets = [guest.place(bits.to_bytes(8, "little")) for bits in (readable, writable, 0)]
        count = repeated(guest, "select", 16, *sets, timeout)
        answers = [int.from_bytes(guest.memory.read(at, 8), "little") for at in sets]
        return count, answers[0], answers[1]

    now = struct.pack("<2q", 0, 0)
    assert select(1 << reading, 1 << writing, now) == (1, 0, 1 << writing)
    guest.write(writing, b"x")
    assert select(1 << reading, 1 << writing, now) == (2, 1 << reading, 1 << writing)
    assert select(1 << 12, 0, now)[0] == -errno.EBADF
    guest.read(reading)
    assert select(1 << reading, 0, struct.pack("<2q", 0, 30_000))[0] == 0
    assert guest("select", 1025, 0, 0, 0, now) == -errno.EINVAL


def epoll(guest: Guest, *watched: tuple[int, int, int]) -> int:
    own = succeed(guest("epoll_create1", 0))
    for number, events, data in watched:
        succeed(guest("epoll_ctl", own, ADD, number, struct.pack("<IQ", events, data)))
    return own


def events_of(guest: Guest, own: int, timeout_ms: int = 0, most: int = 8) -> list[tuple[int, int]]:
    at = guest.room(12 * most)
    count = succeed(repeated(guest, "epoll_wait", own, at, most, timeout_ms))
    return list(struct.iter_unpack("<IQ", guest.memory.read(at, 12 * count)))


def test_epoll_gives_back_what_the_guest_put_beside_a_descriptor() -> None:
    guest = Guest()
    reading, writing = pipe(guest)
    marker = 0xDEADBEEF12345678
    own = epoll(guest, (reading, IN, marker))
    assert events_of(guest, own) == []
    guest.write(writing, b"x")
    assert events_of(guest, own, 1000) == [(IN, marker)]
    succeed(guest("epoll_ctl", own, MOD, reading, struct.pack("<IQ", IN | ET, 5)))
    assert events_of(guest, own) == [(IN, 5)]
    assert events_of(guest, own) == []
    succeed(guest("epoll_ctl", own, DEL, reading, 0))
    assert guest("epoll_ctl", own, DEL, reading, 0) == -errno.ENOENT


def test_epoll_refuses_files_and_what_is_no_epoll() -> None:
    guest = Guest(System(stdin=b"x"))
    own = epoll(guest)
    event = struct.pack("<IQ", IN, 0)
    assert guest("epoll_ctl", own, ADD, 0, event) == -errno.EPERM
    assert guest("epoll_ctl", own, ADD, 33, event) == -errno.EBADF
    assert guest("epoll_ctl", 0, ADD, own, event) == -errno.EINVAL
    assert guest("epoll_ctl", own, ADD, own, event) == -errno.EINVAL
    assert guest("epoll_wait", own, guest.room(12), 0, 0) == -errno.EINVAL


def test_a_closed_descriptor_is_watched_no_more() -> None:
    with tmebox_listener() as (guest, port):
        listener = succeed(guest("socket", 2, 1 | NONBLOCK, 0))
        name = struct.pack("<H", 2) + struct.pack(">H", port) + bytes([127, 0, 0, 1]) + bytes(8)
        succeed(guest("bind", listener, name, 16))
        succeed(guest("listen", listener, 5))
        own = epoll(guest, (listener, IN, 9))
        succeed(guest("close", listener))  # the host keeps another descriptor of the same socket
        import socket

        with socket.create_connection(("127.0.0.1", port)):
            assert events_of(guest, own, 60) == []


@contextmanager
def tmebox_listener() -> Iterator[tuple[Guest, int]]:
    """A guest that may listen, and the port."""
    system = System(listen=[Endpoint("127.0.0.1", 0)])
    try:
        yield Guest(system), system.network.bound[0][0].port
    finally:
        system.close()


def test_an_endless_wait_obeys_the_time_limit() -> None:
    module = tmebox.compile(
        source_text="""
        #include <sys/epoll.h>
        int main(void) { struct epoll_event e; return epoll_wait(epoll_create1(0), &e, 1, -1); }
        """
    )
    with tmebox.Sandbox(module, timeout=0.2) as sandbox:
        began = time.monotonic()
        with pytest.raises(tmebox.Timeout):
            sandbox.run()
        assert time.monotonic() - began < 10


def test_reset_and_close_leave_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    guest = Guest()
    reading, _ = pipe(guest)
    epoll(guest, (reading, IN, 1))
    guest("eventfd2", 0, 0)
    guest("timerfd_create", 1, 0)
    assert len(os.listdir("/proc/self/fd")) == before + 5
    guest.system.reset()
    assert len(os.listdir("/proc/self/fd")) == before
    pipe(guest)
    guest.system.close()
    assert len(os.listdir("/proc/self/fd")) == before
