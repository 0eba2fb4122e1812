"""Streams at which somebody else decides how long it takes: no system call waits for them for good."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import select
import signal
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tests.runtime.system.guest_side import Guest
from tmebox.runtime.system import System

WRITER = """
#include <unistd.h>
static char b[4096];
int main(void) { for (int i = 0; i < 64; i++) write(1, b, 4096); return 0; }
"""
READER = """
#include <unistd.h>
static char b[64];
int main(void) { return read(0, b, 64); }
"""


@pytest.fixture(scope="module")
def modules() -> Iterator[tuple[tmebox.Module, tmebox.Module]]:
    yield tmebox.compile(source_text=READER), tmebox.compile(source_text=WRITER)


@dataclass(frozen=True)
class Channel:
    """Two ends, each a descriptor of the host's."""

    reading: int
    writing: int


def pipe() -> Channel:
    return Channel(*os.pipe())


def sockets() -> Channel:
    ends = [end.detach() for end in socket.socketpair()]
    return Channel(*ends)


def terminal() -> Channel:
    """What a program in a terminal has, in both directions."""
    _master, slave = pty.openpty()
    tty.setraw(slave)
    return Channel(slave, slave)


CHANNELS = {"pipe": pipe, "socket": sockets, "terminal": terminal}


def as_number(descriptor: int, _mode: str) -> Any:
    return descriptor


def as_buffered(descriptor: int, mode: str) -> Any:
    return os.fdopen(descriptor, mode, closefd=False)


def as_raw(descriptor: int, mode: str) -> Any:
    return os.fdopen(descriptor, mode, 0, closefd=False)


def as_text(descriptor: int, mode: str) -> Any:
    return io.TextIOWrapper(os.fdopen(descriptor, mode, closefd=False))


def as_socket_file(descriptor: int, mode: str) -> Any:
    return socket.socket(fileno=os.dup(descriptor)).makefile(mode)  # type: ignore[call-overload]


FORMS: dict[str, Callable[[int, str], Any]] = {
    "number": as_number,
    "buffered": as_buffered,
    "raw": as_raw,
    "text": as_text,
    "socket-file": as_socket_file,
}
CASES = [
    (channel, form) for channel in CHANNELS for form in FORMS if form != "socket-file" or channel == "socket"
]


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[Channel, Callable[[int, str], Any]]:
    channel, form = request.param
    return CHANNELS[channel](), FORMS[form]


def fill(descriptor: int) -> None:
    """Until it takes nothing more: a terminal passes on later what it has taken."""
    os.set_blocking(descriptor, False)
    while select.select([], [descriptor], [], 0.1)[1]:
        for piece in (bytes(4096), b"x"):
            with suppress(BlockingIOError):
                while True:
                    os.write(descriptor, piece)
    os.set_blocking(descriptor, True)


def flags(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_GETFL)


def test_a_silent_stream_is_read_in_slices(case: tuple[Channel, Callable[[int, str], Any]]) -> None:
    channel, form = case
    guest = Guest(System(stdin=form(channel.reading, "rb")))
    before = flags(channel.reading)

    def read() -> int:
        return guest("read", 0, guest.room(64), 64)

    assert run_forked(lambda: [read() for _ in range(3)]).result() == [-errno.EINTR] * 3
    assert guest("poll", b"\0\0\0\0\1\0\0\0", 1, 0) == 0
    if channel.reading != channel.writing:
        os.write(channel.writing, b"spoken")
        assert guest.read(0, 4) == b"spok" and guest.read(0) == b"en"
        os.close(channel.writing)
        assert guest.read(0) == b""
    assert flags(channel.reading) == before


def test_a_full_stream_is_written_in_slices(case: tuple[Channel, Callable[[int, str], Any]]) -> None:
    channel, form = case
    guest = Guest(System(stdout=form(channel.writing, "wb")))
    fill(channel.writing)
    before = flags(channel.writing)
    results = run_forked(lambda: [guest.write(1, b"more") for _ in range(3)]).result()
    assert results == [-errno.EINTR] * 3
    assert flags(channel.writing) == before


def drained(descriptor: int, size_bytes: int, into: bytearray) -> threading.Thread:
    def drain() -> None:
        while len(into) < size_bytes:
            into.extend(os.read(descriptor, 3000))
            time.sleep(0)

    thread = threading.Thread(target=drain)
    thread.start()
    return thread


@pytest.mark.parametrize("form", ["number", "buffered", "text"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_does_not_fit_at_once_arrives_once_and_in_order(kind: str, form: str) -> None:
    """The guest repeats a call that was interrupted, as its libc does."""
    channel = CHANNELS[kind]()
    target = FORMS[form](channel.writing, "wb")
    if form != "number":
        target.write("host" if form == "text" else b"host")
    guest = Guest(System(stdout=target))
    data = os.urandom(40_000) + bytes(20_000)
    expected = (b"" if form == "number" else b"host") + 8 * data
    got = bytearray()
    thread: threading.Thread | None = None
    for _ in range(8):
        guest._free = 0x100000
        while (result := guest.write(1, data)) == -errno.EINTR:
            thread = thread or drained(channel.reading, len(expected), got)
        assert result == len(data)
    assert thread is not None  # it was full once
    thread.join()
    assert got == expected


def test_a_reader_that_goes_away_is_an_error_and_not_a_signal() -> None:
    for make in (pipe, sockets):
        channel = make()
        guest = Guest(System(stdout=channel.writing))
        assert guest.write(1, b"heard") == 5
        os.close(channel.reading)
        assert guest.write(1, b"unheard") in (-errno.EPIPE, -errno.ECONNRESET)


@pytest.mark.parametrize("form", ["number", "buffered", "raw", "text"])
def test_nor_is_it_a_signal_where_the_host_has_the_default(
    form: str, modules: tuple[tmebox.Module, tmebox.Module]
) -> None:
    """First by Python, then, where it is a number, by the core."""

    def play() -> tuple[int, int, bool]:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        channel = pipe()
        os.close(channel.reading)
        result = Guest(System(stdout=FORMS[form](channel.writing, "wb"))).write(1, b"unheard")
        with tmebox.Sandbox(modules[1]) as box:
            ended = box.run(stdout=FORMS[form](channel.writing, "wb"), timeout=20)
        return result, ended.exit_code, bool(signal.sigpending())

    assert run_forked(play).result() == (-errno.EPIPE, 141, False)


def test_what_python_has_read_ahead_comes_first_also_while_nothing_follows() -> None:
    channel = pipe()
    os.write(channel.writing, b"first line\nsecond line\nrest")
    source = os.fdopen(channel.reading, "rb")
    assert source.readline() == b"first line\n"
    guest = Guest(System(stdin=source))
    assert guest("poll", b"\0\0\0\0\1\0\0\0", 1, 0) == 1
    assert guest.read(0, 12) == b"second line\n" and guest.read(0) == b"rest"
    assert guest("poll", b"\0\0\0\0\1\0\0\0", 1, 0) == 0
    assert guest("read", 0, guest.room(8), 8) == -errno.EINTR
    os.write(channel.writing, b"third line\n")
    assert source.readline() == b"third line\n"  # the file is as it was


def test_a_stream_that_was_opened_for_reading_is_not_written() -> None:
    """The kernel would let us open the pipe's other end."""
    channel = pipe()
    guest = Guest(System(stdin=channel.writing, stdout=channel.reading))
    assert guest.write(1, b"x") == -errno.EBADF
    assert guest("read", 0, guest.room(8), 8) == -errno.EBADF


def test_a_file_whose_descriptor_somebody_closed_is_an_error_of_the_guests_call() -> None:
    for form in ("buffered", "raw", "text"):
        channel = pipe()
        source, target = FORMS[form](channel.reading, "rb"), FORMS[form](channel.writing, "wb")
        early = Guest(System(stdin=source, stdout=target))
        os.close(channel.reading)
        os.close(channel.writing)
        for guest in (early, Guest(System(stdin=source, stdout=target))):
            assert guest("read", 0, guest.room(8), 8) == -errno.EBADF
            assert guest.write(1, b"x") in (-errno.EBADF, 1)  # what is buffered fails later


def test_waiting_keeps_no_end_of_a_pipe_open() -> None:
    channel = pipe()
    guest = Guest(System(stdout=channel.writing))
    assert guest.write(1, b"all") == 3
    os.close(channel.writing)
    assert os.read(channel.reading, 8) == b"all" and os.read(channel.reading, 8) == b""
    assert guest.write(1, b"x") == -errno.EBADF


def run_program(module: tmebox.Module, stream: str, form: str, timeout: float | None) -> str:
    """The kind of what ended it."""
    channel = pipe()
    end = FORMS[form](
        channel.reading if stream == "stdin" else channel.writing, "rb" if stream == "stdin" else "wb"
    )
    try:
        with tmebox.Sandbox(module) as sandbox:
            sandbox.run(**{stream: end}, timeout=timeout)
    except (tmebox.Trap, KeyboardInterrupt) as error:
        return type(error).__name__
    return "returned"


@pytest.mark.parametrize("form", ["number", "buffered", "text"])
@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_time_limits_hold_while_the_host_waits_for_a_stream(
    modules: tuple[tmebox.Module, tmebox.Module], stream: str, form: str
) -> None:
    module = modules[stream == "stdout"]
    assert run_forked(lambda: run_program(module, stream, form, 0.2)).result() == "Timeout"


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_an_interrupt_ends_waiting_for_a_stream(
    modules: tuple[tmebox.Module, tmebox.Module], stream: str
) -> None:
    def interrupted() -> str:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        return run_program(modules[stream == "stdout"], stream, "number", None)

    assert run_forked(interrupted).result() == "KeyboardInterrupt"
