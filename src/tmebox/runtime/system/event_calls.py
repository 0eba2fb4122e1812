"""System calls that wait for descriptors, and those that make descriptors to wait for."""

from __future__ import annotations

import errno
import os
import select as host_select
import struct
from typing import TYPE_CHECKING

from tmebox.runtime.system import kernel_objects
from tmebox.runtime.system.calls import U64, GuestMemory, failure
from tmebox.runtime.system.clock import SECOND, read_timespec
from tmebox.runtime.system.descriptors import POLLIN, POLLNVAL, POLLOUT
from tmebox.runtime.system.files import require_room
from tmebox.runtime.system.kernel_objects import EVENT, Epoll, Timer, milliseconds, slices
from tmebox.runtime.system.socket_calls import add_pair, added
from tmebox.runtime.system.sockets import Stream, pipe

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

POLL_MAX = 1024
SELECT_MAX = 1024
EPOLL_MAX = 1024
ENDLESS_NS = 1 << 62
POLLERR, POLLHUP, POLLPRI = 8, 16, 2
TIMER_CLOCKS = (0, 1, 7)
"""CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME."""
U32 = (1 << 32) - 1


def _room(system: System) -> None:
    system.descriptors.room()
    require_room()


def pipe_(system: System, memory: GuestMemory, result: int) -> int:
    return pipe2(system, memory, result, 0)


def pipe2(system: System, memory: GuestMemory, result: int, flags: int) -> int:
    if flags & ~(os.O_NONBLOCK | os.O_CLOEXEC):
        raise failure(errno.EINVAL)
    _room(system)
    ends: list[Stream] = list(pipe(flags))
    return add_pair(system, memory, ends, flags, result)


def eventfd(system: System, memory: GuestMemory, value: int) -> int:
    return eventfd2(system, memory, value, 0)


def eventfd2(system: System, _memory: GuestMemory, value: int, flags: int) -> int:
    if flags & ~(os.O_NONBLOCK | os.O_CLOEXEC | kernel_objects.EFD_SEMAPHORE):
        raise failure(errno.EINVAL)
    _room(system)
    return added(system, kernel_objects.new_event_counter(value & U32, flags), flags)


def _timer(system: System, descriptor: int) -> Timer:
    found = system.descriptors[descriptor]
    if not isinstance(found, Timer):
        raise failure(errno.EINVAL)
    return found


def timerfd_create(system: System, _memory: GuestMemory, clock_id: int, flags: int) -> int:
    if clock_id not in TIMER_CLOCKS or flags & ~(os.O_NONBLOCK | os.O_CLOEXEC):
        raise failure(errno.EINVAL)
    _room(system)
    return added(system, kernel_objects.new_timer(clock_id, flags), flags)


def timerfd_settime(
    system: System, memory: GuestMemory, descriptor: int, flags: int, new: int, old: int
) -> int:
    before = _timer(system, descriptor).set(flags & 3, memory.read(new & U64, 32))
    if old:
        memory.write(old & U64, before)
    return 0


def timerfd_gettime(system: System, memory: GuestMemory, descriptor: int, result: int) -> int:
    memory.write(result & U64, _timer(system, descriptor).get())
    return 0


# -- epoll -------------------------------------------------------------------------------------------------


def _epoll(system: System, descriptor: int) -> Epoll:
    found = system.descriptors[descriptor]
    if not isinstance(found, Epoll):
        raise failure(errno.EINVAL)
    return found


def epoll_create(system: System, memory: GuestMemory, size: int) -> int:
    if size <= 0:
        raise failure(errno.EINVAL)
    return epoll_create1(system, memory, 0)


def epoll_create1(system: System, _memory: GuestMemory, flags: int) -> int:
    if flags & ~os.O_CLOEXEC:
        raise failure(errno.EINVAL)
    _room(system)
    return added(system, kernel_objects.new_epoll(), flags)


def epoll_ctl(
    system: System, memory: GuestMemory, descriptor: int, operation: int, target: int, event: int
) -> int:
    epoll, description = _epoll(system, descriptor), system.descriptors[target]
    deletes = operation == kernel_objects.EPOLL_CTL_DEL
    epoll.control(operation, description, b"" if deletes else memory.read(event & U64, EVENT.size))
    return 0


def epoll_wait(
    system: System, memory: GuestMemory, descriptor: int, events: int, most: int, timeout_ms: int
) -> int:
    return epoll_pwait(system, memory, descriptor, events, most, timeout_ms, 0)


def epoll_pwait(
    system: System, memory: GuestMemory, descriptor: int, events: int, most: int, timeout_ms: int, _mask: int
) -> int:
    """The signal mask has no effect: signals come between system calls only."""
    if most <= 0:
        raise failure(errno.EINVAL)
    epoll = _epoll(system, descriptor)
    timeout_ms = (timeout_ms + (1 << 31)) % (1 << 32) - (1 << 31)
    key = (232, descriptor, events, most, timeout_ms, system.descriptors.found_events)
    timeout_ns = ENDLESS_NS if timeout_ms < 0 else timeout_ms * (SECOND // 1000)
    slice_ns = slices(system, key, timeout_ns)
    found = epoll.wait(min(most, EPOLL_MAX), milliseconds(slice_ns))
    if not found and system.waits.left_ns(system.clock, key, timeout_ns) > 0:
        raise failure(errno.EINTR)
    system.waits.over()
    memory.write(events & U64, found)
    return len(found) // EVENT.size


# -- poll and select ---------------------------------------------------------------------------------------


class _Wanted:
    """Descriptors and the events of each that somebody waits for."""

    def __init__(self, system: System, rows: list[tuple[int, int]]) -> None:
        self._system = system
        self.rows = rows
        self._poll = host_select.poll()
        self._hosts: dict[int, int] = {}
        """Host descriptor → events that any row wants of it."""
        for number, events in rows:
            if number in system.descriptors and (host := system.descriptors[number].pollable()) is not None:
                self._hosts[host] = self._hosts.get(host, 0) | events & 0xFFFF
        for host, events in self._hosts.items():
            self._poll.register(host, events)

    def look(self, wait_ns: int) -> list[int]:
        """For each row the events that are there; waits at most so long while there are none."""
        immediate = [self._immediate(number, events) for number, events in self.rows]
        wait_ms = 0 if any(immediate) else milliseconds(wait_ns)
        if self._hosts or wait_ms == 0:
            there = dict(self._poll.poll(wait_ms))
        else:
            self._system.clock.sleep(wait_ns)
            there = {}
        found = []
        for (number, events), now in zip(self.rows, immediate, strict=True):
            known = number >= 0 and number in self._system.descriptors
            host = self._system.descriptors[number].pollable() if known else None
            mask = events | POLLERR | POLLHUP
            found.append(now if host is None else there.get(host, 0) & mask)
        return found

    def _immediate(self, number: int, events: int) -> int:
        """Of what the kernel is not asked about."""
        if number < 0:
            return 0
        if number not in self._system.descriptors:
            return POLLNVAL
        description = self._system.descriptors[number]
        return description.ready(events) if description.pollable() is None else 0


def _wait(system: System, wanted: _Wanted, key: tuple[int, ...], timeout_ns: int) -> list[int]:
    """Events by row; all 0 once the time is over. `timeout_ns` < 0 waits for good, which is until the guest's
    time limit. Raises EINTR if the guest has to ask again."""
    if timeout_ns == 0:
        return wanted.look(0)
    duration_ns = ENDLESS_NS if timeout_ns < 0 else timeout_ns
    found = wanted.look(slices(system, key, duration_ns))
    if not any(found) and system.waits.left_ns(system.clock, key, duration_ns) > 0:
        raise failure(errno.EINTR)
    system.waits.over()
    return found


def poll(system: System, memory: GuestMemory, rows: int, count: int, timeout_ms: int) -> int:
    timeout_ms = (timeout_ms + (1 << 31)) % (1 << 32) - (1 << 31)
    timeout_ns = -1 if timeout_ms < 0 else timeout_ms * (SECOND // 1000)
    return _poll(system, memory, (7, rows, count, timeout_ms), timeout_ns)


def ppoll(system: System, memory: GuestMemory, rows: int, count: int, timeout: int) -> int:
    timeout_ns = read_timespec(memory, timeout & U64) if timeout else -1
    return _poll(system, memory, (271, rows, count, timeout), timeout_ns)


def _poll(system: System, memory: GuestMemory, key: tuple[int, ...], timeout_ns: int) -> int:
    _, rows, count, _ = key
    if not 0 <= count <= POLL_MAX:
        raise failure(errno.EINVAL)
    given = memory.read(rows & U64, 8 * count) if count else b""
    asked = [(number, events & 0xFFFF) for number, events in struct.iter_unpack("<ih2x", given)]
    found = _wait(system, _Wanted(system, asked), key, timeout_ns)
    answers = [
        struct.pack("<iHH", number, events, happened & 0xFFFF)
        for (number, events), happened in zip(asked, found, strict=True)
    ]
    if answers:
        memory.write(rows & U64, b"".join(answers))
    return sum(map(bool, found))


def select(
    system: System, memory: GuestMemory, count: int, readable: int, writable: int, other: int, timeout: int
) -> int:
    """As Linux does, the time that is left is written back: here, none, once it is over."""
    timeout_ns = -1
    if timeout:
        seconds, part = struct.unpack("<2q", memory.read(timeout & U64, 16))
        if seconds < 0 or part < 0:
            raise failure(errno.EINVAL)
        timeout_ns = min(seconds, 1 << 30) * SECOND + min(part, SECOND) * 1000
    return _select(system, memory, (23, count, readable, writable, other, timeout), timeout_ns)


def pselect6(
    system: System, memory: GuestMemory, count: int, readable: int, writable: int, other: int, timeout: int
) -> int:
    timeout_ns = read_timespec(memory, timeout & U64) if timeout else -1
    return _select(system, memory, (270, count, readable, writable, other, timeout), timeout_ns)


SETS = ((POLLIN, POLLIN | POLLERR | POLLHUP), (POLLOUT, POLLOUT | POLLERR), (POLLPRI, POLLPRI))
"""Of select()'s three sets: the event to ask for, and the ones that count as it."""


def _select(system: System, memory: GuestMemory, key: tuple[int, ...], timeout_ns: int) -> int:
    _, count, *places, _ = key
    if not 0 <= count <= SELECT_MAX:
        raise failure(errno.EINVAL)
    size_bytes = (count + 63) // 64 * 8
    given = [int.from_bytes(memory.read(at & U64, size_bytes), "little") if at else 0 for at in places]
    rows = []
    for number in range(count):
        events = sum(ask for bits, (ask, _) in zip(given, SETS, strict=True) if bits >> number & 1)
        if events:
            system.descriptors[number]  # EBADF
            rows.append((number, events))
    found = _wait(system, _Wanted(system, rows), key, timeout_ns)
    total = 0
    for at, bits, (_, counts) in zip(places, given, SETS, strict=True):
        answer = 0
        for (number, _), happened in zip(rows, found, strict=True):
            if bits >> number & 1 and happened & counts:
                answer |= 1 << number
                total += 1
        if at:
            memory.write(at & U64, answer.to_bytes(size_bytes, "little"))
    return total
