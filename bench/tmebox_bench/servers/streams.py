"""What a program's stdin and stdout cost, natively and sandboxed: a byte at a time, and much at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tmebox_bench.processors import cpus, kept_on
from tmebox_bench.runners import RunError
from tmebox_bench.servers.builds import KINDS, Sources, built
from tmebox_bench.statistics import Spread, ratios, spread

NAME = "streams"
IN_BYTES, OUT_BYTES = 62_000_000, 39_000_000
WRITES = 300
"""In a run of `streams.c`. All of its runs fit into a pipe: nobody has to read while it is measured."""
TIMEOUT_S = 60.0


def _steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    return [(tree, [compiler, "-O2", "streams.c", "-o", "streams"])]


SOURCES = Sources(NAME, NAME, _steps, ((Path(__file__).parent / "streams.c", "streams.c"),), own=True)


@dataclass(frozen=True)
class Work:
    """arguments: of the program. through: whether its streams are a `file`, a `pipe` or /dev/`null`. `unread`
    is a pipe that nobody empties meanwhile: to wake a reader costs more than a write, at times of its own."""

    name: str
    arguments: tuple[str, ...]
    through: str


BULK = ("bulk", str(IN_BYTES), str(OUT_BYTES))
WORKS = (
    Work("a byte to a file", ("byte", str(WRITES)), "file"),
    Work("a byte to a pipe", ("byte", str(WRITES)), "unread"),
    Work("a byte to /dev/null", ("byte", str(WRITES)), "null"),
    Work("62 MB in, 39 MB out, files", BULK, "file"),
    Work("62 MB in, 39 MB out, pipes", BULK, "pipe"),
)


@dataclass(frozen=True)
class StreamRow:
    """native_ns: for a write, or for all bytes. ratio: sandboxed over native, rounds compared in pairs."""

    name: str
    native_ns: Spread
    ratio: Spread


def measure_streams(rounds: int, show: Callable[[str, int, int], None]) -> list[StreamRow]:
    """Raises BuildError, RunError."""
    programs = {kind: built(SOURCES, kind) for kind in KINDS}
    rows = []
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        source = Path(scratch) / "in"
        source.write_bytes(bytes(range(250)) * (IN_BYTES // 250))
        for index, work in enumerate(WORKS):
            samples: dict[str, list[float]] = {kind: [] for kind in KINDS}
            for turn in range(rounds):
                show(work.name, index, len(WORKS))
                for kind in KINDS if turn % 2 == 0 else KINDS[::-1]:
                    samples[kind].append(run(programs[kind], kind, work, source))
            native, sandboxed = samples["native"], samples["sandboxed"]
            rows.append(StreamRow(work.name, spread(native), ratios(sandboxed, native)))
    return rows


def run(program: Path, kind: str, work: Work, source: Path) -> float:
    """One figure of the program's. Raises RunError."""
    command = [str(program), *work.arguments]
    if kind == "sandboxed":
        command = [sys.executable, "-m", "tmebox", "run", *command]
    ours = cpus()
    with _streams(work.through, source) as (stdin, stdout):
        done = subprocess.run(
            [*kept_on(ours[:-1] or ours), *command],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    try:
        return float(done.stderr)
    except ValueError:
        raise RunError(f"{work.name}: {kind} said {done.stderr[-500:]!r}") from None


@contextmanager
def _streams(through: str, source: Path) -> Iterator[tuple[int, int]]:
    """stdin and stdout. What fills and empties pipes has the last processor."""
    if through == "unread":
        read, write = os.pipe()
        with open(read, "rb") as stdin, open(write, "wb") as stdout:
            yield stdin.fileno(), stdout.fileno()
        return
    if through == "pipe":
        other = kept_on(cpus()[-1:])
        with (
            subprocess.Popen([*other, "cat", str(source)], stdout=subprocess.PIPE) as filling,
            subprocess.Popen([*other, "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as emptying,
        ):
            assert filling.stdout is not None and emptying.stdin is not None
            try:
                yield filling.stdout.fileno(), emptying.stdin.fileno()
            finally:
                filling.kill()
                emptying.kill()
        return
    target = Path("/dev/null") if through == "null" else source.with_name("out")
    with source.open("rb") as stdin, target.open("wb") as stdout:
        yield stdin.fileno(), stdout.fileno()
