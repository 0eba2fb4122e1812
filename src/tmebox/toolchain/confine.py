"""Processes that touch some files, and nothing else of the machine, as far as its kernel can see to it.

Compilers and linkers read what anybody may have written, and are large: a bug in one of them may run what it
reads. Two of Linux's means, which need no rights, bind what such a process can do then. Landlock: which
files it reads, writes and executes, and that it connects to nobody by TCP and signals nobody. Seccomp: no
sockets at all, no look into other processes, no change of who may use a file, which Landlock leaves out.

Both hold for the thread that asks for them, and whatever it starts, until it ends. So each process is
started by a thread of its own (`preexec_fn` is not safe in a program with threads).

Facts: Linux's Documentation/userspace-api/landlock.rst, <linux/landlock.h>, <linux/seccomp.h>.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from tmebox import _native
from tmebox.records import dataclass, replace

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Reach:
    """Files, or directories with all that is in them, that a process may read; those in which it may also
    make, write and remove files; and those that it may execute. What is not there, it does not get."""

    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    executes: tuple[Place, ...] = ()
    sets_times: bool = False
    """Of files that it has open, it may set the times."""

    def reading(self, *places: Place) -> Reach:
        """This, and to read those."""
        return replace(self, reads=(*self.reads, *places))

    def executing(self, *places: Place) -> Reach:
        """This, and to execute those."""
        return replace(self, executes=(*self.executes, *places))


# Landlock's rights, and with which version of its ABI each came.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_FILE = 1 << 5, 1 << 8
_TRUNCATE = 1 << 14
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: _TRUNCATE, 5: 1 << 15}
_CONNECTS_VERSION, _SCOPES_VERSION = 4, 6
_BIND_AND_CONNECT = 0b11
_SOCKETS_AND_SIGNALS = 0b11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
"""The others are about directories."""
_READ = _READ_FILE | _READ_DIRECTORY
_WRITE = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE

SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/nix/store", "/gnu/store")
"""Where a program of the machine's has its libraries and what loads them."""
ALWAYS = Reach(reads=("/dev/urandom",), writes=(os.devnull,))
"""Names of temporary files are random, and standard input is nothing."""
ANYWHERE = Reach(writes=("/",), executes=("/",))
"""For what is ours, in tests and benchmarks."""

_REFUSED = {
    "socket": 41, "socketpair": 53, "connect": 42, "io_uring_setup": 425,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438, "kcmp": 312,
    "process_madvise": 440, "move_pages": 279, "migrate_pages": 256, "sched_setaffinity": 203,
    "sched_setparam": 142, "sched_setscheduler": 144, "sched_setattr": 314,
    "setpriority": 141, "ioprio_set": 251,
    "shmget": 29, "shmat": 30, "semget": 64, "msgget": 68, "mq_open": 240, "mq_unlink": 241,
    "chmod": 90, "fchmod": 91, "fchmodat": 268, "fchmodat2": 452,
    "chown": 92, "fchown": 93, "lchown": 94, "fchownat": 260,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "setxattrat": 463,
    "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199, "removexattrat": 466,
    "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
    "add_key": 248, "request_key": 249, "keyctl": 250,
    "unshare": 272, "setns": 308, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
    "bpf": 321, "perf_event_open": 298, "userfaultfd": 323, "syslog": 103,
    "init_module": 175, "finit_module": 313, "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320,
    "iopl": 172, "ioperm": 173, "reboot": 169, "swapon": 167, "swapoff": 168, "acct": 163, "quotactl": 179,
    "settimeofday": 164, "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305,
    "sethostname": 170, "setdomainname": 171,
}  # fmt: skip
"""System calls of x86-64 by which a process reaches others, the machine, or files without opening them. A
compiler has no use for any: a list of what it needs instead would end with the next C library."""
_OF_A_PROCESS = {"prlimit64": 302}
"""Those that are refused where their first argument is not 0, for the caller itself."""
_SETS_TIMES = "utimensat"
"""Without a path, of an open file."""
_X32 = 0x4000_0000
"""Numbers from here on are another architecture's, by which the same could be called."""
_X86_64 = 0xC000_003E
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ARCHITECTURE, _NUMBER, _ARGUMENTS = 4, 0, 16
_ALLOW, _REFUSE = 0x7FFF << 16, 5 << 16 | errno.EPERM


@lru_cache(maxsize=2)
def seccomp_filter(sets_times: bool = False) -> bytes:
    """structs sock_filter: code, how far to go if it is true and if not, a number."""
    refused = [number for name, number in _REFUSED.items() if not (sets_times and name == _SETS_TIMES)]
    count = len(refused)
    own = [step for number in _OF_A_PROCESS.values() for step in _only_for_zero(number, _ARGUMENTS)]
    if sets_times:
        own += _only_for_zero(_REFUSED[_SETS_TIMES], _ARGUMENTS + 8, _ARGUMENTS + 12)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUALS, 0, len(own) + count + 3, _X86_64),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, len(own) + count + 1, 0, _X32),
        *((_EQUALS, len(own) + count - index, 0, number) for index, number in enumerate(refused)),
        *own,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("<HBBI", *step) for step in program)


def _only_for_zero(number: int, *halves: int) -> Iterator[tuple[int, int, int, int]]:
    """Allow this call if these halves of arguments are 0. Steps that change nothing for other numbers."""
    yield _EQUALS, 0, 3 * len(halves) + 1, number
    for half in halves:
        yield _LOAD, 0, 0, half
        yield _EQUALS, 1, 0, 0
        yield _RETURN, 0, 0, _REFUSE
    yield _RETURN, 0, 0, _ALLOW


@dataclass(frozen=True)
class Means:
    """What can be had here. landlock: the version of its ABI; 0: the kernel has none, or it is turned off."""

    landlock: int
    seccomp: bool


@lru_cache(maxsize=1)
def means() -> Means:
    """Found out by trying: a container may forbid either."""
    version = _native.landlock_version()
    if version:
        try:
            with _ruleset((), version) as ruleset:
                _native.call_confined(_nothing, ruleset, b"")
        except OSError as error:
            _require_lasting(error)
            version = 0
    try:
        _native.call_confined(_nothing, -1, seccomp_filter())
    except OSError as error:
        _require_lasting(error)
        return Means(version, False)
    return Means(version, True)


def _require_lasting(error: OSError) -> None:
    """Raise it if it says nothing about the kernel, but that something has run out just now."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        raise error


def _nothing() -> None:
    pass


def start(command: Sequence[str], reach: Reach, **options: Any) -> subprocess.Popen[Any]:
    """Popen(command, **options), of a process that reaches no more than this, and ALWAYS. Raises OSError."""

    def begin() -> subprocess.Popen[Any]:
        return subprocess.Popen(command, **options)

    if sys.is_finalizing() or subprocess.Popen.__module__ != "subprocess":
        return begin()  # no more threads; or somebody's own, such as gevent's, which are for one thread
    found = means()
    with _ruleset((reach, ALWAYS), found.landlock) as ruleset:
        program = seccomp_filter(reach.sets_times) if found.seccomp else b""
        return _native.call_confined(begin, ruleset, program)  # type: ignore[no-any-return]


@contextmanager
def _ruleset(reaches: Iterable[Reach], version: int) -> Iterator[int]:
    """A descriptor; -1 without Landlock."""
    if version == 0:
        yield -1
        return
    handled = sum(rights for since, rights in _FILE_RIGHTS.items() if since <= version)
    attributes = [handled]
    if version >= _CONNECTS_VERSION:
        attributes.append(_BIND_AND_CONNECT)
    if version >= _SCOPES_VERSION:
        attributes.append(_SOCKETS_AND_SIGNALS)
    ruleset = _native.landlock_ruleset(struct.pack(f"<{len(attributes)}Q", *attributes))
    try:
        for reach in reaches:
            for places, rights in (
                (reach.reads, _READ),
                (reach.writes, _WRITE),
                (reach.executes, _READ | _EXECUTE),
            ):
                for place in places:
                    _allow(ruleset, place, rights & handled)
        yield ruleset
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: Place, rights: int) -> None:
    try:
        descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        _require_lasting(error)
        return  # there is nothing, or nothing that we could open
    try:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        _native.landlock_allow(ruleset, descriptor, rights if is_directory else rights & _OF_FILES)
    finally:
        os.close(descriptor)
