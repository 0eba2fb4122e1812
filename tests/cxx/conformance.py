"""LLVM's own tests of libc++ and libc++abi, each run twice: natively and in a sandbox.

    python -m tests.cxx.conformance TREE [--count N] [--jobs N] [--optimize -O1] [--only WORD] [--report FILE]

TREE is an unpacked source tree of LLVM, of the version that the compiler's package has. All tests of
libc++abi run, all of libc++'s that start threads, and `--count` of its others that throw and catch, the same
ones each time. Both runs begin with
the same compiler and the same options. The native one is linked with the same libraries, which the package
builds for this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import tmebox
from tests.cxx import lit, twice
from tmebox.errors import CompileError
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.build import link_program
from tmebox.toolchain.compile import clang
from tmebox.toolchain.options import CompileOptions

SAMPLE = 230
RUN_TIMEOUT_S = 60
FEATURES = frozenset(
    {
        *("c++experimental", "clang", "clang-19", "gcc-style-warnings", "stdlib=libc++", "linux"),
        *("target=x86_64-unknown-linux-musl", "buildhost=linux", "libcpp-abi-version=1"),
        *("has-64-bit-atomics", "-fsized-deallocation", "-faligned-allocation", "can-create-symlinks"),
        *("libcpp-hardening-mode=fast", "long_tests", "no-tzdb", "executor-has-no-bash"),
        *("libcpp-has-no-experimental-tzdb", "libcpp-has-no-experimental-stop_token", "has-fconstexpr-steps"),
    }
)
"""In LLVM's words. Missing: child processes ("has-unix-headers"), locales other than C's, a library without
exceptions."""
CONFIGURATIONS = {
    "c++23": ("-std=c++23",),
    "c++14": ("-std=c++14",),
}
"""Further features, and flags with which they hold. A test is run with the first that it is meant for."""
THREADS = re.compile(
    r"std::(thread|jthread|async)\b|make_test_thread|support::thread|<(pthread\.h|thread|future)>"
)
"""What may start threads."""
CHILDREN = re.compile(r"filesystem_test_helper\.h")
"""What runs commands, such as `rm -rf`, by system()."""
THROWS = re.compile(r"\bcatch \(|\bthrow\b|TEST_DOES_NOT_THROW|TEST_VALIDATE_EXCEPTION|TEST_THROWS|throw_")
COMPILE_TIMEOUT_S = 600
"""One of libc++abi's takes clang alone a minute."""
FLAGS = (
    "-D_LIBCPP_ENABLE_CXX17_REMOVED_UNEXPECTED_FUNCTIONS",
    "-w",
    "-g1",
    "-D_LIBCPP_ENABLE_EXPERIMENTAL",
    "-D_LIBCPP_DISABLE_DEPRECATION_WARNINGS",
    "-D_LIBCPP_ENABLE_CXX17_REMOVED_FEATURES",
    "-D_LIBCPP_ENABLE_CXX20_REMOVED_FEATURES",
)


@dataclass(frozen=True)
class Outcome:
    """What went wrong in each run; nothing, if it passed."""

    name: str
    natively: str
    sandboxed: str

    @property
    def verdict(self) -> str:
        if not self.sandboxed:
            return "passes in a sandbox only" if self.natively else "passed"
        return "fails natively, too" if self.natively else "failed"


def chosen(tree: Path, count: int = SAMPLE) -> list[Path]:
    """The tests to run: of libc++abi all that are meant for us, then of libc++ all that start threads, and
    `count` of the others."""
    abi = sorted((tree / "libcxxabi" / "test").rglob("*.pass.cpp"))
    std = sorted((tree / "libcxx" / "test" / "std").rglob("*.pass.cpp"))
    random.Random(1).shuffle(std)
    std = [path for path in std if not path.name.endswith(".compile.pass.cpp")]  # these have no main
    threaded = [path for path in std if _has(path, THREADS) and is_for_us(path)]
    throwing = (path for path in std if _has(path, THROWS) and not _has(path, THREADS) and is_for_us(path))
    sample = [path for path, _ in zip(throwing, range(count), strict=False)]
    return [path for path in abi if is_for_us(path)] + threaded + sample


def _has(path: Path, words: re.Pattern[str]) -> bool:
    return words.search(path.read_text(errors="replace")) is not None


def is_for_us(path: Path) -> bool:
    return not _has(path, CHILDREN) and configuration(path) is not None


def configuration(path: Path) -> str | None:
    """One of CONFIGURATIONS; None for what is not meant to pass here."""
    for name in CONFIGURATIONS:
        features = FEATURES | {name}
        if lit.conditions(path, features).fit(features):
            return name
    return None


def run_one(path: Path, tree: Path, optimize: str) -> Outcome:
    """Compile and run, natively and for a sandbox."""
    name = str(path.relative_to(tree))
    form = configuration(path) or "c++23"
    about = lit.conditions(path, FEATURES | {form})
    support = [tree / library / "test" / "support" for library in ("libcxx", "libcxxabi")]
    private = [clang.toolchain_dir() / "lib" / library / "src" for library in ("libcxxabi", "libcxx")]
    options = CompileOptions(
        optimize=optimize,
        flags=(*FLAGS, *CONFIGURATIONS[form], *about.flags),
        include_dirs=(*support, *private),
        readable_dirs=(tree / "libcxx" / "test", tree / "libcxxabi" / "test"),
        undefined="linker",
        timeout_s=COMPILE_TIMEOUT_S,
    )
    with tempfile.TemporaryDirectory(prefix="tmebox-cxx-") as scratch:
        directory = Path(scratch)
        try:
            texts = twice.native_assembly(path, options), twice.sandboxed_assembly(path, options)
        except CompileError as error:
            return Outcome(name, f"does not compile: {short(error)}", "does not compile")
        found = [
            _tried(test, text, directory / test.__name__, about.files, options)
            for test, text in zip((_natively, _sandboxed), texts, strict=True)
        ]
        return Outcome(name, *found)


def _tried(
    test: Callable[[str, Path, CompileOptions], str],
    text: str,
    directory: Path,
    files: Sequence[Path],
    options: CompileOptions,
) -> str:
    """What went wrong; the program has the test's files in its current directory."""
    for name in ("files", "temporary"):
        (directory / name).mkdir(parents=True)
    for file in files:
        if file.is_dir():
            shutil.copytree(file, directory / "files" / file.name)
        else:
            shutil.copy(file, directory / "files")
    try:
        return test(text, directory, options)
    except (CompileError, tmebox.TmeboxError) as error:
        return f"{type(error).__name__}: {short(error)}"
    except subprocess.TimeoutExpired:
        return f"not at its end after {RUN_TIMEOUT_S} s"


def _natively(text: str, directory: Path, options: CompileOptions) -> str:
    made, program = directory / "test.o", directory / "test"
    assemble(text, made, file="test.cpp", limits=options.limits)
    if why := twice.link_natively([made], program):
        return why
    done = subprocess.run(
        [program],
        cwd=directory / "files",
        env={"TMPDIR": str(directory / "temporary")},
        capture_output=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    return "" if done.returncode == 0 else f"exit {done.returncode}: {said(done.stderr)}"


def _sandboxed(text: str, directory: Path, options: CompileOptions) -> str:
    made = directory / "test.o"
    assemble(text, made, file="test.cpp", limits=options.limits)
    module = tmebox.Module(link_program([made], (), options))
    dirs = [f"{directory / 'files'}:/", f"{directory / 'temporary'}:/tmp"]
    sandbox = tmebox.Sandbox(module, memory="256M", dirs=dirs)
    done = sandbox.run(timeout=RUN_TIMEOUT_S)
    return "" if done.exit_code == 0 else f"exit {done.exit_code}: {said(done.stderr)}"


def said(data: bytes) -> str:
    return data.decode(errors="replace").strip()[-300:]


def short(error: Exception) -> str:
    return " ".join(str(error).split())[:600]


def outcomes(
    tests: Sequence[Path], tree: Path, optimize: str, jobs: int, report: Path | None = None
) -> Iterator[Outcome]:
    """What was known, then the others by size, since a few large ones take clang minutes. report: a file of
    what is known already, and where everything else is noted: a run that was cut short goes on there."""
    known = {item.name: item for item in _noted(report)}
    yield from known.values()
    left = [path for path in tests if str(path.relative_to(tree)) not in known]
    left.sort(key=lambda path: path.stat().st_size)
    with ProcessPoolExecutor(jobs) as pool:
        for job in [pool.submit(run_one, path, tree, optimize) for path in left]:
            outcome = job.result()
            known[outcome.name] = outcome
            if report is not None:
                _note(report, known.values())
            yield outcome


def _noted(report: Path | None) -> list[Outcome]:
    if report is None or not report.exists():
        return []
    return [Outcome(**item) for item in json.loads(report.read_text())]


def _note(report: Path, known: Iterable[Outcome]) -> None:
    """Whole or not at all, for runs are cut short."""
    unfinished = report.with_suffix(".unfinished")
    unfinished.write_text(json.dumps([asdict(item) for item in known], indent=1))
    unfinished.replace(report)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--count", type=int, default=SAMPLE)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--optimize", default="-O1")
    parser.add_argument("--only", default="", help="tests whose path has this regular expression")
    parser.add_argument("--report", type=Path, help="a JSON file of outcomes: those in it are kept")
    given = parser.parse_args(arguments)
    tree = given.tree.resolve()
    tests = [path for path in chosen(tree, given.count) if re.search(given.only, str(path))]
    found = []
    for outcome in outcomes(tests, tree, given.optimize, given.jobs, given.report):
        found.append(outcome)
        if outcome.sandboxed or outcome.natively:
            print(f"{outcome.name}: {outcome.verdict}\n    sandboxed: {outcome.sandboxed}", flush=True)
            print(f"    natively: {outcome.natively or 'passes'}", flush=True)
    for library in ("libcxxabi", "libcxx"):
        counts = Counter(item.verdict for item in found if item.name.startswith(f"{library}/"))
        print(f"{library}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return any(item.verdict == "failed" for item in found)


if __name__ == "__main__":
    sys.exit(main())
