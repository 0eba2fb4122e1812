"""What the load generators say, and what becomes of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tmebox_bench.servers import clients
from tmebox_bench.servers.loads import LoadError, Sample, parse_redis_benchmark, parse_wrk
from tmebox_bench.servers.measure import Measured, ServerResults, _row, servers_table
from tmebox_bench.servers.turns import in_turns

WRK = """\
  Latency Distribution
     90%  800.00us
     99%    1.25ms
  30394 requests in 2.00s, 37.04MB read
Requests/sec:  15181.89
"""
CSV = '"test","rps","avg_latency_ms","p99_latency_ms"\n"SET","27777.78","0.398","3.255"\n'


def test_wrk_is_read() -> None:
    assert parse_wrk(WRK) == Sample(30394, 15181.89, 1.25)


@pytest.mark.parametrize("text", ["", WRK + "  Non-2xx or 3xx responses: 7\n", WRK.replace("99%", "98%")])
def test_a_run_with_errors_or_without_figures_is_none(text: str) -> None:
    with pytest.raises(LoadError):
        parse_wrk(text)


def test_redis_benchmark_is_read() -> None:
    assert parse_redis_benchmark(CSV, 40_000) == Sample(40_000, 27777.78, 3.255)
    with pytest.raises(LoadError):
        parse_redis_benchmark("Could not connect\n", 1)


def test_rounds_are_compared_side_by_side() -> None:
    native = [Measured(100.0, 5.0, 1.0), Measured(50.0, 10.0, 2.0)]
    sandboxed = [Measured(99.0, 6.0, 1.5), Measured(50.0, 10.0, 2.0)]
    again = [Measured(102.0, 5.0, 1.0), Measured(50.0, 10.5, 4.0)]
    row = _row("nginx", "1 KB", {"native": native, "sandboxed": sandboxed, "native again": again})
    assert (row.throughput.min, row.throughput.max) == (0.99, 1.0)
    assert (row.p99.max, row.cpu.max) == (1.5, 1.2)
    assert (row.throughput_again.max, row.cpu_again.max, row.p99_again.max) == (1.02, 1.05, 2.0)
    assert (row.best_p99, row.best_p99_again) == (1.5, 1.0)
    table = servers_table(ServerResults({}, [row]))
    assert [line[0] for line in table.rows] == ["nginx: 1 KB", "geometric mean"]
    assert {len(line) for line in table.rows} == {len(table.headings)}
    assert not servers_table(ServerResults({})).rows


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


def test_loads_run_one_at_a_time_and_their_turns_are_counted() -> None:
    """Two that need 0.2 s of a processor each: what each is said to have taken is not the time of both."""
    command = [sys.executable, "-c", SPIN, "0.2"]
    with idle_servers(2) as servers:
        begun = time.monotonic()
        taken = in_turns([(server.pid, command) for server in servers])
        passed = time.monotonic() - begun
        assert all(int(one.output) > 0 for one in taken)
        assert all(one.spent_s >= 0.2 for one in taken)
        assert sum(one.spent_s for one in taken) <= passed
        assert "T" not in map(state_of, servers)


def test_a_load_that_fails_is_an_error_and_nothing_stays_stopped() -> None:
    with idle_servers(2) as servers:
        commands = [(servers[0].pid, ["false"]), (servers[1].pid, ["sleep", "0.2"])]
        with pytest.raises(LoadError, match="false ended with 1"):
            in_turns(commands)
        assert "T" not in map(state_of, servers)


def test_commands_are_in_rediss_protocol() -> None:
    assert clients.command(b"GET", b"\r\n") == b"*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n"
