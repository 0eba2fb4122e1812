"""Calls on descriptors: files, streams, limits, and pointers and sizes that are lies."""

from __future__ import annotations

import errno
import io
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.system.guest_side import BASE, NUMBERS, DiscardingMemory, FakeMemory, Guest, succeed
from tmebox.runtime.system import Abort, Clock, Directory, Exit, System
from tmebox.runtime.system.files import O_LARGEFILE
from tmebox.runtime.system.table import TABLE

O_CREAT, O_RDWR, O_WRONLY, O_APPEND = os.O_CREAT, os.O_RDWR, os.O_WRONLY, os.O_APPEND


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(System(directories=[Directory(tmp_path, "/d")], max_open_files=16, max_file_bytes=1000))


def test_what_is_written_can_be_read_back_from_anywhere(guest: Guest, tmp_path: Path) -> None:
    file = succeed(guest.open("/d/f", O_RDWR | O_CREAT))
    assert guest.write(file, b"hello world") == 11
    assert guest("lseek", file, 6, os.SEEK_SET) == 6 and guest.read(file) == b"world"
    assert guest("pwrite64", file, b"J", 1, 0) == 1
    buffer = guest.room(5)
    assert guest("pread64", file, buffer, 5, 0) == 5 and guest.memory.read(buffer, 5) == b"Jello"
    first, second = guest.place(b"ab"), guest.place(b"cde")
    vectors = struct.pack("<6Q", first, 2, 0, 0, second, 3)
    assert guest("writev", file, vectors, 3) == 5
    assert guest("lseek", file, -5, os.SEEK_END) == 11
    assert guest("readv", file, struct.pack("<4Q", second, 3, first, 2), 2) == 5
    assert guest.memory.read(second, 3) == b"abc" and guest.memory.read(first, 2) == b"de"
    assert guest("ftruncate", file, 3) == 0 and (tmp_path / "f").read_bytes() == b"Jel"
    assert guest("fsync", file) == 0 and guest.stat("/d/f")["size"] == 3


def test_duplicates_share_a_position_and_close_apart(guest: Guest) -> None:
    file = succeed(guest.open("/d/f", O_RDWR | O_CREAT))
    copy, high = guest("dup", file), guest("fcntl", file, 0, 10)
    assert (copy, high) == (file + 1, 10)
    guest.write(file, b"abc")
    assert guest("lseek", copy, 0, os.SEEK_CUR) == 3
    assert guest("close", file) == 0 and guest("close", file) == -errno.EBADF
    assert guest.write(high, b"d") == 1
    assert guest("dup2", high, 1) == 1 and guest.write(1, b"e") == 1
    assert guest("dup3", high, high, 0) == -errno.EINVAL
    assert guest("dup2", 77, 1) == -errno.EBADF and guest("dup2", 1, 16) == -errno.EBADF
    assert guest("fcntl", high, 1030, 0) >= 0 and guest("fcntl", high, 0, 16) == -errno.EINVAL


@pytest.mark.parametrize("call", ["write", "pwrite64", "writev", "pwritev"])
def test_a_file_that_is_appended_to_keeps_to_its_limit(guest: Guest, tmp_path: Path, call: str) -> None:
    """Linux appends, whatever position a call names; a position that is named stays where it was."""
    file = succeed(guest.open("/d/f", O_RDWR | O_CREAT | O_APPEND))
    data = guest.place(bytes(300))
    rows = guest.place(struct.pack("<2Q", data, 300))
    arguments = (rows, 1, 0) if call.endswith("v") else (data, 300, 0)
    assert [guest(call, file, *arguments) for _ in range(5)] == [300, 300, 300, 100, -errno.EFBIG]
    assert (tmp_path / "f").stat().st_size == 1000
    assert guest("lseek", file, 0, os.SEEK_CUR) == (0 if call.startswith("p") else 1000)


def test_open_files_and_file_sizes_are_limited(guest: Guest, tmp_path: Path) -> None:
    file = succeed(guest.open("/d/f", O_RDWR | O_CREAT))
    assert guest.write(file, bytes(600)) == 600 and guest.write(file, bytes(600)) == 400
    assert guest.write(file, b"x") == -errno.EFBIG
    assert guest("pwrite64", file, b"x", 1, 1 << 62) == -errno.EFBIG
    assert guest("ftruncate", file, 1001) == -errno.EFBIG
    appending = succeed(guest.open("/d/f", O_WRONLY | O_APPEND))
    assert guest.write(appending, b"x") == -errno.EFBIG
    while (result := guest.open("/d/f")) >= 0:
        assert result < 16
    assert result == -errno.EMFILE and guest("dup", file) == -errno.EMFILE
    assert (tmp_path / "f").stat().st_size == 1000


def test_appending_always_goes_to_the_end(guest: Guest, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    file = succeed(guest.open("/d/f", O_RDWR | O_APPEND))
    guest("lseek", file, 0, os.SEEK_SET)
    guest.write(file, b"6")
    assert (tmp_path / "f").read_bytes() == b"123456"
    assert guest("fcntl", file, 3, 0) == O_RDWR | O_APPEND | O_LARGEFILE
    assert guest("fcntl", file, 4, 0) == 0 and guest("fcntl", file, 3, 0) == O_RDWR | O_LARGEFILE


def test_pointers_that_are_not_the_guests_memory_are_efault(guest: Guest) -> None:
    file = succeed(guest.open("/d/f", O_RDWR | O_CREAT))
    guest.write(file, b"data")
    guest("lseek", file, 0, 0)
    for bad in (0, 16, BASE - 1, BASE + (1 << 16) - 3, 1 << 32, -1, -(1 << 63), (1 << 63) - 1):
        assert guest("write", file, bad, 8) == -errno.EFAULT
        assert guest("read", 0, bad, 8) in (0, -errno.EFAULT)
        assert guest("open", bad, 0) in (-errno.EFAULT, -errno.ENOENT)  # at the very end lies an empty string
        assert guest("fstat", file, bad) == -errno.EFAULT
        assert guest("clock_gettime", 0, bad) == -errno.EFAULT
        assert guest("writev", file, bad, 2) == -errno.EFAULT
        assert guest("getrandom", bad, 8, 0) == -errno.EFAULT


def test_no_size_makes_the_host_allocate_much(guest: Guest) -> None:
    zero = succeed(guest.open("/dev/zero"))
    assert guest("read", zero, BASE, -1) == -errno.EFAULT  # one transfer's worth does not fit
    assert guest("write", 1, BASE, -1) == -errno.EFAULT
    assert guest("readv", zero, BASE, 1 << 40) == -errno.EINVAL
    assert guest("poll", BASE, 1 << 40, 0) == -errno.EINVAL
    assert guest("getrandom", BASE, 1 << 50, 0) == 1 << 16
    assert guest("getdents64", zero, BASE, -1) == -errno.ENOTDIR


def test_streams_take_bytes_files_callables_and_descriptors(tmp_path: Path) -> None:
    said = bytearray()
    log = io.BytesIO()
    guest = Guest(System(stdin=b"some input", stdout=said.extend, stderr=log))
    assert guest.read(0, 4) == b"some" and guest.read(0) == b" input" and guest.read(0) == b""
    assert guest.write(1, b"out") == 3 and guest.write(2, b"err") == 3
    assert (bytes(said), log.getvalue()) == (b"out", b"err")
    assert guest.write(0, b"x") == -errno.EBADF and guest("lseek", 1, 0, 0) == -errno.ESPIPE
    assert guest("ioctl", 1, 0x5413, guest.room(8)) == -errno.ENOTTY
    (tmp_path / "in").write_bytes(b"from a file")
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        guest = Guest(System(stdin=source.fileno(), stdout=target.fileno(), stderr=target))
        assert guest.read(0) == b"from a file" and guest.write(1, b"to a file") == 9
    assert (tmp_path / "out").read_bytes() == b"to a file"
    guest = Guest(System(stdin=lambda size: b"x" * (size + 5), stdout=None))
    assert guest.read(0, 3) == b"xxx" and guest.read(0, 10) == b"xxxxx" and guest.write(1, b"gone") == 4


def test_text_streams_get_what_the_host_printed_first() -> None:
    below = io.BytesIO()
    text = io.TextIOWrapper(below, encoding="utf-8")
    guest = Guest(System(stdout=text, stderr=(only_text := io.StringIO())))
    text.write("host ")
    guest.write(1, b"guest ")
    text.write("host")
    text.flush()
    assert below.getvalue() == b"host guest host"
    for piece in ("é".encode()[:1], "é".encode()[1:], b"\xff"):
        assert guest.write(2, piece) == len(piece)
    assert only_text.getvalue() == "é\N{REPLACEMENT CHARACTER}"


def test_what_is_not_a_stream_is_refused_at_once() -> None:
    with pytest.raises(TypeError):
        System(stdin="text")
    with pytest.raises(TypeError):
        System(stdout=3.5)


def test_a_stream_that_fails_is_the_guests_error_and_one_that_raises_the_hosts() -> None:
    def broken(data: bytes) -> None:
        raise BrokenPipeError(errno.EPIPE, "gone")

    def buggy(data: bytes) -> None:
        raise ValueError("host bug")

    guest = Guest(System(stdout=broken, stderr=buggy))
    assert guest.write(1, b"x") == -errno.EPIPE
    with pytest.raises(ValueError, match="host bug"):
        guest.write(2, b"x")


def test_reading_a_silent_pipe_comes_back_so_that_a_timeout_can_strike() -> None:
    reader, writer = os.pipe()
    try:
        guest = Guest(System(stdin=reader))
        buffer = guest.room(16)
        assert guest("read", 0, buffer, 16) == -errno.EINTR
        os.write(writer, b"now")
        assert guest("read", 0, buffer, 16) == 3
    finally:
        os.close(reader)
        os.close(writer)


class FakeClock(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.now_ns = 1_700_000_000_123_456_789
        self.longest_ns = 0

    def realtime_ns(self) -> int:
        return self.now_ns

    monotonic_ns = realtime_ns

    def sleep(self, duration_ns: int) -> None:
        self.longest_ns = max(self.longest_ns, duration_ns)
        self.now_ns += duration_ns


@pytest.mark.parametrize("call", ["nanosleep", "clock_nanosleep", "absolute", "poll"])
def test_waits_are_short_slices_that_add_up(call: str) -> None:
    clock = FakeClock()
    guest = Guest(System(clock=clock))
    start = clock.now_ns
    if call == "poll":
        arguments: tuple[int, ...] = (guest.room(8), 0, 500)
    else:
        duration = start + 500_000_000 if call == "absolute" else 500_000_000
        request = guest.place(struct.pack("<2q", *divmod(duration, 10**9)))
        arguments = {
            "nanosleep": (request, 0),
            "clock_nanosleep": (1, 0, request, 0),
            "absolute": (1, 1, request, 0),
        }[call]
    name = "clock_nanosleep" if call == "absolute" else call
    rounds = 0
    while (result := guest(name, *arguments)) == -errno.EINTR:
        rounds += 1
    assert result == 0 and rounds > 5
    assert clock.now_ns - start == 500_000_000 and clock.longest_ns <= 20_000_000


def test_clocks_are_the_given_ones() -> None:
    guest = Guest(System(clock=FakeClock()))
    result = guest.room(16)
    assert guest("clock_gettime", 0, result) == 0
    assert struct.unpack("<2q", guest.memory.read(result, 16)) == (1_700_000_000, 123_456_789)
    assert guest("time", 0) == 1_700_000_000 and guest("clock_gettime", 99, result) == -errno.EINVAL
    assert guest("nanosleep", guest.place(struct.pack("<2q", -1, 0)), 0) == -errno.EINVAL
    assert guest("nanosleep", guest.place(struct.pack("<2q", 0, 10**9)), 0) == -errno.EINVAL


def test_random_bytes_come_from_the_given_source() -> None:
    guest = Guest(System(random=lambda size: b"\x07" * size))
    buffer = guest.room(4)
    assert guest("getrandom", buffer, 4, 0) == 4 and guest.memory.read(buffer, 4) == b"\x07" * 4


def test_the_end_of_a_program_is_an_exception_with_its_code() -> None:
    guest = Guest()
    with pytest.raises(Exit) as ended:
        guest("exit_group", 257)
    assert ended.value.code == 1
    with pytest.raises(Abort) as aborted:
        guest("tkill", 1, 6)
    assert aborted.value.signal == 6


def test_a_failed_allocation_is_remembered_for_the_trap_it_may_cause() -> None:
    guest = Guest()
    assert guest.system.exhausted_bytes == 0
    assert guest("memory_exhausted", 123456) == 0 and guest.system.exhausted_bytes == 123456


def test_memory_is_given_back_only_page_by_page_and_only_the_guests() -> None:
    guest = Guest(memory=DiscardingMemory())
    guest.memory.write(BASE, b"\x01" * 8192)
    assert guest("madvise", BASE, 4096, 4) == 0
    assert guest.memory.read(BASE, 4097) == bytes(4096) + b"\x01"
    assert guest("madvise", BASE + 1, 4096, 4) == -errno.EINVAL
    assert guest("madvise", 0, 4096, 4) == -errno.EFAULT
    assert guest("madvise", BASE, -4096, 4) == -errno.EFAULT
    assert Guest(memory=FakeMemory())("madvise", BASE, 4096, 4) == -errno.ENOSYS


def test_locks_of_two_sandboxes_exclude_each_other(tmp_path: Path) -> None:
    guests = [Guest(System(directories=[Directory(tmp_path, "/d")])) for _ in range(2)]
    files = [succeed(guest.open("/d/f", O_RDWR | O_CREAT)) for guest in guests]
    lock = struct.pack("<2h4x2qi4x", 1, 0, 0, 0, 0)  # F_WRLCK, whole file
    assert guests[0]("fcntl", files[0], 6, lock) == 0
    assert guests[1]("fcntl", files[1], 6, lock) == -errno.EAGAIN
    assert guests[1]("fcntl", files[1], 7, lock) == -errno.EINTR
    assert guests[0]("close", files[0]) == 0
    assert guests[1]("fcntl", files[1], 6, lock) == 0
    assert guests[1]("flock", files[1], 2) == 0


def test_unknown_calls_are_enosys() -> None:
    guest = Guest()
    for number in (29, 56, 57, 58, 59, 101, 165, 317, 425, 10**9, -1, 1 << 63):
        assert guest.system.handle(guest.memory, number, (0,) * 6) == -errno.ENOSYS


interesting = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, -1, -100, BASE, BASE + 16, BASE + 65535, 1 << 31, 1 << 32, -(1 << 63)]),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, 4096),
)
NEVER_RETURN = {NUMBERS["exit"], NUMBERS["exit_group"], NUMBERS["tkill"]}


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(set(TABLE) - NEVER_RETURN)), st.tuples(*[interesting] * 6)),
        max_size=8,
    ),
    st.binary(max_size=64),
)
@settings(max_examples=400, deadline=None)
def test_no_arguments_whatever_raise_anything(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[int, tuple[int, ...]]], text: bytes
) -> None:
    directory = tmp_path_factory.getbasetemp() / "fuzzed"
    directory.mkdir(exist_ok=True)
    (directory / "f").write_bytes(b"contents")
    guest = Guest(System(directories=[Directory(directory, "/")], clock=FakeClock(), max_file_bytes=4096))
    guest.open("/f", O_RDWR)
    guest.memory.write(BASE, text)
    guest.memory.write(BASE + 16, b"f\0")
    for number, arguments in calls:
        result = guest.system.handle(guest.memory, number, arguments)
        assert isinstance(result, int) and -4096 < result < 1 << 63
    guest.system.close()
