"""Load generators: `wrk` for HTTP, `redis-benchmark` for Redis. Both are packages of Debian's."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

CONNECTIONS = 16


class LoadError(Exception):
    """The load generator failed, or saw errors. The message says which."""


@dataclass(frozen=True)
class Sample:
    """requests: how many were answered. p99_ms: what one request in a hundred took longer than."""

    requests: int
    requests_per_s: float
    p99_ms: float


@dataclass(frozen=True)
class Job:
    """A command that loads a server, and what reads its output: that raises LoadError."""

    command: list[str]
    read: Callable[[str], Sample]


class Load(Protocol):
    @property
    def tool(self) -> str: ...

    def job(self, port: int, seconds: float, of_s: float) -> Job:
        """Work for about `seconds`, within `of_s` on the clock: it may be stopped for the rest."""


def missing(load: Load) -> str:
    """What to install, or nothing."""
    if not load.tool:
        return ""
    packages = {"wrk": "wrk", "redis-benchmark": "redis-tools"}
    return "" if shutil.which(load.tool) else f"there is no {load.tool}: install {packages[load.tool]}"


_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Wrk:
    """GET of one path, on connections that are kept alive. An answer that takes half of the run is an error,
    in a run of less than 4 s one of 2 s."""

    path: str
    tool: str = "wrk"

    def job(self, port: int, seconds: float, of_s: float) -> Job:
        whole = max(1, round(of_s))
        late = max(2, whole // 2)
        options = ["-t1", f"-c{CONNECTIONS}", f"-d{whole}s", f"--timeout={late}s", "--latency"]
        return Job(["wrk", *options, f"http://127.0.0.1:{port}{self.path}"], parse_wrk)


def parse_wrk(text: str) -> Sample:
    """Raises LoadError for output with errors in it, or without figures."""
    errors = re.search(r"^\s*(Non-2xx or 3xx responses|Socket errors).*$", text, re.MULTILINE)
    if errors:
        raise LoadError(f"wrk: {errors[0].strip()}")
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", text, re.MULTILINE)
    late = re.search(r"^\s*99%\s*([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    count = re.search(r"^\s*(\d+) requests in ", text, re.MULTILINE)
    if rate is None or late is None or count is None:
        raise LoadError(f"wrk said {text[-300:]!r}")
    return Sample(int(count[1]), float(rate[1]), float(late[1]) * _UNITS_MS[late[2]])


@dataclass(frozen=True)
class Echo:
    """Messages of one size, each connection with one under way. program: a client of ours, built natively."""

    size_bytes: int
    program: Callable[[], Path]
    tool: str = ""

    def job(self, port: int, seconds: float, of_s: float) -> Job:
        words = [str(self.program()), str(port), str(CONNECTIONS), str(self.size_bytes), str(of_s)]
        return Job(words, parse_echo)


def parse_echo(text: str) -> Sample:
    """Raises LoadError."""
    try:
        count, per_s, late_ms = text.split()
        return Sample(int(count), float(per_s), float(late_ms))
    except ValueError:
        raise LoadError(f"the echo client said {text[-300:]!r}") from None


PER_SECOND_GUESS = 60_000
"""Requests of depth 1; with it a run takes about the time that is wanted. Deeper pipelines answer more."""


@dataclass(frozen=True)
class RedisBenchmark:
    """One command, so many at a time on each connection."""

    command: str
    depth: int
    tool: str = "redis-benchmark"

    def job(self, port: int, seconds: float, of_s: float) -> Job:
        count = int(PER_SECOND_GUESS * seconds) * (1 if self.depth == 1 else 6)
        if self.command == "MSET":
            count //= 3
        options = ["-h", "127.0.0.1", "-p", str(port), "-c", str(CONNECTIONS), "-n", str(count), "--csv"]
        options += ["-P", str(self.depth), "-t", self.command.lower(), "-r", "10000"]
        return Job(["redis-benchmark", *options], partial(parse_redis_benchmark, count=count))


def parse_redis_benchmark(text: str, count: int) -> Sample:
    """The last row of its CSV, of so many requests. Raises LoadError."""
    rows = list(csv.DictReader(io.StringIO(text[text.find('"test"') :])))
    try:
        return Sample(count, float(rows[-1]["rps"]), float(rows[-1]["p99_latency_ms"]))
    except (IndexError, KeyError, ValueError):
        raise LoadError(f"redis-benchmark said {text[-300:]!r}") from None
