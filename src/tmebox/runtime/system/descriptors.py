"""The guest's file descriptors: a table of ours, from small numbers to descriptions.

A description is what open() makes and dup() shares. Host descriptors stay inside descriptions: their numbers
mean nothing to a guest.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tmebox import _native
from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.datapath import CLOEXEC, READS, WRITES, DataPath
from tmebox.runtime.system.whole_writes import WholeWrites

DEFAULT_MAX_OPEN = 64
FEWEST_OPEN = 3
"""stdin, stdout and stderr."""
CORE_MAX = 1024
"""Numbers of descriptors that the core can know."""
SANDBOXES_AT_ONCE = 8
"""So many that open all they can leave descriptors to the process, unless they were given a limit."""


def default_max_open() -> int:
    """What one guest may have open if nobody says: well below what the process may have."""
    process = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(FEWEST_OPEN + 1, min(DEFAULT_MAX_OPEN, process // (2 * SANDBOXES_AT_ONCE)))


class Description:
    """Something open. Each method raises the OSError that the kernel gives for a thing without it."""

    numbers = 0
    """How many of a guest's descriptors it is."""
    writes: WholeWrites | None = None
    """How far writes are that wait, where there are such."""
    uncounted_locks = 0
    """How many calls may come before its record locks have to be counted again."""
    status_flags = os.O_RDWR
    """Access mode and O_APPEND, O_NONBLOCK as fcntl(F_GETFL) shows them."""

    def read(self, size_bytes: int) -> bytes:
        raise failure(errno.EBADF)

    def write(self, data: bytes) -> int:
        raise failure(errno.EBADF)

    def pread(self, size_bytes: int, position: int) -> bytes:
        raise failure(errno.ESPIPE)

    def pwrite(self, data: bytes, position: int) -> int:
        raise failure(errno.ESPIPE)

    def seek(self, offset: int, whence: int) -> int:
        raise failure(errno.ESPIPE)

    def status(self) -> os.stat_result:
        """As a character device, which is what programs expect of a stream that is not a file."""
        return os.stat_result((stat.S_IFCHR | 0o600, 0, 0, 1, 0, 0, 0, 0, 0, 0))

    def truncate(self, size_bytes: int) -> None:
        raise failure(errno.EINVAL)

    def sync(self) -> None:
        raise failure(errno.EINVAL)

    def host_descriptor(self) -> int | None:
        """Of a regular file or directory beneath a granted directory."""
        return None

    def writable_file(self) -> int:
        """Host descriptor of a regular file or directory whose metadata may be changed."""
        raise failure(errno.EINVAL)

    def lockable_file(self) -> int | None:
        """Host descriptor of what a guest may lock for others. None: it only reads what others own."""
        raise failure(errno.EINVAL)

    def entries(self, room_bytes: int) -> bytes:
        """As getdents64() gives them, as many as fit."""
        raise failure(errno.ENOTDIR)

    def terminal_size(self) -> os.terminal_size | None:
        """Size of the terminal this is, or None for anything else."""
        return None

    def ready(self, events: int) -> int:
        """Which of poll()'s events hold now."""
        return events & (POLLIN | POLLOUT)

    def data_path(self) -> DataPath | None:
        """How the core may move its bytes; None: only Python does. After a change: `Descriptors.refresh`."""
        return None

    @property
    def has_unfinished_writes(self) -> bool:
        """Whether a part of some data is written, and the guest is to ask for the rest."""
        return self.writes is not None and self.writes.has_unfinished

    def write_rest(self, data: bytes, begun: int) -> int:
        """write(), of which so many bytes are written already."""
        return begun + self.write(data[begun:]) if begun else self.write(data)

    def pollable(self) -> int | None:
        """Host descriptor that poll() and epoll can wait for; None: `ready` has to be asked."""
        return None

    def forget(self, host: int) -> None:
        """Of an epoll: that host descriptor is about to be closed."""

    def close(self) -> None:
        """What is the host's is closed, if no number of a guest's leads there: the core goes by the host's
        number, which may be another file's a moment later. Raises RuntimeError if one does. Idempotent."""
        if self.numbers:
            raise RuntimeError("a guest still has a descriptor of what was to be closed")
        self.release()

    def release(self) -> None:
        """What close() does."""


POLLIN, POLLOUT, POLLNVAL = 1, 4, 0x20


@dataclass(frozen=True)
class News:
    """Something that the core has opened by itself: a file of the grant `mount`, or else a connection."""

    number: int
    is_file: bool
    host: int
    flags: int
    mount: int
    status: int
    position: int


class NullDevice(Description):
    """/dev/null"""

    minor = 3
    """Of the host's device that does the same; 0: the core has none."""

    _own: _native.Descriptor | None = None

    def data_path(self) -> DataPath | None:
        if self._own is None:
            host = _open_memory_device(self.minor)
            if host is None:
                return None
            self._own = _native.Descriptor(host, counted=True)
        return DataPath(self._own.number, READS | WRITES)

    def release(self) -> None:
        if self._own is not None:
            self._own.close()

    def read(self, size_bytes: int) -> bytes:
        return b""

    def write(self, data: bytes) -> int:
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        return 0


class ZeroDevice(NullDevice):
    """/dev/zero"""

    minor = 5

    def read(self, size_bytes: int) -> bytes:
        return bytes(size_bytes)


class FullDevice(ZeroDevice):
    """/dev/full"""

    minor = 7

    def write(self, data: bytes) -> int:
        raise failure(errno.ENOSPC)


class RandomDevice(NullDevice):
    """/dev/random and /dev/urandom"""

    minor = 0

    def read(self, size_bytes: int) -> bytes:
        return os.urandom(min(size_bytes, 1 << 16))


MEMORY_DEVICES = {3: "/dev/null", 5: "/dev/zero", 7: "/dev/full"}
"""By minor number; their major is 1."""


def _open_memory_device(minor: int) -> int | None:
    """None where the host has something else by that name."""
    try:
        number = os.open(MEMORY_DEVICES[minor], os.O_RDWR | os.O_CLOEXEC)
    except (KeyError, OSError):
        return None
    status = os.fstat(number)
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, minor):
        return number
    os.close(number)
    return None


DEVICES = {
    b"/dev/null": NullDevice,
    b"/dev/zero": ZeroDevice,
    b"/dev/full": FullDevice,
    b"/dev/random": RandomDevice,
    b"/dev/urandom": RandomDevice,
}


STREAMS = {b"/dev/stdin": 0, b"/dev/stdout": 1, b"/dev/stderr": 2}
"""Opening one of them is like dup() of the descriptor."""


def sought(position: int, size_bytes: int, offset: int, whence: int) -> int:
    """Where lseek() leads in a file whose position is ours. Raises EINVAL."""
    bases = {os.SEEK_SET: 0, os.SEEK_CUR: position, os.SEEK_END: size_bytes}
    if whence not in bases or not 0 <= bases[whence] + offset < 1 << 63:
        raise failure(errno.EINVAL)
    return bases[whence] + offset


class TextFile(Description):
    """A small file that is made when it is opened, and is read only."""

    status_flags = os.O_RDONLY

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def read(self, size_bytes: int) -> bytes:
        data = self.pread(size_bytes, self._position)
        self._position += len(data)
        return data

    def pread(self, size_bytes: int, position: int) -> bytes:
        if position < 0:
            raise failure(errno.EINVAL)
        return self._data[position : position + size_bytes]

    def seek(self, offset: int, whence: int) -> int:
        self._position = sought(self._position, len(self._data), offset, whence)
        return self._position

    def status(self) -> os.stat_result:
        return os.stat_result((stat.S_IFREG | 0o444, 1, 0, 1, 0, 0, len(self._data), 0, 0, 0))


class DefaultFile(TextFile):
    """One of `etc` that the guest may replace by another, where it may write."""


class Descriptors:
    """Guest numbers → descriptions, at most `limit` of them. POSIX: the lowest free number is given.

    core: what of it the core knows, kept up to date here.
    """

    def __init__(
        self, first: Iterable[Description], limit: int, core: _native.GuestDescriptors | None = None
    ) -> None:
        self.most = limit
        """What `limit` was at the beginning."""
        self.limit = limit
        self._core = core or _native.GuestDescriptors()
        self._first: dict[int, Description] = dict(enumerate(first))
        self._open: dict[int, Description] = {}
        self._close_on_exec: set[int] = set()
        for number, description in self._first.items():
            self._put(number, description)

    def __getitem__(self, descriptor: int) -> Description:
        found = self._open.get(descriptor)
        if found is None:
            raise failure(errno.EBADF)
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._open)

    @property
    def changed(self) -> bool:
        """Whether other things are open than at the beginning."""
        return self._core.has_news or self._open != self._first

    def room(self) -> None:
        """Raise EMFILE if no descriptor could be added: asked before something is opened."""
        if len(self._open) >= self.limit:
            raise failure(errno.EMFILE)

    def add(self, description: Description, *, lowest: int = 0, close_on_exec: bool = False) -> int:
        if not 0 <= lowest < self.limit:
            raise failure(errno.EINVAL)
        for number in range(lowest, self.limit):
            if number not in self._open:
                self._put(number, description, close_on_exec)
                return number
        raise failure(errno.EMFILE)

    def replace(self, number: int, description: Description, *, close_on_exec: bool = False) -> int:
        """dup2: `number` becomes a descriptor of `description`, closing what it was."""
        if not 0 <= number < self.limit:
            raise failure(errno.EBADF)
        if number in self._open:
            self.remove(number)
        self._put(number, description, close_on_exec)
        return number

    def _put(self, number: int, description: Description, close_on_exec: bool = False) -> None:
        self._open[number] = description
        description.numbers += 1
        self._tell(number, description)
        self.set_close_on_exec(number, close_on_exec)

    def _tell(self, number: int, description: Description) -> None:
        if number >= CORE_MAX:
            return
        path = description.data_path()
        if path is None:
            self._core.hide(number)
        else:
            self._core.set(number, description, path.host, path.flags, path.limit, path.mount)
            if description.has_unfinished_writes:
                self._core.keep_writes(number)

    def refresh(self, description: Description) -> None:
        """The core learns what has changed about it."""
        for number, found in self._open.items():
            if found is description:
                self._tell(number, found)

    def write(self, number: int, data: bytes) -> int:
        """As the guest's write(), of which the core may have done the beginning. A write that waits is
        Python's until it is done, and so are those that come in between: the core would begin it anew."""
        description = self[number]
        core_knows = 0 <= number < CORE_MAX
        begun = self._core.take_begun(number) if core_knows else 0
        waits = False
        try:
            return description.write_rest(data, begun if begun <= len(data) else 0)
        except OSError as error:
            waits = error.errno == errno.EINTR
            raise
        finally:
            if core_knows and (waits or description.has_unfinished_writes):
                self._core.keep_writes(number)

    def remove(self, number: int) -> None:
        description = self[number]
        if number < CORE_MAX:
            self._core.clear(number)  # before its host descriptor can become another file's
        del self._open[number]
        self._close_on_exec.discard(number)
        description.numbers -= 1
        if not description.numbers:
            self._forget(description)
            description.close()

    def _forget(self, description: Description) -> None:
        """No epoll watches it any more. The kernel only notices where nobody else has the same open file."""
        host = description.pollable()
        if host is not None:
            for other in self._open.values():
                other.forget(host)

    def meet(self, describe: Callable[[News], Description]) -> None:
        """What the core has opened gets descriptions: from now on Python answers for it as well."""
        for row in self._core.news():
            news = News(*row)
            self._put(news.number, describe(news), bool(news.flags & CLOEXEC))

    def is_close_on_exec(self, number: int) -> bool:
        return number in self._close_on_exec

    def set_close_on_exec(self, number: int, value: bool) -> None:
        """Nothing ever executes: kept because programs read back what they set."""
        (self._close_on_exec.add if value else self._close_on_exec.discard)(number)

    @property
    def found_events(self) -> int:
        """How often the core has answered epoll_wait."""
        return self._core.answered

    def close(self) -> None:
        """All at once: nothing is left that could watch another."""
        self._core.end()  # before host descriptors can become other files'
        self._close_on_exec.clear()
        while self._open:
            _, description = self._open.popitem()
            description.numbers -= 1
            if not description.numbers:
                description.close()
