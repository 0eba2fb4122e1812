"""`tmebox bench build`: how long compiling and verifying take, on real sources.

Compiling a C file of about a thousand lines, with the sandboxed C library there already, ends in a verified,
loaded module. Verifying is loading a module file, by far the most of which is the verifier: once in a process
that knows nothing, with an empty cache, and once more in the same process. In between the verifier alone is
timed, as at another address: it has seen every encoding, but remembers no verdict.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tmebox
from tmebox.errors import TmeboxError
from tmebox_bench import columns, debian, suite, variants
from tmebox_bench.machine import machine
from tmebox_bench.statistics import Spread, spread

ROUNDS = 5
COMPILED = ("bzip2", "blocksort.c")
"""A Debian source package, and its file of a thousand lines."""
VERIFIED = ("sqlite", "lua", "regex")
"""Programs of the suite, the largest first; the first that can be had is verified."""
LOAD_TIMEOUT_S = 300.0
_LOAD = """\
import json, sys, time
from tmebox import Module
from tmebox.verify import verdicts
verify = verdicts.verify
def verify_timed(*arguments, **named):
    global verify_ns
    start_ns = time.perf_counter_ns()
    verdict = verify(*arguments, **named)
    verify_ns = time.perf_counter_ns() - start_ns
    return verdict
def load():
    start_ns = time.perf_counter_ns()
    module = Module.load(sys.argv[1])
    return time.perf_counter_ns() - start_ns
verdicts.verify = verify_timed
first_ns = load()
verdicts._VERDICTS.clear()
load()
known_ns = verify_ns
print(json.dumps([ns / 1e9 for ns in (first_ns, known_ns, load())]))
"""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BuildResults:
    """compile_s: seconds to compile and verify a file of `lines` lines. verify_bytes_per_s: of the machine
    code of `program`, loaded "cold" and "again", and verified where its encodings are "known". None, 0 and
    empty where it is missing; `missing` says why."""

    machine: dict[str, str]
    compile_s: Spread | None = None
    lines: int = 0
    program: str = ""
    text_bytes: int = 0
    verify_bytes_per_s: dict[str, Spread] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def bench_build(*, progress: Progress | None = None) -> BuildResults:
    """Measure both; what cannot be had on this machine is missing."""
    show: Progress = progress or (lambda step, done, total: None)
    missing: list[str] = []
    compile_s, lines = _compile(missing, show)
    program, text_bytes, speeds = _verify(missing, show)
    return BuildResults(machine(), compile_s, lines, program, text_bytes, speeds, tuple(missing))


def to_json(results: BuildResults) -> str:
    """The fields of BuildResults, with "schema": 1."""
    return json.dumps({"schema": 1, **asdict(results)}, indent=1) + "\n"


def from_json(text: str) -> BuildResults:
    """Raises ValueError for what `to_json` did not write."""
    try:
        document = json.loads(text)
        if document.pop("schema") != 1:
            raise ValueError("not schema 1")
        taken = document.pop("compile_s")
        speeds = {how: Spread(**fields) for how, fields in document.pop("verify_bytes_per_s").items()}
        missing = tuple(document.pop("missing"))
        return BuildResults(
            **document,
            compile_s=None if taken is None else Spread(**taken),
            verify_bytes_per_s=speeds,
            missing=missing,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a result of bench build: {error!r}") from None


def _compile(missing: list[str], show: Progress) -> tuple[Spread | None, int]:
    package, name = COMPILED
    try:
        source = debian.fetch(package) / name
        lines = source.read_text(errors="replace").count("\n")
        samples = []
        for number in range(ROUNDS + 1):
            show("compiling", number, ROUNDS + 1)
            start_ns = time.perf_counter_ns()
            tmebox.compile(source, defines=[f"ROUND={number}"])  # so that no round is another's
            if number:  # the first one builds the C library, if it is not there
                samples.append((time.perf_counter_ns() - start_ns) / 1e9)
    except (debian.SourcesUnavailableError, OSError, TmeboxError) as error:
        missing.append(f"compiling {name} of {package}: {error}")
        return None, 0
    return spread(samples), lines


def _verify(missing: list[str], show: Progress) -> tuple[str, int, dict[str, Spread]]:
    column = columns.BY_KEY["gs-code"]
    for name in VERIFIED:
        show("building", VERIFIED.index(name), len(VERIFIED))
        program = next(program for program in suite.PROGRAMS if program.name == name)
        try:
            (variant,) = variants.variants(program, column, program.sources())
        except (debian.SourcesUnavailableError, variants.MissingError, TmeboxError) as error:
            missing.append(f"verifying {name}: {error}")
            continue
        samples = []
        for number in range(ROUNDS):
            show("verifying", number, ROUNDS)
            samples.append(_load(variant.path))
        speeds = zip(*[[variant.text_bytes / seconds for seconds in one] for one in samples], strict=True)
        return (
            name,
            variant.text_bytes,
            dict(zip(("cold", "known", "again"), map(spread, speeds), strict=True)),
        )
    return "", 0, {}


def _load(path: Path) -> list[float]:
    """Seconds of the first load, of verifying again, and of one more load, in a process with caches of its
    own."""
    with tempfile.TemporaryDirectory(prefix="tmebox-") as cache:
        done = subprocess.run(
            [sys.executable, "-c", _LOAD, str(path)],
            env={**os.environ, "XDG_CACHE_HOME": cache},
            capture_output=True,
            text=True,
            timeout=LOAD_TIMEOUT_S,
            check=True,
        )
    seconds: list[float] = json.loads(done.stdout)
    return seconds
