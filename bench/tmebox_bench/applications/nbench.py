"""BYTEmark's ten indexes, natively and sandboxed, of a tree of its sources that the user has unpacked."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tmebox_bench.applications.rows import Results, row
from tmebox_bench.commands_in_turns import Program, in_turns
from tmebox_bench.native_cc import PLACEMENTS_VARIABLE
from tmebox_bench.runners import RunError
from tmebox_bench.servers.builds import KINDS, SAME_LIBC, Sources, build

TESTS = {
    "NUMERIC SORT": ("DONUMSORT", "NUM"),
    "STRING SORT": ("DOSTRINGSORT", "STR"),
    "BITFIELD": ("DOBITFIELD", "BIT"),
    "FP EMULATION": ("DOEMF", "EMF"),
    "FOURIER": ("DOFOUR", "FOUR"),
    "ASSIGNMENT": ("DOASSIGN", "ASSIGN"),
    "IDEA": ("DOIDEA", "IDEA"),
    "HUFFMAN": ("DOHUFF", "HUFF"),
    "NEURAL NET": ("DONNET", "NNET"),
    "LU DECOMPOSITION": ("DOLU", "LU"),
}
"""As it prints them: what its command file calls each one, and what the names of its options begin with."""
ALL_KINDS = (SAME_LIBC, *KINDS)
RUN_MS = 20
"""How long one run of an index takes at least. BYTEmark repeats it 5 to 30 times, until they agree. By itself
it takes whole seconds for each: 10 to 60 s an index, and hours for a comparison."""
COMMANDS_FILE = "TMEBOX.DAT"
DATA = "NNET.DAT"
Progress = Callable[[str, int, int], None]


PLACEMENTS = 5
"""Orders of its functions in which the program is linked with the sandbox's C library, natively and sandboxed
(ADR 16). Each round has another one."""
_ALIGNED = "-falign-functions=32 -falign-loops=32"
"""As sandboxed code is: where small loops lie changes single indexes by more than a tenth."""
_COMPILER = {"sandboxed": "tmebox_bench.sandboxed_cc", SAME_LIBC: "tmebox_bench.native_cc"}


def _steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    words = f"{sys.executable} -m {_COMPILER[kind]}" if kind in _COMPILER else compiler
    words += "" if kind == "sandboxed" else f" {_ALIGNED}"
    count = PLACEMENTS if kind in _COMPILER else 1
    build_all = ["env", f"{PLACEMENTS_VARIABLE}={count}", "make", f"CC={words}", "nbench"]
    built_there = ["find", ".", "(", "-name", "*.o", "-o", "-name", "nbench", ")", "-type", "f", "-delete"]
    return [(tree, built_there), (tree, build_all)]


def _beside(kind: str) -> tuple[str, ...]:
    others = [f"nbench.{number}" for number in range(1, PLACEMENTS)]
    return (DATA, *(others if kind in _COMPILER else ()))


def bench_nbench(tree: Path, *, rounds: int, run_ms: int = RUN_MS, progress: Progress) -> Results:
    """Each index takes 5 to 30 runs of `run_ms` or more, a round and a build. The tree is not changed.

    Raises BuildError, and OSError for a tree that cannot be read.
    """
    results = Results()
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch:
        programs = {}
        for index, kind in enumerate(ALL_KINDS):
            progress(f"building nbench, {kind}", index, len(ALL_KINDS))
            folder = Path(scratch) / kind.replace(" ", "-")
            folder.mkdir()
            build(Sources("nbench", "nbench", _steps, (), _beside(kind)), kind, tree, folder)
            kept = folder / "kept"
            programs[kind] = [kept / "nbench", *sorted(kept.glob("nbench.[1-9]"))]
            shutil.rmtree(folder / "tree")
        for index, test in enumerate(TESTS):
            per_s: dict[str, list[float]] = {kind: [] for kind in ALL_KINDS}
            try:
                for turn in range(rounds):
                    progress(test.lower(), index * rounds + turn, len(TESTS) * rounds)
                    chosen = {kind: programs[kind][turn % len(programs[kind])] for kind in ALL_KINDS}
                    for kind, found in _indexes(chosen, test, run_ms).items():
                        per_s[kind].append(found)
            except RunError as error:
                results.failures.append(f"{test}: {error}")
                continue
            times = {kind: [1 / one for one in found] for kind, found in per_s.items()}
            results.rows.append(row(test, times, "sandboxed"))
    return results


def _indexes(programs: dict[str, Path], test: str, run_ms: int) -> dict[str, float]:
    """Iterations a second of processor time, of programs that take turns. Raises RunError."""
    switch, prefix = TESTS[test]
    # As much work as takes so many ticks of clock(), once: no whole second has to pass.
    ticks = f"GLOBALMINTICKS={run_ms * 1000}"
    commands = f"{ticks}\nCUSTOMRUN=T\n{switch}=T\n{prefix}MINSECONDS=0\n"
    running = []
    for kind, program in programs.items():
        (program.parent / COMMANDS_FILE).write_text(commands)
        words = [str(program), f"-c{COMMANDS_FILE}"]
        if kind == "sandboxed":
            words = [sys.executable, "-m", "tmebox", "run", "--dir", f"{program.parent}:/", *words]
        running.append(Program(words, cwd=program.parent))
    taken = in_turns(running)
    return {kind: parse(one.output, test) for kind, one in zip(programs, taken, strict=True)}


def parse(text: str, test: str) -> float:
    """Raises RunError for output without this index. Where runs differ too much, warnings stand before it."""
    warned = r"(?:\n\*\* WARNING[^\n]*)+\n\s*:"
    found = re.search(rf"^{test}\s*:(?:{warned})?\s*([\d.]+(?:e[+-]?\d+)?)\s*:", text, re.MULTILINE)
    if found is None or float(found[1]) <= 0:
        raise RunError(f"nbench said {text[-300:]!r}")
    return float(found[1])
