"""Clocks and sleeping. A guest sleeps in short slices, so that a timeout can end it between two of them."""

from __future__ import annotations

import errno
import struct
import time
from typing import TYPE_CHECKING

from tmebox.runtime.system.calls import U64, GuestMemory, Resident, failure

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

SECOND = 1_000_000_000
SLICE_NS = 20_000_000
"""The longest one host call sleeps. A longer wait answers -EINTR, upon which the guest's libc calls again."""


class Clock:
    """What time it is for a guest. Subclass to make it deterministic."""

    def __init__(self) -> None:
        self._cpu_start_ns = time.process_time_ns()

    def realtime_ns(self) -> int:
        """Nanoseconds since 1970."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def cpu_ns(self) -> int:
        """Processor time since the clock was made: the host process's, for want of the sandbox's own."""
        return time.process_time_ns() - self._cpu_start_ns

    def sleep(self, duration_ns: int) -> None:
        time.sleep(duration_ns / SECOND)


CLOCKS = {
    0: "realtime_ns",  # CLOCK_REALTIME
    1: "monotonic_ns",
    2: "cpu_ns",  # CLOCK_PROCESS_CPUTIME_ID
    3: "cpu_ns",  # CLOCK_THREAD_CPUTIME_ID
    4: "monotonic_ns",  # CLOCK_MONOTONIC_RAW
    5: "realtime_ns",  # CLOCK_REALTIME_COARSE
    6: "monotonic_ns",  # CLOCK_MONOTONIC_COARSE
    7: "monotonic_ns",  # CLOCK_BOOTTIME
}
"""Linux's clock numbers → the method of Clock that answers."""
TIMER_ABSTIME = 1
LONGEST_S = 1 << 40
TICKS_PER_SECOND = 100


class Waits:
    """Remembers when an interrupted wait is to end, so that the guest can repeat the call unchanged."""

    def __init__(self) -> None:
        self._call: tuple[int, ...] | None = None
        self._end_ns = 0

    def left_ns(self, clock: Clock, key: tuple[int, ...], duration_ns: int) -> int:
        """What is left of `duration_ns` of the wait that `key` stands for, which begins now if it is new; 0
        when it is over."""
        now = clock.monotonic_ns()
        if self._call != key:
            self._call, self._end_ns = key, now + duration_ns
        return max(self._end_ns - now, 0)

    def over(self) -> None:
        """The next call begins a wait of its own."""
        self._call = None

    def other_call(self, number: int) -> None:
        """Whoever asks for something else has given up waiting."""
        if self._call is not None and self._call[0] != number:
            self._call = None

    def go(self, clock: Clock, key: tuple[int, ...], duration_ns: int) -> bool:
        """Wait for one slice of what is left of `duration_ns`. True when it is over; else the guest is to
        repeat the call that `key` stands for."""
        left = self.left_ns(clock, key, duration_ns)
        if left > 0:
            clock.sleep(min(left, SLICE_NS))
        if left > SLICE_NS:
            return False
        self.over()
        return True


def write_timespec(memory: GuestMemory, offset: int, time_ns: int) -> None:
    memory.write(offset & U64, struct.pack("<2q", *divmod(time_ns, SECOND)))


def read_timespec(memory: GuestMemory, offset: int) -> int:
    """Nanoseconds; at most LONGEST_S seconds."""
    seconds, nanoseconds = struct.unpack("<2q", memory.read(offset & U64, 16))
    if seconds < 0 or not 0 <= nanoseconds < SECOND:
        raise failure(errno.EINVAL)
    return int(min(seconds, LONGEST_S) * SECOND + nanoseconds)


def _now(system: System, clock_id: int) -> int:
    method = CLOCKS.get(clock_id)
    if method is None:
        raise failure(errno.EINVAL)
    now_ns: int = getattr(system.clock, method)()
    return now_ns


def clock_gettime(system: System, memory: GuestMemory, clock_id: int, result: int) -> int:
    write_timespec(memory, result, _now(system, clock_id))
    return 0


def clock_getres(system: System, memory: GuestMemory, clock_id: int, result: int) -> int:
    _now(system, clock_id)
    if result:
        write_timespec(memory, result, 1)
    return 0


def gettimeofday(system: System, memory: GuestMemory, result: int, zone: int) -> int:
    if result:
        seconds, rest = divmod(system.clock.realtime_ns(), SECOND)
        memory.write(result, struct.pack("<2q", seconds, rest // 1000))
    if zone:
        memory.write(zone, bytes(8))
    return 0


def time_(system: System, memory: GuestMemory, result: int) -> int:
    seconds = system.clock.realtime_ns() // SECOND
    if result:
        memory.write(result, struct.pack("<q", seconds))
    return seconds


def nanosleep(system: System, memory: GuestMemory, request: int, remaining: int) -> int:
    duration_ns = read_timespec(memory, request)
    key = (35, request, remaining, duration_ns)
    return 0 if system.waits.go(system.clock, key, duration_ns) else -errno.EINTR


def clock_nanosleep(
    system: System, memory: GuestMemory, clock_id: int, flags: int, request: int, remaining: int
) -> int:
    duration_ns = read_timespec(memory, request)
    now_ns = _now(system, clock_id)
    if flags & TIMER_ABSTIME:
        duration_ns = max(duration_ns - now_ns, 0)
    key = (230, clock_id, flags, request, remaining)
    return 0 if system.waits.go(system.clock, key, duration_ns) else -errno.EINTR


def times(system: System, memory: GuestMemory, result: int) -> int:
    if result:
        ticks = system.clock.cpu_ns() * TICKS_PER_SECOND // SECOND
        memory.write(result, struct.pack("<4q", ticks, 0, 0, 0))
    return system.clock.monotonic_ns() * TICKS_PER_SECOND // SECOND


def getrusage(system: System, memory: GuestMemory, who: int, result: int) -> int:
    """The most memory that it has had is the most at any such call."""
    if who not in (0, 1, -1):
        raise failure(errno.EINVAL)
    used_us = resident = 0
    if who >= 0:
        used_us = system.clock.cpu_ns() // 1000
        if isinstance(memory, Resident):
            system.most_resident_bytes = max(system.most_resident_bytes, memory.resident_bytes())
        resident = system.most_resident_bytes // 1024
    memory.write(result, struct.pack("<5q", *divmod(used_us, 1_000_000), 0, 0, resident) + bytes(104))
    return 0
