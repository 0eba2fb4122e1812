"""Where only names that begin in some way were granted, no call reaches others, whatever way leads there."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.system.guest_side import Guest, succeed
from tests.runtime.system.test_grants import state
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.table import TABLE

O_CREAT, O_EXCL, O_RDWR, O_WRONLY = os.O_CREAT, os.O_EXCL, os.O_RDWR, os.O_WRONLY
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW = -100, 0x100, 0x200, 0x400
WAYS = (
    "/d", "/d/prog.l", "/d/prog.l/prog.l", "/d/prog.dir/up", "/top/d", "/top/lnk", "/top/d/prog.l",
    "/top/d/prog.dir/up", "/ro/d", "/ro/lnk/prog.l",
)  # fmt: skip
"""All lead to the directory of which names that begin with `prog.` are granted."""
FREE = "/top/free"


def furnish(directory: Path) -> None:
    (directory / "prog.dir").mkdir(parents=True)
    (directory / "prog.dir" / "up").symlink_to("..")
    (directory / "prog.l").symlink_to(".")
    (directory / "prog.v").symlink_to("victim")
    (directory / "prog.file").write_bytes(b"its own")
    (directory / "victim").write_bytes(b"secret")
    (directory / "vlink").symlink_to("victim")
    (directory / "vempty").mkdir()
    (directory / "vdir").mkdir()
    (directory / "vdir" / "file").write_bytes(b"deep")


def make_guest(root: Path) -> Guest:
    for name in ("d", "free"):
        furnish(root / name)
    (root / "lnk").symlink_to("d")
    grants = [
        Directory(root / "d", "/d", names="prog."),
        Directory(root, "/top"),
        Directory(root, "/ro", True),
    ]
    return Guest(System(directories=grants))


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    guest = make_guest(tmp_path)
    yield guest
    guest.system.close()


def others_in(directory: Path) -> list[tuple[object, ...]]:
    """All of it but what the program has below a name of its own."""
    return [row for row in state(directory) if "prog.dir" not in Path(str(row[0])).parts]


def opened(guest: Guest, path: str) -> int:
    return succeed(guest.open(path, os.O_DIRECTORY))


def within(guest: Guest, path: str, *call: int | str | bytes) -> int:
    """With the directory as the working directory."""
    assert guest("chdir", path) == 0
    try:
        return guest(str(call[0]), *call[1:])
    finally:
        assert guest("chdir", "/") == 0


def moved_link(guest: Guest, path: str, call: str) -> int:
    """A link that leads to nothing of somebody else's where it is made, but does elsewhere."""
    if succeed_or_read_only(guest("symlink", "victim", f"{path}/prog.dir/link")) < 0:
        return -errno.EROFS
    return guest(call, f"{path}/prog.dir/link", f"{path}/prog.link")


def succeed_or_read_only(result: int) -> int:
    assert result >= 0 or result in (-errno.EROFS, -errno.EEXIST)
    return 0 if result == -errno.EEXIST else result


def lists(guest: Guest, path: str) -> int:
    names = [name for name in guest.names(path) if name.startswith("v")]
    return 0 if "victim" in names else -len(names) or -errno.ENOENT


def room(guest: Guest) -> int:
    return guest.place(bytes(256))


CALLS: dict[str, list[Callable[[Guest, str], int]]] = {
    "open": [
        lambda g, p: g.open(f"{p}/victim"),
        lambda g, p: g.open(f"{p}/prog.v"),
        lambda g, p: g.open(f"{p}/vdir/file"),
        lambda g, p: g.open(f"{p}/prog.dir/up/victim"),
        lambda g, p: g.open(f"{p}/new", O_CREAT | O_WRONLY),
        lambda g, p: g.open(f"{p}/new", O_CREAT | O_EXCL | O_RDWR),
        lambda g, p: within(g, p, "open", "victim", 0, 0),
    ],
    "creat": [lambda g, p: g("creat", f"{p}/victim", 0o644), lambda g, p: g("creat", f"{p}/new", 0o644)],
    "openat": [
        lambda g, p: g("openat", opened(g, p), "victim", 0, 0),
        lambda g, p: g("openat", opened(g, p), "new", O_CREAT | O_WRONLY, 0o644),
        lambda g, p: g("openat", opened(g, f"{p}/prog.dir"), "up/victim", 0, 0),
        lambda g, p: g("openat", opened(g, f"{p}/prog.dir"), "../victim", 0, 0),
    ],
    "stat": [lambda g, p: g("stat", f"{p}/victim", room(g)), lambda g, p: g("stat", f"{p}/prog.v", room(g))],
    "lstat": [lambda g, p: g("lstat", f"{p}/victim", room(g))],
    "newfstatat": [lambda g, p: g("newfstatat", opened(g, p), "victim", room(g), 0)],
    "access": [lambda g, p: g("access", f"{p}/victim", 0)],
    "faccessat": [lambda g, p: g("faccessat", opened(g, p), "victim", 0)],
    "faccessat2": [lambda g, p: g("faccessat2", opened(g, p), "victim", 0, 0)],
    "readlink": [lambda g, p: g("readlink", f"{p}/vlink", room(g), 100)],
    "readlinkat": [lambda g, p: g("readlinkat", opened(g, p), "vlink", room(g), 100)],
    "statfs": [lambda g, p: g("statfs", f"{p}/victim", room(g))],
    "chdir": [lambda g, p: g("chdir", f"{p}/vdir"), lambda g, p: within(g, p, "chdir", "vdir")],
    "fchdir": [
        lambda g, p: min(g("fchdir", opened(g, p)), g.open("victim")),
        lambda g, p: min(g("fchdir", opened(g, f"{p}/prog.dir")), g.open("up/victim")),
    ],
    "getdents64": [lists, lambda g, p: lists(g, f"{p}/prog.dir/up")],
    "truncate": [lambda g, p: g("truncate", f"{p}/victim", 1)],
    "mkdir": [lambda g, p: g("mkdir", f"{p}/new", 0o755), lambda g, p: g("mkdir", f"{p}/new/", 0o755)],
    "mkdirat": [lambda g, p: g("mkdirat", opened(g, p), "new", 0o755)],
    "unlink": [lambda g, p: g("unlink", f"{p}/victim"), lambda g, p: within(g, p, "unlink", "victim")],
    "rmdir": [lambda g, p: g("rmdir", f"{p}/vempty"), lambda g, p: g("rmdir", f"{p}/vempty/")],
    "unlinkat": [
        lambda g, p: g("unlinkat", opened(g, p), "victim", 0),
        lambda g, p: g("unlinkat", opened(g, p), "vempty", AT_REMOVEDIR),
    ],
    "rename": [
        lambda g, p: g("rename", f"{p}/victim", f"{p}/prog.stolen"),
        lambda g, p: g("rename", f"{p}/prog.file", f"{p}/victim"),
        lambda g, p: g("rename", f"{p}/prog.file", f"{p}/new"),
        lambda g, p: g("rename", f"{p}/prog.dir", f"{p}/vempty/"),
        lambda g, p: moved_link(g, p, "rename"),
    ],
    "renameat": [lambda g, p: g("renameat", opened(g, p), "victim", opened(g, p), "prog.stolen")],
    "renameat2": [lambda g, p: g("renameat2", opened(g, p), "prog.file", opened(g, p), "victim", 0)],
    "link": [
        lambda g, p: g("link", f"{p}/victim", f"{p}/prog.stolen"),
        lambda g, p: g("link", f"{p}/prog.file", f"{p}/new"),
        lambda g, p: moved_link(g, p, "link"),
    ],
    "linkat": [
        lambda g, p: g("linkat", opened(g, p), "victim", opened(g, p), "prog.stolen", 0),
        lambda g, p: g("linkat", opened(g, p), "prog.file", opened(g, p), "new", 0),
    ],
    "symlink": [
        lambda g, p: g("symlink", "prog.file", f"{p}/new"),
        lambda g, p: g("symlink", "victim", f"{p}/prog.new"),
        lambda g, p: g("symlink", ".//victim", f"{p}/prog.new"),
        lambda g, p: g("symlink", ".", f"{p}/prog.new"),
    ],
    "symlinkat": [
        lambda g, p: g("symlinkat", "prog.file", opened(g, p), "new"),
        lambda g, p: g("symlinkat", "./", opened(g, p), "prog.new"),
    ],
    "chmod": [lambda g, p: g("chmod", f"{p}/victim", 0o600), lambda g, p: g("chmod", p, 0o700)],
    "fchmod": [lambda g, p: g("fchmod", opened(g, p), 0o700)],
    "fchmodat": [lambda g, p: g("fchmodat", opened(g, p), "victim", 0o600)],
    "fchmodat2": [lambda g, p: g("fchmodat2", opened(g, p), "victim", 0o600, 0)],
    "chown": [lambda g, p: g("chown", f"{p}/victim", -1, -1), lambda g, p: g("chown", p, -1, -1)],
    "lchown": [lambda g, p: g("lchown", f"{p}/victim", -1, -1)],
    "fchown": [lambda g, p: g("fchown", opened(g, p), -1, -1)],
    "fchownat": [lambda g, p: g("fchownat", opened(g, p), "victim", -1, -1, 0)],
    "utimensat": [
        lambda g, p: g("utimensat", opened(g, p), "victim", 0, 0),
        lambda g, p: g("utimensat", AT_FDCWD, p, 0, 0),
        lambda g, p: g("utimensat", opened(g, p), 0, 0, 0),
    ],
    "flock": [lambda g, p: g("flock", opened(g, p), fcntl.LOCK_EX | fcntl.LOCK_NB)],
}
"""Each is refused wherever names are limited, and succeeds where they are not."""

BY_NO_NAME = frozenset(
    {
        "abort_message", "accept", "accept4", "assertion_failed", "clock_getres", "clock_gettime",
        "clock_nanosleep", "close", "cpu_features", "dup", "dup2", "dup3", "epoll_create", "epoll_create1",
        "epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd", "eventfd2", "exit", "exit_group", "fadvise64",
        "fcntl", "fdatasync", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd", "getegid", "geteuid",
        "getgid", "getgroups", "getpeername", "getpgrp", "getpid", "getppid", "getrandom", "getrlimit",
        "getrusage", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "ioctl", "listen",
        "lseek", "madvise", "memory_exhausted", "nanosleep", "pipe", "pipe2", "poll", "ppoll", "pread64",
        "preadv", "prlimit64", "pselect6", "pwrite64", "pwritev", "read", "readv", "recvfrom", "recvmsg",
        "sched_getaffinity", "sched_yield", "select", "sendfile", "sendmsg", "sendto", "setrlimit",
        "setsockopt", "shutdown", "socket", "socketpair", "sysinfo", "time", "timerfd_create",
        "timerfd_gettime", "timerfd_settime", "times", "tkill", "umask", "uname", "write", "writev",
    }
)  # fmt: skip
FROM_A_TABLE = frozenset({"bind", "connect"})
"""Paths of sockets are looked up among those that were granted, and in no directory."""


def test_every_call_is_known_to_take_names_or_not_to() -> None:
    groups = (set(CALLS), BY_NO_NAME, FROM_A_TABLE)
    assert {call.name for call in TABLE.values()} == set().union(*groups)
    assert len(TABLE) == sum(map(len, groups))


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("way", WAYS)
def test_no_call_reaches_another_name(guest: Guest, tmp_path: Path, name: str, way: str) -> None:
    before = others_in(tmp_path / "d")
    for call in CALLS[name]:
        assert call(guest, way) < 0
        assert others_in(tmp_path / "d") == before
        assert guest("chdir", "/") == 0


@pytest.mark.parametrize("name", CALLS)
def test_the_same_succeeds_where_all_names_were_granted(tmp_path: Path, name: str) -> None:
    for number, call in enumerate(CALLS[name]):
        guest = make_guest(tmp_path / str(number))
        succeed(call(guest, FREE))
        guest.system.close()


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith("/ro")])
def test_names_that_were_granted_are_used_by_every_way(guest: Guest, tmp_path: Path, way: str) -> None:
    assert guest.contents(f"{way}/prog.file") == b"its own"
    succeed(guest.open(f"{way}/prog.new", O_CREAT | O_WRONLY))
    for call in (
        ("symlink", "prog.file", f"{way}/prog.link"), ("symlink", "./prog.none", f"{way}/prog.dangling"),
        ("rename", f"{way}/prog.link", f"{way}/prog.moved"), ("link", f"{way}/prog.moved", f"{way}/prog.too"),
        ("mkdir", f"{way}/prog.sub", 0o755), ("symlink", "any", f"{way}/prog.sub/link"),
        ("unlink", f"{way}/prog.new"), ("chmod", f"{way}/prog.file", 0o600),
    ):  # fmt: skip
        assert guest(*call) == 0, call
    assert guest.contents(f"{way}/prog.too") == b"its own"
    assert not [name for name in guest.names(way) if not name.startswith(("prog.", "."))]
    assert guest("linkat", AT_FDCWD, f"{way}/prog.v", AT_FDCWD, f"{way}/prog.w", AT_SYMLINK_FOLLOW) < 0


def test_what_was_granted_without_names_by_its_own_path_has_all(tmp_path: Path) -> None:
    furnish(tmp_path / "d")
    grants = [
        Directory(tmp_path / "d", "/all"),
        Directory(tmp_path / "d", "/some", names="prog."),
        Directory(tmp_path / "d", "/others", names="vi"),
        Directory(tmp_path, "/top"),
    ]
    guest = Guest(System(directories=grants))
    assert guest.contents("/all/victim") == guest.contents("/others/victim") == b"secret"
    assert guest.open("/some/victim") < 0 and guest.open("/others/prog.file") < 0
    assert guest.contents("/top/d/victim") == b"secret" and guest.contents("/top/d/prog.file") == b"its own"
    assert guest.open("/top/d/vdir/file") == -errno.EACCES
    guest.system.close()


NAMES = st.sampled_from(
    ["victim", "prog.file", "prog.dir", "prog.l", "prog.x", "prog.y", "vdir", "up", "x", "."]
)
PATHS = st.builds(
    lambda root, parts: "/".join([root, *parts]),
    st.sampled_from(["/d", "/top/d", "/top", "."]),
    st.lists(NAMES, min_size=1, max_size=4),
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["rename", "link"]), PATHS, PATHS),
    st.tuples(st.just("symlink"), st.builds("/".join, st.lists(NAMES, min_size=1, max_size=3)), PATHS),
    st.tuples(st.sampled_from(["unlink", "rmdir", "chdir"]), PATHS),
    st.tuples(st.sampled_from(["mkdir", "creat", "chmod"]), PATHS, st.just(0o755)),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(steps=st.lists(STEPS, min_size=1, max_size=25))
def test_no_sequence_of_calls_changes_other_names(steps: list[tuple[str, ...]]) -> None:
    """And no new link leads the host to one."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        guest = make_guest(root)
        for link in ("prog.dir/up", "prog.v", "prog.l"):
            (root / "d" / link).unlink()
        others = ("victim", "vlink", "vdir", "vempty")
        before = [row for other in others for row in state(root / "d" / other)]
        for step in steps:
            guest(*step)
            listed = os.listdir(root / "d")
            assert {other for other in listed if not other.startswith("prog.")} == set(others), step
            assert [row for other in others for row in state(root / "d" / other)] == before, step
            for link in listed:
                if link.startswith("prog.") and (root / "d" / link).is_symlink():
                    end = Path(os.path.realpath(root / "d" / link))
                    assert end.relative_to(root.resolve() / "d").parts[0].startswith("prog."), (step, link)
        guest.system.close()
