"""The system calls that are answered, one a line. Any other is -ENOSYS.

What libc's own kernel answers inside the sandbox (guest/kernel/kernel.c) does not come here.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tmebox import abi
from tmebox.runtime.system import (
    clock,
    cpu,
    event_calls,
    file_calls,
    link_calls,
    owner_calls,
    path_calls,
    process,
    socket_calls,
)
from tmebox.runtime.system.calls import EXIT, EXIT_GROUP, TKILL, GuestMemory, Handler, error_result
from tmebox.runtime.system.process import OWNER

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System


def always(result: int) -> Handler:
    """For a call that answers the same whenever it comes."""
    return lambda _system, _memory: result


ROWS: tuple[tuple[int, str, Handler, int], ...] = (
    (0, "read", file_calls.read, 3),
    (1, "write", file_calls.write, 3),
    (2, "open", path_calls.open_, 3),
    (3, "close", file_calls.close, 1),
    (4, "stat", path_calls.stat_, 2),
    (5, "fstat", file_calls.fstat, 2),
    (6, "lstat", path_calls.lstat, 2),
    (7, "poll", event_calls.poll, 3),
    (8, "lseek", file_calls.lseek, 3),
    (16, "ioctl", file_calls.ioctl, 3),
    (17, "pread64", file_calls.pread, 4),
    (18, "pwrite64", file_calls.pwrite, 4),
    (19, "readv", file_calls.readv, 3),
    (20, "writev", file_calls.writev, 3),
    (21, "access", path_calls.access, 2),
    (22, "pipe", event_calls.pipe_, 1),
    (23, "select", event_calls.select, 5),
    (24, "sched_yield", always(0), 0),
    (28, "madvise", process.madvise, 3),
    (32, "dup", file_calls.dup, 1),
    (33, "dup2", file_calls.dup2, 2),
    (35, "nanosleep", clock.nanosleep, 2),
    (39, "getpid", always(1), 0),
    (40, "sendfile", socket_calls.sendfile, 4),
    (41, "socket", socket_calls.socket_, 3),
    (42, "connect", socket_calls.connect, 3),
    (43, "accept", socket_calls.accept, 3),
    (44, "sendto", socket_calls.sendto, 6),
    (45, "recvfrom", socket_calls.recvfrom, 6),
    (46, "sendmsg", socket_calls.sendmsg, 3),
    (47, "recvmsg", socket_calls.recvmsg, 3),
    (48, "shutdown", socket_calls.shutdown, 2),
    (49, "bind", socket_calls.bind, 3),
    (50, "listen", socket_calls.listen, 2),
    (51, "getsockname", socket_calls.getsockname, 3),
    (52, "getpeername", socket_calls.getpeername, 3),
    (53, "socketpair", socket_calls.socketpair, 4),
    (54, "setsockopt", socket_calls.setsockopt, 5),
    (55, "getsockopt", socket_calls.getsockopt, 5),
    (EXIT, "exit", process.exit_group, 1),
    (63, "uname", process.uname, 1),
    (72, "fcntl", file_calls.fcntl_, 3),
    (73, "flock", file_calls.flock, 2),
    (74, "fsync", file_calls.fsync, 1),
    (75, "fdatasync", file_calls.fsync, 1),
    (76, "truncate", path_calls.truncate, 2),
    (77, "ftruncate", file_calls.ftruncate, 2),
    (79, "getcwd", path_calls.getcwd, 2),
    (80, "chdir", path_calls.chdir, 1),
    (81, "fchdir", path_calls.fchdir, 1),
    (82, "rename", path_calls.rename, 2),
    (83, "mkdir", path_calls.mkdir, 2),
    (84, "rmdir", path_calls.rmdir, 1),
    (85, "creat", path_calls.creat, 2),
    (86, "link", link_calls.link, 2),
    (87, "unlink", path_calls.unlink, 1),
    (88, "symlink", link_calls.symlink, 2),
    (89, "readlink", path_calls.readlink, 3),
    (90, "chmod", path_calls.chmod, 2),
    (91, "fchmod", file_calls.fchmod, 2),
    (92, "chown", owner_calls.chown, 3),
    (93, "fchown", owner_calls.fchown, 3),
    (94, "lchown", owner_calls.lchown, 3),
    (95, "umask", process.umask, 1),
    (96, "gettimeofday", clock.gettimeofday, 2),
    (97, "getrlimit", process.getrlimit, 2),
    (98, "getrusage", clock.getrusage, 2),
    (99, "sysinfo", process.sysinfo, 1),
    (100, "times", clock.times, 1),
    (102, "getuid", always(OWNER), 0),
    (104, "getgid", always(OWNER), 0),
    (107, "geteuid", always(OWNER), 0),
    (108, "getegid", always(OWNER), 0),
    (110, "getppid", always(0), 0),
    (111, "getpgrp", always(1), 0),
    (115, "getgroups", process.getgroups, 1),
    (137, "statfs", link_calls.statfs, 2),
    (138, "fstatfs", link_calls.fstatfs, 2),
    (160, "setrlimit", process.setrlimit, 2),
    (186, "gettid", always(1), 0),
    (TKILL, "tkill", process.tkill, 2),
    (201, "time", clock.time_, 1),
    (204, "sched_getaffinity", process.sched_getaffinity, 3),
    (213, "epoll_create", event_calls.epoll_create, 1),
    (217, "getdents64", file_calls.getdents64, 3),
    (221, "fadvise64", file_calls.fadvise64, 4),
    (228, "clock_gettime", clock.clock_gettime, 2),
    (229, "clock_getres", clock.clock_getres, 2),
    (230, "clock_nanosleep", clock.clock_nanosleep, 4),
    (EXIT_GROUP, "exit_group", process.exit_group, 1),
    (232, "epoll_wait", event_calls.epoll_wait, 4),
    (233, "epoll_ctl", event_calls.epoll_ctl, 4),
    (257, "openat", path_calls.openat, 4),
    (258, "mkdirat", path_calls.mkdirat, 3),
    (260, "fchownat", owner_calls.fchownat, 5),
    (262, "newfstatat", path_calls.newfstatat, 4),
    (263, "unlinkat", path_calls.unlinkat, 3),
    (264, "renameat", path_calls.renameat, 4),
    (265, "linkat", link_calls.linkat, 5),
    (266, "symlinkat", link_calls.symlinkat, 3),
    (267, "readlinkat", path_calls.readlinkat, 4),
    (268, "fchmodat", path_calls.fchmodat, 3),
    (269, "faccessat", path_calls.faccessat, 3),
    (270, "pselect6", event_calls.pselect6, 5),
    (271, "ppoll", event_calls.ppoll, 3),
    (280, "utimensat", path_calls.utimensat, 4),
    (281, "epoll_pwait", event_calls.epoll_pwait, 5),
    (283, "timerfd_create", event_calls.timerfd_create, 2),
    (284, "eventfd", event_calls.eventfd, 1),
    (286, "timerfd_settime", event_calls.timerfd_settime, 4),
    (287, "timerfd_gettime", event_calls.timerfd_gettime, 2),
    (288, "accept4", socket_calls.accept4, 4),
    (290, "eventfd2", event_calls.eventfd2, 2),
    (291, "epoll_create1", event_calls.epoll_create1, 1),
    (292, "dup3", file_calls.dup3, 3),
    (293, "pipe2", event_calls.pipe2, 2),
    (295, "preadv", file_calls.preadv, 4),
    (296, "pwritev", file_calls.pwritev, 4),
    (302, "prlimit64", process.prlimit64, 4),
    (316, "renameat2", path_calls.renameat2, 5),
    (318, "getrandom", process.getrandom, 3),
    (439, "faccessat2", path_calls.faccessat, 3),
    (452, "fchmodat2", path_calls.fchmodat2, 4),
    (abi.SYS_MEMORY_EXHAUSTED, "memory_exhausted", process.memory_exhausted, 1),
    (abi.SYS_ASSERTION_FAILED, "assertion_failed", process.assertion_failed, 4),
    (abi.SYS_CPU_FEATURES, "cpu_features", cpu.cpu_features, 1),
    (abi.SYS_ABORT_MESSAGE, "abort_message", process.abort_message, 1),
)
"""Number on x86-64, name, what answers it, and how many of the six arguments that takes."""


@dataclass(frozen=True)
class Call:
    """`handler(system, memory, *arguments)` takes the first `count` of six arguments, signed numbers."""

    name: str
    handler: Handler
    count: int


TABLE = {number: Call(name, handler, count) for number, name, handler, count in ROWS}


def dispatch(system: System, memory: GuestMemory, number: int, arguments: tuple[int, ...]) -> int:
    """The call's result, or -errno. Raises Exit, Abort, and whatever a stream given by the host raises
    that is not an OSError."""
    entry = TABLE.get(number)
    if entry is None:
        return -errno.ENOSYS
    try:
        return entry.handler(system, memory, *arguments[: entry.count])
    except OSError as error:
        return error_result(error)
    except IndexError:
        return -errno.EFAULT
    except OverflowError:
        return -errno.EINVAL
