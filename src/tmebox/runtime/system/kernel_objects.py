"""Kernel objects that only the guest has: sockets, pipes, event and timer descriptors, epoll.

None of their open files ever waits. Where the guest wants to wait, one system call waits for a slice, as
`clock` explains, and the guest asks again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from tmebox import _native
from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SECOND, SLICE_NS
from tmebox.runtime.system.datapath import EPOLL, DataPath
from tmebox.runtime.system.descriptors import POLLIN, POLLOUT, Description

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

SLICE_MS = SLICE_NS / 1e6
COUNTER_BYTES = 8
EFD_SEMAPHORE = 1

_T = TypeVar("_T")
_libc = ctypes.CDLL(None, use_errno=True)


class KernelObject(Description):
    """`descriptor`: the host's, not waiting, ours to close."""

    def __init__(self, descriptor: int, flags: int = 0) -> None:
        self._own = _native.Descriptor(descriptor, counted=True)
        self.status_flags = os.O_RDWR | flags & os.O_NONBLOCK

    @property
    def _descriptor(self) -> int:
        return self._own.number

    def pollable(self) -> int:
        return self._descriptor

    def patiently(self, events: int, attempt: Callable[[], _T]) -> _T:
        """What the attempt gives, which raises BlockingIOError for "not now". Raises EAGAIN if the guest does
        not want to wait, and EINTR if it has to ask again."""
        try:
            return attempt()
        except BlockingIOError:
            if self.status_flags & os.O_NONBLOCK:
                raise
        if wait(self._descriptor, events, SLICE_MS):
            with suppress(BlockingIOError):
                return attempt()
        raise failure(errno.EINTR)

    def ready(self, events: int) -> int:
        return poll_one(self._descriptor, events)

    def release(self) -> None:
        self._own.close()


def wait(descriptor: int, events: int, wait_ms: float) -> bool:
    """Whether one of poll()'s events, or an error, is there after at most so long."""
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(wait_ms))


def poll_one(descriptor: int, events: int) -> int:
    """Those of poll()'s events that hold now, errors and hang-ups included."""
    poll = select.poll()
    poll.register(descriptor, events & 0xFFFF)
    found = poll.poll(0)
    return found[0][1] if found else 0


class EventCounter(KernelObject):
    """eventfd"""

    def read(self, size_bytes: int) -> bytes:
        if size_bytes < COUNTER_BYTES:
            raise failure(errno.EINVAL)
        return self.patiently(POLLIN, lambda: os.read(self._descriptor, COUNTER_BYTES))

    def write(self, data: bytes) -> int:
        if len(data) < COUNTER_BYTES:
            raise failure(errno.EINVAL)
        return self.patiently(POLLOUT, lambda: os.write(self._descriptor, data[:COUNTER_BYTES]))


class Timer(KernelObject):
    """timerfd. Its clock is the host's, also where the guest has a clock of its own."""

    def read(self, size_bytes: int) -> bytes:
        if size_bytes < COUNTER_BYTES:
            raise failure(errno.EINVAL)
        return self.patiently(POLLIN, lambda: os.read(self._descriptor, COUNTER_BYTES))

    def set(self, flags: int, setting: bytes) -> bytes:
        """Two timespecs, interval and first; returns what was set before."""
        before = ctypes.create_string_buffer(32)
        checked(_libc.timerfd_settime(self._descriptor, flags, setting, before))
        return before.raw

    def get(self) -> bytes:
        now = ctypes.create_string_buffer(32)
        checked(_libc.timerfd_gettime(self._descriptor, now))
        return now.raw


EVENT = struct.Struct("<IQ")
"""struct epoll_event of x86-64, which is packed: events and the guest's data."""
EPOLL_CTL_DEL = 2
EPOLLWAKEUP = 1 << 29
"""Keeps the machine awake: not for guests."""


class Epoll(KernelObject):
    """The kernel keeps the guest's data beside each descriptor, and gives it back as it was."""

    def data_path(self) -> DataPath | None:
        return DataPath(self._descriptor, EPOLL)

    def control(self, operation: int, target: Description, event: bytes) -> None:
        descriptor = target.pollable()
        if descriptor is None:
            raise failure(errno.EPERM)
        events, data = EVENT.unpack(event) if event else (0, 0)
        packed = EVENT.pack(events & ~EPOLLWAKEUP, data)
        checked(_libc.epoll_ctl(self._descriptor, operation, descriptor, packed))

    def forget(self, descriptor: int) -> None:
        """The guest has closed it. The kernel only notices where nobody else has the same open file."""
        if self._descriptor >= 0:
            _libc.epoll_ctl(self._descriptor, EPOLL_CTL_DEL, descriptor, EVENT.pack(0, 0))

    def wait(self, most: int, wait_ms: int) -> bytes:
        """The packed events that are there after at most so long."""
        found = ctypes.create_string_buffer(EVENT.size * most)
        count = checked(_libc.epoll_wait(self._descriptor, found, most, wait_ms))
        return found.raw[: EVENT.size * count]


def checked(result: int) -> int:
    """The result of a call into the C library, whose -1 means errno. Raises OSError."""
    if result < 0:
        raise failure(ctypes.get_errno())
    return result


def new_event_counter(value: int, flags: int) -> EventCounter:
    """flags: EFD_SEMAPHORE and EFD_NONBLOCK of the guest's."""
    host = flags & EFD_SEMAPHORE | os.O_NONBLOCK | os.O_CLOEXEC
    return EventCounter(checked(_libc.eventfd(value, host)), flags)


def new_timer(clock_id: int, flags: int) -> Timer:
    return Timer(checked(_libc.timerfd_create(clock_id, os.O_NONBLOCK | os.O_CLOEXEC)), flags)


def new_epoll() -> Epoll:
    return Epoll(checked(_libc.epoll_create1(os.O_CLOEXEC)))


def slices(system: System, key: tuple[int, ...], duration_ns: int) -> int:
    """How long this call of a longer wait may wait, in ns: at most a slice. 0 when the wait is over."""
    return min(system.waits.left_ns(system.clock, key, duration_ns), SLICE_NS)


def milliseconds(duration_ns: int) -> int:
    """Rounded up: poll() and epoll_wait() must not return before the time."""
    return -(-duration_ns // (SECOND // 1000))
