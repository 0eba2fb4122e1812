"""Programs that are measured in turns."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tmebox_bench.commands_in_turns import Program, in_turns
from tmebox_bench.runners import RunError

SPIN = """
import sys, time
end, count = time.thread_time() + float(sys.argv[1]), 0
while time.thread_time() < end:
    count += 1
print(count)
"""


@contextmanager
def idle_servers(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    servers = [subprocess.Popen(["sleep", "60"]) for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            server.kill()
            server.wait()


def state_of(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_programs_run_one_at_a_time_and_their_turns_are_counted() -> None:
    """Two that need 0.2 s of a processor each: what each is said to have taken is not the time of both."""
    command = [sys.executable, "-c", SPIN, "0.2"]
    with idle_servers(2) as servers:
        begun = time.monotonic()
        taken = in_turns([Program(command, server.pid) for server in servers])
        passed = time.monotonic() - begun
        assert all(int(one.output) > 0 for one in taken)
        assert all(one.spent_s >= 0.2 for one in taken)
        assert sum(one.spent_s for one in taken) <= passed
        assert "T" not in map(state_of, servers)


def test_a_program_that_fails_is_an_error_and_nothing_stays_stopped() -> None:
    with idle_servers(2) as servers:
        programs = [Program(["false"], servers[0].pid), Program(["sleep", "0.2"], servers[1].pid)]
        with pytest.raises(RunError, match="false ended with 1"):
            in_turns(programs)
        assert "T" not in map(state_of, servers)


def test_programs_run_where_they_should(tmp_path: Path) -> None:
    (one,) = in_turns([Program(["sh", "-c", "pwd; echo noise >&2"], cwd=tmp_path)])
    assert one.output == f"{tmp_path}\n"


ENDED = """
import sys
from tmebox_bench.command import prepared
from tmebox_bench.commands_in_turns import Program, in_turns
prepared()
in_turns([Program(["sleep", number]) for number in sys.argv[1:]])
"""


def processes(*command: str) -> list[int]:
    wanted = "\0".join(command).encode() + b"\0"
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes() == wanted:
                found.append(int(path.parent.name))
    return found


def test_who_ends_a_benchmark_ends_what_takes_turns() -> None:
    """Two that would sleep for minutes, of which one is stopped at any moment."""
    commands = [("sleep", f"300.{os.getpid()}{number}") for number in range(2)]
    ending = [sys.executable, "-c", ENDED, *(number for _, number in commands)]
    with subprocess.Popen(ending) as benchmark:
        end = time.monotonic() + 30
        while not all(processes(*command) for command in commands):
            assert benchmark.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        benchmark.terminate()
        assert benchmark.wait(30) == 128 + signal.SIGTERM
    assert not any(processes(*command) for command in commands)
