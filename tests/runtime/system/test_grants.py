"""What a grant allows is a matter of directories: no path, link, new name or descriptor makes it more."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import Directory, System, walking
from tmebox.runtime.system.file_calls import FLOCK
from tmebox.runtime.system.table import TABLE

O_CREAT, O_EXCL, O_TRUNC, O_WRONLY, O_RDWR = os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_WRONLY, os.O_RDWR
AT_FDCWD, AT_REMOVEDIR = -100, 0x200
WAYS = ("/ro", "/top/a/conf/secret", "/top/lnk", "/top/b/back/secret", "/top/again/lnk")
"""All lead to the directory that is granted read-only; it lies in one that may be written."""
FREE = "/top/free"


@pytest.fixture(params=["openat2", "walk"], autouse=True)
def resolution(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "walk":
        monkeypatch.setattr(walking, "has_openat2", lambda: False)


def make_tree(root: Path) -> Path:
    """Returns the directory to be granted read-only."""
    secret = root / "top" / "a" / "conf" / "secret"
    for directory in (secret, root / "top" / "free"):
        (directory / "inner").mkdir(parents=True)
        (directory / "empty").mkdir()
        (directory / "file").write_bytes(b"original")
        (directory / "inner" / "deep").write_bytes(b"deep")
    (root / "top" / "b").mkdir()
    (root / "top" / "lnk").symlink_to("a/conf/secret")
    (root / "top" / "again").symlink_to(".")
    (root / "top" / "b" / "back").symlink_to("../a/conf")
    return secret


def make_guest(root: Path) -> Guest:
    secret = root / "top" / "a" / "conf" / "secret"
    grants = [
        Directory(root / "top", "/top"),
        Directory(secret, "/top/a/conf/secret", read_only=True),
        Directory(secret, "/ro", read_only=True),
    ]
    return Guest(System(directories=grants))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    make_tree(tmp_path)
    return tmp_path


@pytest.fixture
def guest(tree: Path) -> Iterator[Guest]:
    guest = make_guest(tree)
    yield guest
    guest.system.close()


def state(directory: Path) -> list[tuple[object, ...]]:
    """All that others can see of a directory, but when it was read."""
    found: list[tuple[object, ...]] = []
    for path in (directory, *sorted(directory.rglob("*"))):
        status = path.lstat()
        contents = path.read_bytes() if path.is_file() else None
        found.append(
            (str(path), status.st_ino, status.st_mode, status.st_mtime_ns, status.st_nlink, contents)
        )
    return found


def may_be_locked(file: Path) -> bool:
    """Whether the host itself could have it for itself alone, in both of the kernel's ways."""
    with file.open("r+b") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def descriptor(guest: Guest, place: str, flags: int = os.O_RDONLY) -> int:
    return succeed(guest.open(f"{place}/file", flags))


def record_lock(guest: Guest, place: str, kind: int, command: int = fcntl.F_SETLK) -> int:
    flags = O_RDWR if place == FREE else os.O_RDONLY
    return guest("fcntl", descriptor(guest, place, flags), command, FLOCK.pack(kind, 0, 0, 0, 0))


def through_file(guest: Guest, place: str, *call: int | str | bytes) -> int:
    """A call on an open file: open for writing where the guest may."""
    name, *arguments = call
    flags = O_RDWR if place == FREE else os.O_RDONLY
    return guest(str(name), descriptor(guest, place, flags), *arguments)


def vector_write(guest: Guest, place: str, name: str) -> int:
    text = guest.place(b"changed")
    return through_file(guest, place, name, struct.pack("<2Q", text, 7), 1)


CHANGES: dict[str, list[Callable[[Guest, str], int]]] = {
    "open": [
        lambda g, p: g.open(f"{p}/file", O_WRONLY),
        lambda g, p: g.open(f"{p}/file", O_RDWR),
        lambda g, p: g.open(f"{p}/file", O_TRUNC),
        lambda g, p: g.open(f"{p}/new", O_CREAT | O_WRONLY),
        lambda g, p: g.open(f"{p}/new", O_CREAT | O_EXCL | O_RDWR),
        lambda g, p: g.open(f"{p}/file", O_CREAT | O_TRUNC),
    ],
    "creat": [lambda g, p: g("creat", f"{p}/new", 0o644)],
    "openat": [
        lambda g, p: g("openat", AT_FDCWD, f"{p}/file", O_WRONLY | O_TRUNC, 0),
        lambda g, p: g("openat", succeed(g.open(p)), "file", O_WRONLY, 0),
        lambda g, p: g("openat", succeed(g.open(f"{p}/inner")), "new", O_WRONLY | O_CREAT, 0o644),
    ],
    "write": [lambda g, p: through_file(g, p, "write", b"changed", 7)],
    "pwrite64": [lambda g, p: through_file(g, p, "pwrite64", b"changed", 7, 0)],
    "writev": [lambda g, p: vector_write(g, p, "writev")],
    "pwritev": [lambda g, p: vector_write(g, p, "pwritev")],
    "ftruncate": [lambda g, p: through_file(g, p, "ftruncate", 1)],
    "truncate": [lambda g, p: g("truncate", f"{p}/file", 1)],
    "fchmod": [lambda g, p: through_file(g, p, "fchmod", 0o600)],
    "chmod": [lambda g, p: g("chmod", f"{p}/file", 0o600), lambda g, p: g("chmod", p, 0o700)],
    "fchmodat": [lambda g, p: g("fchmodat", AT_FDCWD, f"{p}/inner/deep", 0o600)],
    "fchmodat2": [lambda g, p: g("fchmodat2", AT_FDCWD, f"{p}/inner/deep", 0o600, 0)],
    "chown": [lambda g, p: g("chown", f"{p}/file", -1, 1000)],
    "lchown": [lambda g, p: g("lchown", f"{p}/file", 1000, -1)],
    "fchown": [lambda g, p: through_file(g, p, "fchown", -1, -1)],
    "fchownat": [lambda g, p: g("fchownat", AT_FDCWD, f"{p}/inner/deep", 1000, 1000, 0)],
    "utimensat": [
        lambda g, p: g("utimensat", AT_FDCWD, f"{p}/file", 0, 0),
        lambda g, p: g("utimensat", AT_FDCWD, p, 0, 0),
        lambda g, p: through_file(g, p, "utimensat", 0, 0, 0),
    ],
    "mkdir": [lambda g, p: g("mkdir", f"{p}/new", 0o755)],
    "mkdirat": [lambda g, p: g("mkdirat", succeed(g.open(p)), "new", 0o755)],
    "unlink": [lambda g, p: g("unlink", f"{p}/file")],
    "rmdir": [lambda g, p: g("rmdir", f"{p}/empty")],
    "unlinkat": [
        lambda g, p: g("unlinkat", AT_FDCWD, f"{p}/inner/deep", 0),
        lambda g, p: g("unlinkat", AT_FDCWD, f"{p}/empty", AT_REMOVEDIR),
    ],
    "rename": [
        lambda g, p: g("rename", f"{p}/file", f"{p}/new"),
        lambda g, p: g("rename", f"{p}/file", "/top/b/taken"),
        lambda g, p: g("rename", "/top/b/own", f"{p}/file"),
        lambda g, p: g("rename", f"{p}/inner", f"{p}/empty"),
    ],
    "renameat": [lambda g, p: g("renameat", AT_FDCWD, f"{p}/file", AT_FDCWD, f"{p}/new")],
    "renameat2": [lambda g, p: g("renameat2", AT_FDCWD, f"{p}/file", AT_FDCWD, f"{p}/new", 0)],
    "link": [
        lambda g, p: g("link", f"{p}/file", f"{p}/new"),
        lambda g, p: g("link", f"{p}/file", "/top/b/taken"),
        lambda g, p: g("link", "/top/b/own", f"{p}/new"),
    ],
    "linkat": [lambda g, p: g("linkat", AT_FDCWD, f"{p}/file", AT_FDCWD, "/top/b/taken", 0)],
    "symlink": [lambda g, p: g("symlink", "file", f"{p}/new")],
    "symlinkat": [lambda g, p: g("symlinkat", "file", succeed(g.open(p)), "new")],
    "flock": [lambda g, p: through_file(g, p, "flock", fcntl.LOCK_EX)],
    "fcntl": [
        lambda g, p: record_lock(g, p, fcntl.F_WRLCK),
        lambda g, p: record_lock(g, p, fcntl.F_WRLCK, fcntl.F_SETLKW),
    ],
}
"""What changes, for others, the thing that it is done to: each must work where everything may be changed."""

UNCHANGING = frozenset(
    {
        "abort_message", "accept", "accept4", "access", "assertion_failed", "bind", "chdir", "clock_getres",
        "cpu_features",
        "clock_gettime", "clock_nanosleep", "close", "connect", "dup", "dup2", "dup3",
        "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd",
        "eventfd2", "exit", "exit_group", "faccessat", "faccessat2", "fadvise64", "fchdir",
        "fdatasync", "fstat", "fstatfs", "fsync", "getcwd", "getdents64", "getegid", "geteuid", "getgid",
        "getgroups", "getpeername", "getpgrp", "getpid", "getppid", "getrandom", "getrlimit",
        "getrusage", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "ioctl",
        "listen", "lseek", "lstat", "madvise", "memory_exhausted", "nanosleep", "newfstatat",
        "pipe", "pipe2", "poll", "ppoll", "pread64", "preadv", "prlimit64", "pselect6", "read",
        "readlink", "readlinkat", "readv", "recvfrom", "recvmsg", "sched_getaffinity",
        "sched_yield", "select", "sendfile", "sendmsg", "sendto", "setrlimit", "setsockopt", "shutdown",
        "socket", "socketpair", "stat", "statfs", "sysinfo", "time", "timerfd_create", "timerfd_gettime",
        "timerfd_settime", "times", "tkill", "umask", "uname",
    }
)  # fmt: skip


def test_every_call_is_known_to_change_things_or_not_to() -> None:
    assert {call.name for call in TABLE.values()} == CHANGES.keys() | UNCHANGING
    assert not CHANGES.keys() & UNCHANGING


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_changes_where_only_reading_was_granted(
    guest: Guest, tree: Path, name: str, way: str
) -> None:
    secret = tree / "top" / "a" / "conf" / "secret"
    (tree / "top" / "b" / "own").write_bytes(b"the guest's own")
    before = state(secret)
    for change in CHANGES[name]:
        result = change(guest, way)
        assert -result in (errno.EROFS, errno.EXDEV, errno.EBADF, errno.EPERM, errno.EINVAL, errno.EBUSY)
        assert state(secret) == before
    assert may_be_locked(secret / "file")
    assert guest.contents(f"{way}/inner/deep") == b"deep"


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_succeeds_where_writing_was_granted(tmp_path: Path, name: str) -> None:
    for number, change in enumerate(CHANGES[name]):
        root = tmp_path / str(number)
        make_tree(root)
        (root / "top" / "b" / "own").write_bytes(b"the guest's own")
        guest = make_guest(root)
        succeed(change(guest, FREE))
        guest.system.close()


def test_shared_locks_are_had_where_only_reading_was_granted_and_hold_nobody_up(
    guest: Guest, tree: Path
) -> None:
    file = tree / "top" / "a" / "conf" / "secret" / "file"
    for way in WAYS:
        number = descriptor(guest, way)
        assert guest("flock", number, fcntl.LOCK_SH) == 0 and guest("flock", number, fcntl.LOCK_UN) == 0
        assert record_lock(guest, way, fcntl.F_RDLCK) == 0 and record_lock(guest, way, fcntl.F_UNLCK) == 0
        assert may_be_locked(file)
    with file.open("r+b") as opened:
        fcntl.lockf(opened, fcntl.LOCK_EX)
        assert record_lock(guest, "/ro", fcntl.F_RDLCK) == -errno.EAGAIN
        assert record_lock(guest, "/ro", fcntl.F_RDLCK, fcntl.F_SETLKW) == -errno.EINTR
        wanted = guest.place(FLOCK.pack(fcntl.F_RDLCK, 0, 0, 0, 0))
        assert guest("fcntl", descriptor(guest, "/ro"), fcntl.F_GETLK, wanted) == 0
        kind, *_, owner = FLOCK.unpack(guest.memory.read(wanted, FLOCK.size))
        assert (kind, owner) == (fcntl.F_WRLCK, 0)  # who it is on the host is not told
    assert guest("flock", descriptor(guest, "/ro"), 99) == -errno.EINVAL


def test_what_a_grant_lies_in_keeps_its_name(guest: Guest, tree: Path) -> None:
    """Else the guest would put something of its own where others look for what it may not change."""
    for source in ("/top/a", "/top/a/conf", "/top/b/back/secret", "/top/again/a"):
        assert guest("rename", source, "/top/elsewhere") == -errno.EBUSY, source
    assert guest("rename", "/top/free", "/top/a") == -errno.EBUSY
    assert guest("rename", "/top/free/empty", "/top/again/a/conf") == -errno.EBUSY
    assert (tree / "top" / "a" / "conf" / "secret" / "file").read_bytes() == b"original"
    assert guest("rename", "/top/b/back", "/top/link") == 0  # links, and what nobody granted
    assert guest("rename", "/top/free", "/top/unfree") == 0


def test_an_empty_directory_that_was_granted_is_not_removed_or_replaced(tmp_path: Path) -> None:
    (tmp_path / "top" / "granted").mkdir(parents=True)
    (tmp_path / "top" / "own").mkdir()
    (tmp_path / "top" / "way").symlink_to(".")
    grants = [Directory(tmp_path / "top", "/top"), Directory(tmp_path / "top" / "granted", "/g", True)]
    guest = Guest(System(directories=grants))
    before = (tmp_path / "top" / "granted").stat().st_ino
    for path in ("/top/granted", "/top/way/granted"):
        assert guest("rmdir", path) == -errno.EBUSY
        assert guest("rename", "/top/own", path) == -errno.EBUSY
    assert (tmp_path / "top" / "granted").stat().st_ino == before


def test_a_writable_grant_in_a_read_only_one_is_writable_by_its_own_path_only(tmp_path: Path) -> None:
    (tmp_path / "top" / "out").mkdir(parents=True)
    (tmp_path / "top" / "way").symlink_to("out")
    grants = [Directory(tmp_path / "top", "/top", True), Directory(tmp_path / "top" / "out", "/top/out")]
    guest = Guest(System(directories=grants))
    succeed(guest.open("/top/out/new", O_CREAT | O_WRONLY))
    assert guest.open("/top/way/other", O_CREAT | O_WRONLY) == -errno.EROFS
    assert guest.open("/top/way/new", O_WRONLY) == -errno.EROFS
    assert guest("rename", "/top/out", "/top/elsewhere") == -errno.EXDEV


def test_a_deep_directory_takes_few_descriptors_of_the_hosts(tmp_path: Path) -> None:
    (tmp_path / "read-only").mkdir()
    grants = [Directory(tmp_path, "/d"), Directory(tmp_path / "read-only", "/r", True)]
    guest = Guest(System(directories=grants))
    opened: list[int] = []
    real = os.open

    def counting(*arguments: object, **keywords: object) -> int:
        opened.append(len(os.listdir("/proc/self/fd")))
        return real(*arguments, **keywords)  # type: ignore[arg-type]

    path = "/d"
    for _ in range(60):
        path += "/x"
        assert guest("mkdir", path, 0o755) == 0
    before = len(os.listdir("/proc/self/fd"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walking.os, "open", counting)  # type: ignore[attr-defined]
        guest.stat(path)
    assert len(opened) >= 60 and max(opened) <= before + 2
    assert len(os.listdir("/proc/self/fd")) == before


NAMES = st.sampled_from(
    ["a", "conf", "secret", "file", "inner", "deep", "empty", "b", "lnk", "back", "again", "free", "x", ".."]
)
PATHS = st.builds(
    lambda root, parts: "/".join([root, *parts]),
    st.sampled_from(["/top", "/ro", "."]),
    st.lists(NAMES, max_size=5),
)
STEPS = st.one_of(
    st.tuples(st.just("rename"), PATHS, PATHS),
    st.tuples(st.sampled_from(["unlink", "rmdir", "chdir"]), PATHS),
    st.tuples(st.just("mkdir"), PATHS, st.just(0o755)),
    st.tuples(st.just("chmod"), PATHS, st.just(0o700)),
    st.tuples(st.just("truncate"), PATHS, st.just(0)),
    st.tuples(st.just("utimensat"), st.just(AT_FDCWD), PATHS, st.just(0), st.just(0)),
    st.tuples(st.just("write"), PATHS, st.sampled_from([O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_CREAT])),
)


def take(guest: Guest, step: tuple[object, ...]) -> None:
    name, *arguments = step
    if name == "write":
        path, flags = arguments
        number = guest.open(str(path), int(str(flags)))
        if number >= 0:
            guest.write(number, b"the guest was here")
            guest("close", number)
    else:
        guest(str(name), *arguments)  # type: ignore[arg-type]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=25))
def test_no_sequence_of_calls_changes_what_may_only_be_read(steps: list[tuple[object, ...]]) -> None:
    """Whoever looks for the read-only directory under its name finds it, as it was."""
    with tempfile.TemporaryDirectory() as name:
        secret = make_tree(Path(name))
        guest = make_guest(Path(name))
        before = state(secret)
        for step in steps:
            take(guest, step)
            assert state(secret) == before, step
        guest.system.close()
