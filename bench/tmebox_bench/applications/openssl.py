"""OpenSSL's libcrypto, with its assembly on both sides or none: its test vectors, the time of operations."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tmebox_bench.applications.rows import Results, row, run
from tmebox_bench.commands_in_turns import Program, in_turns
from tmebox_bench.runners import RunError
from tmebox_bench.servers.builds import KINDS, Sources, built

JOBS = str(len(os.sched_getaffinity(0)))
WORK = Path(__file__).with_name("openssl_work.c")
OPTIONS = ("no-shared", "no-threads", "no-dso", "no-engine", "no-async")
VECTORS = "30-test_evp_data"
OPERATIONS = (
    *("AES-128-CBC", "AES-128-CBC-decrypt", "AES-256-GCM", "ChaCha20-Poly1305", "SHA1", "SHA256", "SHA512"),
    *("RSA-2048-sign", "RSA-2048-verify", "ECDSA-P256-sign", "ECDSA-P256-verify", "X25519"),
)
MEMORY = "512MiB"
CAPABILITIES = "OPENSSL_ia32cap"
"""libcrypto's variable: two numbers that stand for cpuid's answers, by which it chooses its assembly."""
Progress = Callable[[str, int, int], None]


def _steps(tree: Path, compiler: str, kind: str, *, assembly: bool) -> Sequence[tuple[Path, Sequence[str]]]:
    archive = [f"AR={sys.executable} -m tmebox ar", "RANLIB=true"] if kind == "sandboxed" else []
    options = [*OPTIONS, *([] if assembly else ["no-asm"])]
    quicker = ["-DWITH_ASSEMBLY"] if assembly else []
    return [
        (tree, ["perl", "Configure", "linux-x86_64", *options, f"CC={compiler}", *archive]),
        (tree, ["make", f"-j{JOBS}", "build_generated", "libcrypto.a", "test/evp_test"]),
        (tree, [compiler, "-O2", *quicker, "-Iinclude", WORK.name, "libcrypto.a", "-o", "openssl_work"]),
    ]


def sources(*, assembly: bool) -> Sources:
    return Sources(
        "openssl",
        "openssl_work",
        lambda tree, compiler, kind: _steps(tree, compiler, kind, assembly=assembly),
        ((WORK, WORK.name),),
        ("test/evp_test", f"test/recipes/{VECTORS}"),
    )


def bench_openssl(
    operations: Sequence[str] = (), *, assembly: bool, rounds: int, scale: int, progress: Progress
) -> Results:
    """operations: of OPERATIONS, to time these alone; with none all are timed, and test vectors run. scale:
    how often 0.1 s, about, each operation takes. Raises SourcesUnavailableError, BuildError."""
    results = Results()
    programs = {}
    for index, kind in enumerate(KINDS):
        progress(f"building libcrypto, {kind}", index, len(KINDS))
        programs[kind] = built(sources(assembly=assembly), kind)
    try:
        processor = _same_processor(programs, results)
        _measure(programs, processor, operations, rounds, scale, results, progress)
        if not operations:
            _check_vectors(programs, processor, results, progress)
    except RunError as error:
        results.failures.append(str(error))
    return results


def command(kind: str, program: Path, directory: Path, processor: str = "") -> list[str]:
    """Words before a program's arguments. What a sandbox sees is `directory`, as its root. processor: what
    libcrypto is to believe natively, as OPENSSL_ia32cap has it."""
    if kind != "sandboxed":
        return [*(["env", f"{CAPABILITIES}={processor}"] if processor else []), str(program)]
    sandbox = [sys.executable, "-m", "tmebox", "run", "--memory", MEMORY, "--dir", f"{directory}:/"]
    return [*sandbox, str(program)]


def capabilities(text: str) -> str:
    """The numbers in what `openssl_work processor` prints; "" for a libcrypto that does not choose."""
    found = re.match(rf"{CAPABILITIES}=(0x[0-9a-f]+:0x[0-9a-f]+)", text)
    return found[1] if found else ""


def _same_processor(programs: dict[str, Path], results: Results) -> str:
    """Which extensions a sandbox is told of. The native side uses the same: else it would run other code."""

    def asked(kind: str, processor: str) -> str:
        program = programs[kind]
        return capabilities(run([*command(kind, program, program.parent, processor), "processor"]))

    told = asked("sandboxed", "")
    if told:
        own, same = asked("native", ""), asked("native", told)
        results.notes.append(f"{CAPABILITIES}={told} on both sides; natively it would be {own}")
        if same != told:
            results.failures.append(f"{CAPABILITIES} is {same} natively, and not {told}")
    return told


def _measure(
    programs: dict[str, Path],
    processor: str,
    operations: Sequence[str],
    rounds: int,
    scale: int,
    results: Results,
    progress: Progress,
) -> None:
    times: dict[str, dict[str, list[float]]] = {}
    outputs: dict[str, str] = {}
    for turn in range(rounds):
        progress("libcrypto's operations", turn, rounds)
        words = {kind: command(kind, programs[kind], programs[kind].parent, processor) for kind in KINDS}
        taken = in_turns([Program([*words[kind], str(scale), *operations]) for kind in KINDS])
        for kind, one in zip(KINDS, taken, strict=True):
            for name, spent_us, output in parse(one.output):
                times.setdefault(name, {one: [] for one in KINDS})[kind].append(spent_us)
                if outputs.setdefault(name, output) != output:
                    results.failures.append(f"{name}: another output, {kind}: {output[:64]}")
    results.rows.extend(row(name, spent, "sandboxed") for name, spent in times.items())


def parse(text: str) -> list[tuple[str, float, str]]:
    """Name, µs and output of each operation. Raises RunError for anything else."""
    found = [line.split() for line in text.splitlines()]
    if not found or any(len(words) != 3 or not words[1].isdigit() or words[1] == "0" for words in found):
        raise RunError(f"openssl_work said {text[-300:]!r}")
    return [(name, float(spent_us), output) for name, spent_us, output in found]


def _check_vectors(programs: dict[str, Path], processor: str, results: Results, progress: Progress) -> None:
    """All of evp_test's files: the same counts natively and sandboxed, and no errors."""
    names = sorted(path.name for path in (programs["native"].parent / VECTORS).glob("*.txt"))
    total = 0
    for index, name in enumerate(names):
        progress("test vectors", index, len(names))
        counts = {}
        for kind in KINDS:
            directory = programs[kind].parent / VECTORS
            words = [*command(kind, programs[kind].with_name("evp_test"), directory, processor), name]
            counts[kind] = completed(run(words, cwd=directory, with_messages=True))
        if counts["native"] != counts["sandboxed"] or counts["native"][1]:
            results.failures.append(f"{name}: tests, errors, skipped: {counts}")
        total += counts["sandboxed"][0]
    results.notes.append(f"evp_test: {total} test vectors of {len(names)} files pass sandboxed, as natively")


def completed(text: str) -> tuple[int, int, int]:
    """Tests, errors and skipped ones, as evp_test says at its end. Raises RunError where it does not."""
    found = re.findall(r"Completed (\d+) tests with (\d+) errors and (\d+) skipped", text)
    if not found:
        raise RunError(f"evp_test said {text[-300:]!r}")
    tests, errors, skipped = (sum(int(one[index]) for one in found) for index in range(3))
    return tests, errors, skipped
