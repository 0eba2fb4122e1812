"""Child processes whose exit status is known, whatever the rest of the process does about its children.

Where SIGCHLD is ignored the kernel keeps no status, and a handler or thread that waits for any child can
take ours; `subprocess` then says 0. So a lost status is noticed, and the command, which must bear running
twice, runs again beneath a child of ours that waits for it and reports.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain.confine import SYSTEM, Reach, start

REPORTER = """
import os, signal, sys
for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores the last two
    signal.signal(number, signal.SIG_DFL)
go, report, *command = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
os.read(go, 1)
child = os.fork()
if child == 0:
    os.close(go)
    os.close(report)
    try:
        os.execv(command[0], command)
    finally:
        os._exit(127)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
os.write(report, str(status).encode())
"""
"""Arguments: a descriptor to wait at until limits are set, one to write the status to, the command."""


@dataclass(frozen=True)
class Ended:
    """`status` as subprocess has it: an exit code, or minus the signal. `late`: it took too long."""

    status: int
    late: bool


def run(
    command: Sequence[str | os.PathLike[str]],
    reach: Reach,
    *,
    begun: Callable[[int], None] | None = None,
    timeout_s: float | None = None,
    again: Callable[[], None] | None = None,
    **options: Any,
) -> Ended:
    """Run a program, given by its path, to its end, within what it may reach: which is also itself.
    begun(process number) is called at once, for limits.
    timeout_s: without the time in which it waits for a processor, where the kernel counts that and the status
    comes without a reporter.
    again() is called before it runs once more, to forget what it wrote. options: those of Popen.

    Raises CompileError if it cannot be known how it ended.
    """
    words = [os.fspath(word) for word in command]
    reach = reach.executing(os.path.realpath(words[0]))
    if signal.getsignal(signal.SIGCHLD) != signal.SIG_IGN:
        ended = _run_once(words, reach, begun, timeout_s, options)
        if ended is not None:
            return ended
        if again is not None:
            again()
    return _run_reported(words, reach, begun, timeout_s, options)


def _run_once(
    command: list[str],
    reach: Reach,
    begun: Callable[[int], None] | None,
    timeout_s: float | None,
    options: dict[str, Any],
) -> Ended | None:
    """None if somebody else got its status."""
    process = start(command, reach, **options)
    try:
        if begun is not None:
            begun(process.pid)
        is_late, status = _wait_for(process, timeout_s)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if is_late:
        return Ended(-signal.SIGKILL, True)
    return None if status is None else Ended(status, False)


def _wait_for(process: subprocess.Popen[Any], timeout_s: float | None) -> tuple[bool, int | None]:
    """Whether it took too long, and was stopped; its status, as `_wait` has it."""
    try:
        descriptor = os.pidfd_open(process.pid) if timeout_s is not None else -1
    except (OSError, AttributeError):  # it is gone, or the kernel has no such descriptors
        with _Watched(process.kill, timeout_s) as late:
            status = _wait(process)
        return late.is_set(), status
    is_late = False
    if timeout_s is not None:
        try:
            is_late = not _ends_in_time(process.pid, descriptor, timeout_s)
        finally:
            os.close(descriptor)
    if is_late:
        process.kill()
    return is_late, _wait(process)


_LOOK_S = 0.05
"""Between two looks at how long a process has waited, at least: where it is late, the machine is busy."""


def _ends_in_time(pid: int, descriptor: int, timeout_s: float) -> bool:
    """Whether it ends within so many seconds, but for those in which it waits for a processor: how many
    others have work to do is nothing that it could do about."""
    start = time.monotonic()
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    left_s = timeout_s
    while left_s > 0:
        if waiting.poll(max(left_s, _LOOK_S) * 1000):
            return True
        left_s = timeout_s + _queued_s(pid) - (time.monotonic() - start)
    return False


def _queued_s(pid: int) -> float:
    """Seconds that a process's first thread was ready to run, and something else ran."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # not every kernel counts it
        return 0.0


def _wait(process: subprocess.Popen[Any]) -> int | None:
    try:
        _, status = os.waitpid(process.pid, 0)
    except ChildProcessError:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode


def _run_reported(
    command: list[str],
    reach: Reach,
    begun: Callable[[int], None] | None,
    timeout_s: float | None,
    options: dict[str, Any],
) -> Ended:
    if not sys.executable:
        raise CompileError(
            "the compiler's exit status is lost, because this process ignores SIGCHLD or waits for any child"
        )
    go_reading, go_writing = os.pipe()
    reading, writing = os.pipe()
    reporter = [sys.executable, "-I", "-S", "-c", REPORTER, str(go_reading), str(writing), *command]
    try:
        process = start(
            reporter, _with_python(reach), pass_fds=(go_reading, writing), start_new_session=True, **options
        )
        os.close(writing)
        writing = -1
        with _Watched(lambda: _kill_group(process), timeout_s) as late:
            try:
                if begun is not None:
                    begun(process.pid)
                os.write(go_writing, b"x")
                report = _read_all(reading)
            finally:
                _kill_group(process)
                process.wait()
    finally:
        for descriptor in (go_reading, go_writing, reading, writing):
            if descriptor >= 0:
                os.close(descriptor)
    if late.is_set():
        return Ended(-signal.SIGKILL, True)
    # Killed together with its reporter: by the system, for want of memory.
    return Ended(int(report) if report else -signal.SIGKILL, False)


def _with_python(reach: Reach) -> Reach:
    """What the reporter needs of this machine, too."""
    prefixes = (sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)))
    return reach.executing(*prefixes, *SYSTEM)


def _kill_group(process: subprocess.Popen[Any]) -> None:
    """The reporter leads a group of its own, which the command is in."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _read_all(descriptor: int) -> bytes:
    found = b""
    while piece := os.read(descriptor, 64):
        found += piece
    return found


class _Watched:
    """Stops a process that takes too long, where nothing tells its end. By a timer, because waiting with a
    timeout polls, and would add up to 50 ms to each run."""

    def __init__(self, stop: Callable[[], None], timeout_s: float | None) -> None:
        self._late = threading.Event()
        self._timer: threading.Timer | None = None
        if timeout_s is not None:
            self._timer = threading.Timer(timeout_s, self._stop, (stop,))
            self._timer.daemon = True

    def _stop(self, stop: Callable[[], None]) -> None:
        self._late.set()
        stop()

    def __enter__(self) -> threading.Event:
        if self._timer is not None:
            self._timer.start()
        return self._late

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
