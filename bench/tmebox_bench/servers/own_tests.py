"""The servers' own unit tests in C, which start no other process. What drives a server from Perl or Tcl is
not among them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tmebox_bench.servers.builds import Sources, built
from tmebox_bench.servers.programs import JOBS, LIGHTTPD, NO_AUTOTOOLS, REDIS

TIMEOUT_S = 600.0
LIGHTTPD_TESTS = ("test_common", "test_configfile", "test_mod")
WITHOUT_SSI = ["sed", "-i", r"/^ *test_mod_ssi();$/d", "t/test_mod.c"]
"""It runs `expr 1 + 1`, by fork."""


def _lighttpd_steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    targets = [f"t/{name}" for name in LIGHTTPD_TESTS]
    before = LIGHTTPD.sources.steps(tree, compiler, kind)[:-1]
    make = ["make", f"-j{JOBS}", *NO_AUTOTOOLS, *targets]
    return [*before, (tree / "src", WITHOUT_SSI), (tree / "src", make)]


def _redis_steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    ((directory, command),) = REDIS.sources.steps(tree, compiler, kind)
    return [(directory, [*command, "REDIS_CFLAGS=-DREDIS_TEST"])]


@dataclass(frozen=True)
class Suite:
    """Programs of one build, with their arguments. Each gets an empty directory, which it sees as /work."""

    sources: Sources
    runs: tuple[tuple[str, ...], ...]
    memory: str = "256MiB"


_LIGHTTPD_SOURCES = replace(
    LIGHTTPD.sources,
    program=f"src/t/{LIGHTTPD_TESTS[0]}",
    beside=tuple(f"src/t/{name}" for name in LIGHTTPD_TESTS[1:]),
    steps=_lighttpd_steps,
)
SUITES = {
    "lighttpd": Suite(_LIGHTTPD_SOURCES, tuple((name,) for name in LIGHTTPD_TESTS)),
    "redis": Suite(replace(REDIS.sources, steps=_redis_steps), (("redis-server", "test", "all"),), "1GiB"),
}


@dataclass(frozen=True)
class Ran:
    exit_code: int
    output: str


def run_suite(suite: Suite, kind: str, directory: Path) -> list[Ran]:
    """Each program's end. Raises SourcesUnavailableError, BuildError, subprocess.TimeoutExpired."""
    folder = built(suite.sources, kind).parent
    found = []
    for name, *arguments in suite.runs:
        command = [str(folder / name), *arguments]
        if kind == "sandboxed":
            grants = ["--dir", f"{directory}:/tmp", "--memory", suite.memory]
            command = [sys.executable, "-m", "tmebox", "run", *grants, "--", *command]
        done = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        found.append(Ran(done.returncode, done.stdout))
    return found
