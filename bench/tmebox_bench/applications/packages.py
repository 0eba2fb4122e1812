"""What a package's `make` costs with `tmebox cc`, beside the same clang natively, and beside gcc.

Each is configured first, which is not measured, and built by its own makefile. Processor time counts, of make
and all that it starts, for that is what other work on the machine disturbs least; two jobs at once are
compared with one by the time that passes.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tmebox.errors import CompileError
from tmebox.toolchain.compile import clang
from tmebox_bench import debian
from tmebox_bench.applications.rows import geomean_of, table_cell
from tmebox_bench.machine import machine
from tmebox_bench.servers.builds import BuildError
from tmebox_bench.statistics import Spread, ratios, spread
from tmebox_bench.tables import Table

STEP_TIMEOUT_S = 3600.0
SANDBOXED, NATIVE, GCC = "sandboxed", "native", "gcc"
KINDS = (SANDBOXED, NATIVE, GCC)
_STATIC = ("--disable-shared", "--disable-dependency-tracking")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Package:
    """prepare, make: commands, in turn and measured. `$CC`, `$AR` stand for the compiler and the archiver.
    folder: of the tree, where they run. needs: another of these, whose headers and archive are beside it."""

    source: str
    prepare: tuple[str, ...]
    make: str
    folder: str = "."
    needs: str | None = None


PACKAGES = {
    "zlib": Package("zlib", ("./configure --static",), "make libz.a"),
    "lua": Package("lua5.4", (), 'make posix CC="$CC" AR="$AR rcu" RANLIB=true'),
    "expat": Package(
        "expat",
        (
            'cmake -S expat -B build -DCMAKE_C_COMPILER="$CC" -DCMAKE_AR="$AR" -DCMAKE_RANLIB=/bin/true '
            "-DCMAKE_BUILD_TYPE=Release -DEXPAT_SHARED_LIBS=OFF -DEXPAT_BUILD_TOOLS=OFF "
            "-DEXPAT_BUILD_TESTS=OFF -DEXPAT_BUILD_EXAMPLES=OFF -DEXPAT_BUILD_DOCS=OFF",
        ),
        "make -C build",
    ),
    "pcre2": Package("pcre2", (f"./configure {' '.join(_STATIC)}",), "make libpcre2-8.la libpcre2-posix.la"),
    "libpng": Package(
        "libpng1.6",
        (f'./configure {" ".join(_STATIC)} CPPFLAGS="-I$NEEDED" LDFLAGS="-L$NEEDED"',),
        "make libpng16.la",
        needs="zlib",
    ),
    "sqlite": Package("fossil", (), 'make sqlite3.o CC="$CC" CFLAGS=-O2', folder="extsrc"),
    "openssl": Package(
        "openssl",
        (
            'perl Configure linux-x86_64 no-asm no-shared no-threads no-dso no-engine no-async CC="$CC" '
            'AR="$AR" RANLIB=true',
            "make build_generated",
        ),
        r"make $(sed -nE 's/^(crypto\/(aes|bn|ec|evp|sha)\/libcrypto-lib-\w+\.o):.*/\1/p' Makefile)",
    ),
}
"""openssl: five folders of its libcrypto, some 170 files. sqlite: its one file, as another package has it."""


@dataclass(frozen=True)
class Row:
    """cpu_s: by kind. two_jobs: by kind, the time that one job takes over that of two. files: objects."""

    package: str
    files: int
    cpu_s: dict[str, Spread]
    over: dict[str, Spread]
    two_jobs: dict[str, float]


@dataclass(frozen=True)
class Results:
    machine: dict[str, str] = field(default_factory=machine)
    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def bench_packages(names: Sequence[str], *, rounds: int, jobs: bool, progress: Progress) -> Results:
    """names: of PACKAGES. jobs: measure two jobs at once, too, in one more build of each kind."""
    results = Results()
    kinds = [kind for kind in KINDS if kind != GCC or shutil.which("gcc")]
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        for name in names:
            try:
                results.rows.append(_measure(name, kinds, rounds, jobs, Path(scratch), progress))
            except (debian.SourcesUnavailableError, BuildError, CompileError) as error:
                results.missing.append(f"{name}: {error}")
            shutil.rmtree(Path(scratch) / name, ignore_errors=True)
    return results


def _measure(
    name: str, kinds: Sequence[str], rounds: int, jobs: bool, scratch: Path, progress: Progress
) -> Row:
    trees = {}
    for number, kind in enumerate(kinds):
        progress(f"configuring {name}, {kind}", number, len(kinds))
        trees[kind] = _prepared(name, kind, scratch / name / kind)
    cpu_s: dict[str, list[float]] = {kind: [] for kind in kinds}
    passed_s: dict[int, dict[str, float]] = {1: {}, 2: {}}
    files = 0
    for turn in range(rounds + jobs):
        for number, kind in enumerate(kinds if turn % 2 == 0 else kinds[::-1]):
            progress(f"building {name}, {kind}", turn * len(kinds) + number, (rounds + jobs) * len(kinds))
            with_two = 1 + (turn >= rounds)
            spent_s, elapsed_s, made = _build(name, kind, trees[kind], scratch / name / "build", with_two)
            if with_two == 1:
                cpu_s[kind].append(spent_s)
            passed_s[with_two][kind] = elapsed_s
            files = max(files, made)
    return Row(
        name,
        files,
        {kind: spread(cpu_s[kind]) for kind in kinds},
        {kind: ratios(cpu_s[SANDBOXED], cpu_s[kind]) for kind in kinds if kind != SANDBOXED},
        {kind: passed_s[1][kind] / passed_s[2][kind] for kind in kinds if jobs},
    )


def _prepared(name: str, kind: str, directory: Path) -> Path:
    """A configured tree, with all that it needs beside it."""
    package = PACKAGES[name]
    directory.mkdir(parents=True)
    if package.needs is not None:
        needed = _prepared(package.needs, kind, directory / "needed")
        _run(PACKAGES[package.needs].make, needed, _variables(directory / "needed", kind))
    shutil.copytree(debian.fetch(package.source), directory / "tree", symlinks=True)
    _write_compiler(directory / "cc", kind)
    for command in package.prepare:
        _run(command, directory / "tree", _variables(directory, kind))
    return directory / "tree"


def _build(name: str, kind: str, tree: Path, place: Path, jobs: int) -> tuple[float, float, int]:
    """Processor seconds, seconds, and how many objects there are now that there were not."""
    package = PACKAGES[name]
    kept, before = tree.parent / "kept", len(list(tree.rglob("*.o")))
    if (
        not kept.exists()
    ):  # a makefile may name the directory in which it was configured: that one is built in
        shutil.copytree(tree, kept, symlinks=True)
    _write_compiler(tree.parent / "cc", kind)  # another one for each build: see there
    start, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = f"{package.make} -j{jobs}"
    _run(command, tree / package.folder, _variables(tree.parent, kind))
    end, elapsed_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - start_s
    made = len(list(tree.rglob("*.o"))) - before
    shutil.rmtree(tree)
    shutil.copytree(kept, tree, symlinks=True)
    return end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, elapsed_s, made


def _write_compiler(path: Path, kind: str) -> None:
    """`zig cc` keeps what it has compiled: a macro that is new each time makes it work each time."""
    native = [str(clang.toolchain_dir() / "zig"), "cc", "-target", clang.TARGET, "-static"]
    words = {
        SANDBOXED: [sys.executable, "-m", "tmebox", "cc"],
        NATIVE: [*native, "-mcpu=x86_64", "-fno-sanitize=undefined", f"-DTMEBOX_BUILD_{uuid.uuid4().hex}"],
        GCC: ["gcc"],
    }[kind]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)


def _variables(directory: Path, kind: str) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("TMEBOX_", "MAKE"))}
    archiver = directory / "ar"
    words = [sys.executable, "-m", "tmebox", "ar"]
    if kind != SANDBOXED:
        words = ["ar"] if shutil.which("ar") else [str(clang.toolchain_dir() / "zig"), "ar"]
    archiver.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    archiver.chmod(0o755)
    own = {"CC": str(directory / "cc"), "AR": str(archiver), "RANLIB": "true", "LC_ALL": "C"}
    return {**usual, **own, "NEEDED": str(directory / "needed" / "tree")}


def _run(command: str, directory: Path, variables: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[:80]}: {error}") from None
    if done.returncode:
        raise BuildError(f"{command[:200]} ended with {done.returncode}: {done.stdout[-2000:]}")


def packages_table(results: Results) -> Table:
    """Seconds of processor time, what sandboxing makes of it, and what a second job gives."""
    lines = []
    for row in results.rows:
        cells = [f"{row.cpu_s[kind].median:.2f} s" if kind in row.cpu_s else "–" for kind in KINDS]
        over = [table_cell(row.over[kind]) if kind in row.over else "–" for kind in KINDS[1:]]
        two = [f"{row.two_jobs[kind]:.2f}" if kind in row.two_jobs else "–" for kind in KINDS[:2]]
        lines.append((row.package, str(row.files), *cells, *over, *two))
    means = [geomean_of([row.over[kind] for row in results.rows if kind in row.over]) for kind in KINDS[1:]]
    lines.append(("geometric mean", "", "", "", "", *means, "", ""))
    headings = ("package", "files", *KINDS, *(f"over {kind}" for kind in KINDS[1:]))
    return Table((*headings, *(f"-j1 over -j2, {kind}" for kind in KINDS[:2])), tuple(lines))
