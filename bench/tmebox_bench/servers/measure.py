"""Both builds of a server, running side by side, and loaded in turns."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tmebox_bench import debian
from tmebox_bench.machine import machine
from tmebox_bench.processors import cpus, kept_on, output_on_last
from tmebox_bench.runners import RunError
from tmebox_bench.servers import loads, streams
from tmebox_bench.servers.builds import KINDS, BuildError, built
from tmebox_bench.servers.loads import Load, LoadError, Sample
from tmebox_bench.servers.programs import SERVERS, Server
from tmebox_bench.servers.streams import StreamRow
from tmebox_bench.statistics import Spread, geomean, ratios, spread
from tmebox_bench.tables import Table

Progress = Callable[[str, int, int], None]

NAMES = (*SERVERS, streams.NAME)
START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
GUEST_ROOT = "/srv"
TURNS = ("native", "sandboxed", "native again")
"""What is measured in a round: forwards in one, backwards in the next."""
KIND_OF = {"native": "native", "sandboxed": "sandboxed", "native again": "native"}


@dataclass(frozen=True)
class Row:
    """One load of one server. throughput, p99, cpu: sandboxed over native, rounds compared side by side. cpu
    is the server's processor time for each request, which other work on the machine disturbs least. noise,
    p99_noise: throughput and p99 of the native build, measured once more in each round, over itself. best,
    best_cpu, best_noise: of the greatest throughput and of the least processor time of all rounds, which a
    machine of two speeds changes least."""

    server: str
    load: str
    native_per_s: Spread
    native_p99_ms: Spread
    native_cpu_us: Spread
    throughput: Spread
    p99: Spread
    cpu: Spread
    noise: Spread
    p99_noise: Spread
    best: float
    best_cpu: float
    best_noise: float


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
    with running(server, programs) as started:
        transcripts = [server.transcript(started[kind].port) for kind in KINDS]
        if transcripts[0] != transcripts[1]:
            results.failures.append(f"{server.name} answers differently when it is sandboxed")
            return
        for index, (name, load) in enumerate(server.loads.items()):
            samples: dict[str, list[Measured]] = {turn: [] for turn in TURNS}
            for number in range(rounds):
                show(f"{server.name}, {name}", index, len(server.loads))
                for turn in TURNS if number % 2 == 0 else TURNS[::-1]:
                    kind = KIND_OF[turn]
                    with _standing([one for other, one in started.items() if other != kind]):
                        samples[turn].append(_load(load, started[kind], seconds))
            results.rows.append(_row(server.name, name, samples))


@dataclass(frozen=True)
class Measured:
    """One run of a load. cpu_us: of the server, for each request."""

    sample: Sample
    cpu_us: float


def _load(load: Load, started: Started, seconds: float) -> Measured:
    before = started.cpu_s()
    sample = load.run(started.port, seconds, output_on_last)
    if not sample.requests:
        raise LoadError(f"not one request was answered in {seconds} s")
    return Measured(sample, (started.cpu_s() - before) * 1e6 / sample.requests)


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
    """samples: of each of TURNS."""

    def all_of(of: Callable[[Measured], float]) -> list[list[float]]:
        return [[of(one) for one in samples[turn]] for turn in TURNS]

    native, ours, again = all_of(lambda one: one.sample.requests_per_s)
    native_p99, our_p99, p99_again = all_of(lambda one: one.sample.p99_ms)
    native_cpu, our_cpu, _ = all_of(lambda one: one.cpu_us)
    return Row(
        server,
        load,
        native_per_s=spread(native),
        native_p99_ms=spread(native_p99),
        native_cpu_us=spread(native_cpu),
        throughput=ratios(ours, native),
        p99=ratios(our_p99, native_p99),
        cpu=ratios(our_cpu, native_cpu),
        noise=ratios(again, native),
        p99_noise=ratios(p99_again, native_p99),
        best=max(ours) / max(native),
        best_cpu=min(our_cpu) / min(native_cpu),
        best_noise=max(again) / max(native),
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
    """Both builds, by kind, while they run. Raises BuildError for one that does not start."""
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        started = {}
        try:
            for kind, program in programs.items():
                directory = Path(scratch) / kind
                port, log = _free_port(), Path(scratch) / f"{kind}.log"
                root = str(directory) if kind == "native" else GUEST_ROOT
                server.prepare(directory, port, root)
                command = [str(program), *server.arguments(root, port)]
                if kind == "sandboxed":
                    command = [*_sandbox(server, directory, port), *command]
                started[kind] = Started(_start(command, log), port)
                _wait_for(port, started[kind].process, log)
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
    """A row per load: native throughput, p99 and processor time, and each over native; then the means."""
    rows: list[tuple[str, ...]] = [
        (
            f"{row.server}: {row.load}",
            f"{row.native_per_s.median:,.0f}/s",
            _ratio(row.throughput),
            _ratio(row.noise),
            f"{row.best:.3f}",
            f"{row.best_noise:.3f}",
            f"{row.native_p99_ms.median:.2f} ms",
            _ratio(row.p99),
            _ratio(row.p99_noise),
            f"{row.native_cpu_us.median:.1f} µs",
            _ratio(row.cpu),
            f"{row.best_cpu:.3f}",
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
        "best",
        "native again",
        "p99",
        "sandboxed p99",
        "native again",
        "native CPU",
        "sandboxed CPU",
        "best",
    )
    return Table(headings, tuple(rows))


def _means(rows: Sequence[Row]) -> tuple[str, ...]:
    def mean(of: Callable[[Row], float]) -> str:
        return f"{geomean(map(of, rows)):.3f}"

    return (
        "geometric mean",
        "",
        mean(lambda row: row.throughput.median),
        mean(lambda row: row.noise.median),
        mean(lambda row: row.best),
        mean(lambda row: row.best_noise),
        "",
        mean(lambda row: row.p99.median),
        mean(lambda row: row.p99_noise.median),
        "",
        mean(lambda row: row.cpu.median),
        mean(lambda row: row.best_cpu),
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
