"""What a guest asked for and did not get, and how often it asked: `tmebox run --trace`, `--calls`."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass

from tmebox import _native
from tmebox.runtime.system.calls import PATH_MAX, U64, GuestMemory
from tmebox.runtime.system.table import TABLE
from tmebox.shown import printable

MAX_ERRNO = 4095
NOT_REFUSED = frozenset({-errno.EINTR, -errno.EAGAIN, -errno.EINPROGRESS})
"""Answers to somebody who is to ask again."""
PATHS = {
    "open": 0, "stat": 0, "lstat": 0, "access": 0, "truncate": 0, "chdir": 0, "rename": 0, "mkdir":
    0, "rmdir": 0, "creat": 0, "link": 0, "unlink": 0, "symlink": 1, "readlink": 0, "chmod": 0,
    "statfs": 0, "openat": 1, "mkdirat": 1, "newfstatat": 1, "unlinkat": 1, "renameat": 1, "linkat":
    1, "symlinkat": 2, "readlinkat": 1, "fchmodat": 1, "faccessat": 1, "utimensat": 1, "renameat2":
    1, "faccessat2": 1, "fchmodat2": 1, "chown": 0, "lchown": 0, "fchownat": 1,
}  # fmt: skip
"""Calls with paths: which argument the path is."""
UNANSWERED = {
    25: "mremap", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 61: "wait4", 62: "kill",
    101: "ptrace", 105: "setuid", 106: "setgid",
    112: "setsid", 116: "setgroups", 133: "mknod", 157: "prctl", 161: "chroot", 165: "mount",
    203: "sched_setaffinity", 222: "timer_create", 247: "waitid", 253: "inotify_init",
    259: "mknodat", 285: "fallocate", 289: "signalfd4", 294: "inotify_init1",
    299: "recvmmsg", 307: "sendmmsg", 319: "memfd_create", 322: "execveat", 332: "statx",
    334: "rseq", 425: "io_uring_setup", 435: "clone3",
}  # fmt: skip
"""Names of some that are never answered, and that programs ask for."""
UNKNOWN = -1
"""Where calls by all other numbers are counted: there are more of those than a host has memory for."""


@dataclass(frozen=True)
class Refusal:
    """One system call, by its name, which error it got, and the path it was about, if any."""

    call: str
    error: int
    path: str = ""

    def __str__(self) -> str:
        about = f" {self.path!r}" if self.path else ""
        return f"{self.call}{about}: {errno.errorcode.get(self.error, self.error)}"


def call_name(number: int) -> str:
    """By the kernel's table, as far as it is known here."""
    known = TABLE.get(number)
    if known is not None:
        return known.name
    return "unknown system calls" if number == UNKNOWN else UNANSWERED.get(number, f"system call {number}")


class CallCounts:
    """The system calls of one run, by name: how often the core answered, and how often Python was asked. A
    wait that takes several slices asks as often."""

    def __init__(self) -> None:
        self._python: Counter[int] = Counter()
        self._cores: list[_native.GuestDescriptors] = []

    def watch(self, core: _native.GuestDescriptors) -> None:
        """Its calls count from now on."""
        core.count()
        self._cores.append(core)

    def asked_python(self, number: int) -> None:
        self._python[number if number in TABLE or number in UNANSWERED else UNKNOWN] += 1

    @property
    def by_core(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for core in self._cores:
            counted.update({call_name(number): count for number, count in core.counts.items()})
        return counted

    @property
    def by_python(self) -> Counter[str]:
        return Counter({call_name(number): count for number, count in self._python.items()})


def path_of(memory: GuestMemory, number: int, arguments: tuple[int, ...]) -> str:
    """The path that a call names, in the guest's words, printable."""
    index = PATHS.get(call_name(number))
    if index is None:
        return ""
    try:
        return printable(memory.string(arguments[index] & U64, PATH_MAX).decode("utf-8", "backslashreplace"))
    except IndexError:
        return ""
