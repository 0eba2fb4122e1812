"""What the load generators say, and what becomes of it."""

from __future__ import annotations

import pytest

from tmebox_bench.servers import clients
from tmebox_bench.servers.loads import LoadError, Sample, Wrk, parse_redis_benchmark, parse_wrk
from tmebox_bench.servers.measure import Measured, ServerResults, _row, servers_table

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


@pytest.mark.parametrize(("of_s", "late"), [(0.5, "2s"), (4.0, "2s"), (16.0, "8s")])
def test_an_answer_is_late_after_half_of_a_long_run(of_s: float, late: str) -> None:
    command = Wrk("/1.bin").job(80, 1.0, of_s).command
    assert f"--timeout={late}" in command and f"-d{max(1, round(of_s))}s" in command


@pytest.mark.parametrize("text", ["", WRK + "  Non-2xx or 3xx responses: 7\n", WRK.replace("99%", "98%")])
def test_a_run_with_errors_or_without_figures_is_none(text: str) -> None:
    with pytest.raises(LoadError):
        parse_wrk(text)


def test_redis_benchmark_is_read() -> None:
    assert parse_redis_benchmark(CSV, 40_000) == Sample(40_000, 27777.78, 3.255)
    with pytest.raises(LoadError):
        parse_redis_benchmark("Could not connect\n", 1)


def test_runs_are_compared_side_by_side() -> None:
    native = [Measured((100.0, 80.0), (5.0, 8.0), 1.0), Measured((50.0, 40.0), (10.0, 12.0), 2.0)]
    sandboxed = [Measured((99.0, 80.0), (6.0, 8.0), 1.5), Measured((50.0, 36.0), (10.0, 12.0), 2.0)]
    again = [Measured((102.0, 80.0), (5.0, 8.0), 1.0), Measured((50.0, 40.0), (10.5, 12.0), 4.0)]
    row = _row("nginx", "1 KB", {"native": native, "sandboxed": sandboxed, "native again": again})
    assert (row.throughput.min, row.throughput.median, row.throughput.max) == (0.9, 0.995, 1.0)
    assert (row.p99.max, row.cpu.max) == (1.5, 1.2)
    assert (row.throughput_again.max, row.cpu_again.max, row.p99_again.max) == (1.02, 1.05, 2.0)
    assert (row.best_p99, row.best_p99_again) == (1.5, 1.0)
    table = servers_table(ServerResults({}, [row]))
    assert [line[0] for line in table.rows] == ["nginx: 1 KB", "geometric mean"]
    assert {len(line) for line in table.rows} == {len(table.headings)}
    assert not servers_table(ServerResults({})).rows


def test_commands_are_in_rediss_protocol() -> None:
    assert clients.command(b"GET", b"\r\n") == b"*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n"
