"""A server natively, sandboxed, and natively once more, side by side under the same load."""

from __future__ import annotations

import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tmebox_bench import debian
from tmebox_bench.commands_in_turns import Program, in_turns
from tmebox_bench.machine import machine
from tmebox_bench.processors import cpus, kept_on, output_on_last
from tmebox_bench.runners import RunError
from tmebox_bench.servers import loads, streams
from tmebox_bench.servers.builds import KINDS, BuildError, built
from tmebox_bench.servers.loads import Load, LoadError
from tmebox_bench.servers.programs import SERVERS, Server
from tmebox_bench.servers.streams import StreamRow
from tmebox_bench.statistics import Spread, geomean, ratios, spread
from tmebox_bench.tables import Table

Progress = Callable[[str, int, int], None]

NAMES = (*SERVERS, streams.NAME)
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
GUEST_ROOT = "/srv"
KIND_OF = {"native": "native", "sandboxed": "sandboxed", "native again": "native"}
"""What runs side by side, and which build that is."""
SIDES = tuple(KIND_OF)
RUNS = 3
"""Of each side, in a round: others on the machine make one late by a multiple, or slower by a tenth. Each
round has new processes, since one keeps places in memory: they make it faster or slower by a twentieth."""


@dataclass(frozen=True)
class Row:
    """One load of one server. throughput, cpu: sandboxed over native, of the same run. cpu is the
    server's processor time for each request. again: another process of the native build over the native one,
    which no isolation explains. p99: of a round, of which each side's median run counts. best_p99,
    best_p99_again: of each side's least of all rounds."""

    server: str
    load: str
    native_per_s: Spread
    native_p99_ms: Spread
    native_cpu_us: Spread
    throughput: Spread
    throughput_again: Spread
    cpu: Spread
    cpu_again: Spread
    p99: Spread
    p99_again: Spread
    best_p99: float
    best_p99_again: float


@dataclass(frozen=True)
class ServerResults:
    """streams: of a program's stdin and stdout. missing: what could not be measured, and why. failures: what
    was not as it must be."""

    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    streams: list[StreamRow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def bench_servers(
    names: Sequence[str], *, rounds: int, seconds: float, progress: Progress | None = None
) -> ServerResults:
    """names: of NAMES; all, if there are none. Each load runs `seconds` a round and a build."""
    results = ServerResults(machine())
    show: Progress = progress or (lambda step, done, total: None)
    for name in names or NAMES:
        if name == streams.NAME:
            _measure_streams(rounds, results, show)
            continue
        server = SERVERS[name]
        lacking = {loads.missing(load) for load in server.loads.values()} - {""}
        if lacking:
            results.missing.extend(f"{name}: {text}" for text in sorted(lacking))
            continue
        try:
            _measure(server, rounds, seconds, results, show)
        except (debian.SourcesUnavailableError, BuildError, LoadError, RunError, OSError, EOFError) as error:
            results.missing.append(f"{name}: {error}")
    return results


def _measure_streams(rounds: int, results: ServerResults, show: Progress) -> None:
    try:
        results.streams.extend(streams.measure_streams(rounds, show))
    except (BuildError, RunError, OSError, subprocess.TimeoutExpired) as error:
        results.missing.append(f"{streams.NAME}: {error}")


def _measure(server: Server, rounds: int, seconds: float, results: ServerResults, show: Progress) -> None:
    programs = {}
    for index, kind in enumerate(KINDS):
        show(f"building {server.name}, {kind}", index, len(KINDS))
        programs[kind] = built(server.sources, kind)
    samples: dict[str, dict[str, list[Measured]]] = {
        name: {side: [] for side in SIDES} for name in server.loads
    }
    for number in range(rounds):
        sides = SIDES if number % 2 == 0 else SIDES[::-1]
        with running(server, {side: programs[KIND_OF[side]] for side in sides}) as started:
            transcripts = [server.transcript(one.port) for one in started.values()]
            if any(transcript != transcripts[0] for transcript in transcripts):
                results.failures.append(f"{server.name} answers differently when it is sandboxed")
                return
            for index, (name, load) in enumerate(server.loads.items()):
                show(f"{server.name}, {name}", number * len(server.loads) + index, rounds * len(server.loads))
                for side, measured in _round(load, started, seconds).items():
                    samples[name][side].append(measured)
    results.rows.extend(_row(server.name, name, found) for name, found in samples.items())


@dataclass(frozen=True)
class Measured:
    """One round of a load. per_s, cpu_us: of each run; cpu_us of the server, for each request."""

    per_s: tuple[float, ...]
    cpu_us: tuple[float, ...]
    p99_ms: float


def _round(load: Load, started: Mapping[str, Started], seconds: float) -> dict[str, Measured]:
    """Latency of each side alone, then throughput and processor time, in turns."""
    late_ms = _latencies(load, started, seconds / 2)
    runs = [_in_turns(load, started, seconds) for _ in range(RUNS)]
    return {
        side: Measured(
            per_s=tuple(run[side][0] for run in runs),
            cpu_us=tuple(run[side][1] for run in runs),
            p99_ms=late_ms[side],
        )
        for side in started
    }


def _in_turns(load: Load, started: Mapping[str, Started], seconds: float) -> dict[str, tuple[float, float]]:
    """Of each side: requests in a second of its turns, and the server's processor time for one, in us."""
    jobs = [load.job(one.port, seconds, seconds * len(started)) for one in started.values()]
    before_s = [one.cpu_s() for one in started.values()]
    taken = in_turns(
        [Program(job.command, one.process.pid) for one, job in zip(started.values(), jobs, strict=True)]
    )
    found = {}
    for (side, one), job, turns, cpu_s in zip(started.items(), jobs, taken, before_s, strict=True):
        requests = job.read(turns.output).requests
        if not requests:
            raise LoadError(f"not one request was answered in {seconds} s")
        found[side] = (requests / turns.spent_s, (one.cpu_s() - cpu_s) * 1e6 / requests)
    return found


def _latencies(load: Load, started: Mapping[str, Started], seconds: float) -> dict[str, float]:
    """The median p99 of several runs of each side, in ms. They follow each other, forwards and backwards."""
    found: dict[str, list[float]] = {side: [] for side in started}
    for number in range(RUNS):
        for side in list(started)[:: 1 if number % 2 == 0 else -1]:
            one = started[side]
            with _standing([other for other in started.values() if other is not one]):
                job = load.job(one.port, seconds, seconds)
                found[side].append(job.read(output_on_last(job.command, seconds * 20 + 30)).p99_ms)
    return {side: statistics.median(runs) for side, runs in found.items()}


@contextmanager
def _standing(idle: Sequence[Started]) -> Iterator[None]:
    """Keep servers that are not measured from running: they share a processor with the one that is, and look
    at their clocks ten to fifty times a second."""
    for one in idle:
        one.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in idle:
            one.process.send_signal(signal.SIGCONT)


def _row(server: str, load: str, samples: Mapping[str, Sequence[Measured]]) -> Row:
    """samples: of each of SIDES, by round."""

    def all_of(of: Callable[[Measured], Sequence[float]]) -> list[list[float]]:
        return [[number for one in samples[side] for number in of(one)] for side in SIDES]

    native, ours, again = all_of(lambda one: one.per_s)
    native_p99, our_p99, p99_again = all_of(lambda one: (one.p99_ms,))
    native_cpu, our_cpu, cpu_again = all_of(lambda one: one.cpu_us)
    return Row(
        server,
        load,
        native_per_s=spread(native),
        native_p99_ms=spread(native_p99),
        native_cpu_us=spread(native_cpu),
        throughput=ratios(ours, native),
        throughput_again=ratios(again, native),
        cpu=ratios(our_cpu, native_cpu),
        cpu_again=ratios(cpu_again, native_cpu),
        p99=ratios(our_p99, native_p99),
        p99_again=ratios(p99_again, native_p99),
        best_p99=min(our_p99) / min(native_p99),
        best_p99_again=min(p99_again) / min(native_p99),
    )


# -- processes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """A server that runs, and answers at `port`."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu_s(self) -> float:
        """Processor time of all of its threads so far."""
        spent_ns = 0
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with suppress(OSError):  # a thread may end meanwhile
                spent_ns += int((task / "schedstat").read_text().split()[0])
        return spent_ns / 1e9


@contextmanager
def running(server: Server, programs: Mapping[str, Path]) -> Iterator[dict[str, Started]]:
    """programs: by side. Raises BuildError for one that does not start."""
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        started = {}
        try:
            for side, program in programs.items():
                directory = Path(scratch) / side.replace(" ", "-")
                port, log = _free_port(), Path(scratch) / f"{directory.name}.log"
                root = GUEST_ROOT if KIND_OF[side] == "sandboxed" else str(directory)
                server.prepare(directory, port, root)
                command = [str(program), *server.arguments(root, port)]
                if KIND_OF[side] == "sandboxed":
                    command = [*_sandbox(server, directory, port), *command]
                started[side] = Started(_start(command, log), port)
                _wait_for(port, started[side].process, log)
            yield started
        finally:
            for one in started.values():
                _end(one.process)


def _sandbox(server: Server, directory: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "tmebox", "run", "--memory", server.memory]
    command += ["--files", str(server.files), "--listen", f"127.0.0.1:{port}"]
    for name, rights in server.grants:
        command += ["--dir", f"{directory / name}:{GUEST_ROOT}/{name}" + (":ro" if rights == "ro" else "")]
    return command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    ours = cpus()
    with log.open("wb") as output:
        return subprocess.Popen(
            [*kept_on(ours[:-1] or ours), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end_s and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    said = log.read_text(errors="replace")[-1000:]
    raise BuildError(f"{process.args!r:.300} does not start: {said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# -- results -----------------------------------------------------------------------------------------------


def servers_table(results: ServerResults) -> Table:
    """A row per load: native throughput, processor time and p99, and each over native; then the means."""
    rows: list[tuple[str, ...]] = [
        (
            f"{row.server}: {row.load}",
            f"{row.native_per_s.median:,.0f}/s",
            _ratio(row.throughput),
            _ratio(row.throughput_again),
            f"{row.native_cpu_us.median:.1f} µs",
            _ratio(row.cpu),
            _ratio(row.cpu_again),
            f"{row.native_p99_ms.median:.2f} ms",
            _ratio(row.p99),
            _ratio(row.p99_again),
            f"{row.best_p99:.3f}",
            f"{row.best_p99_again:.3f}",
        )
        for row in results.rows
    ]
    if rows:
        rows.append(_means(results.rows))
    headings = (
        "load",
        "native",
        "sandboxed throughput",
        "native again",
        "native CPU",
        "sandboxed CPU",
        "native again",
        "native p99",
        "sandboxed p99",
        "native again",
        "best p99",
        "native again",
    )
    return Table(headings, tuple(rows))


def _means(rows: Sequence[Row]) -> tuple[str, ...]:
    def mean(of: Callable[[Row], float]) -> str:
        return f"{geomean(map(of, rows)):.3f}"

    return (
        "geometric mean",
        "",
        mean(lambda row: row.throughput.median),
        mean(lambda row: row.throughput_again.median),
        "",
        mean(lambda row: row.cpu.median),
        mean(lambda row: row.cpu_again.median),
        "",
        mean(lambda row: row.p99.median),
        mean(lambda row: row.p99_again.median),
        mean(lambda row: row.best_p99),
        mean(lambda row: row.best_p99_again),
    )


def streams_table(results: ServerResults) -> Table:
    """A row per way to move bytes: native time, and sandboxed over native with its spread."""
    rows = tuple((row.name, f"{row.native_ns.median:,.0f} ns", _ratio(row.ratio)) for row in results.streams)
    return Table(("streams", "native", "sandboxed"), rows)


def _ratio(found: Spread) -> str:
    return f"{found.median:.3f} ({found.min:.2f}–{found.max:.2f})"


def to_json(results: ServerResults) -> str:
    """The fields of ServerResults, with "schema": 1."""
    return json.dumps({"schema": 1, **asdict(results)}, indent=1) + "\n"
