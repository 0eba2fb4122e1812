"""Running a build once and measuring it: native ones in a process each, the others in a worker process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tmebox_bench.variants import Variant

TIMEOUT_S = 300.0
REPORT_SIZE_BYTES = 8
REPORT_VARIABLE = "TMEBOX_BENCH_FD"


class RunError(Exception):
    """A program that did not end as it should; the message says how."""


@dataclass(frozen=True)
class Run:
    """cpu_s: CPU time (user and system) of the program's thread, from its start-up code to its exit."""

    cpu_s: float
    stdout: str


@contextmanager
def pinned() -> Iterator[int]:
    """Keep this thread, and processes that it starts, on one processor meanwhile: the last one it may use."""
    before = os.sched_getaffinity(0)
    processor = max(before)
    os.sched_setaffinity(0, {processor})
    try:
        yield processor
    finally:
        os.sched_setaffinity(0, before)


def run_native(path: Path, arguments: list[str]) -> Run:
    """Raises RunError."""
    readable, writable = os.pipe()
    try:
        try:
            done = subprocess.run(
                [str(path), *arguments],
                env={REPORT_VARIABLE: str(writable)},
                pass_fds=[writable],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunError(f"no end after {TIMEOUT_S:g} s") from None
        finally:
            os.close(writable)
        report = os.read(readable, REPORT_SIZE_BYTES)
    finally:
        os.close(readable)
    if done.returncode or len(report) != REPORT_SIZE_BYTES:
        raise RunError(f"exit code {done.returncode}: {done.stderr.decode(errors='replace').strip()[:300]}")
    return Run(int.from_bytes(report, "little") / 1e9, done.stdout.decode(errors="replace"))


class Worker:
    """A process that runs what is not native: started when needed, and anew after it died.

    Close it, or use it in a `with` statement.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, kind: str, path: Path, arguments: list[str]) -> Run:
        """Raises RunError, also for a worker that dies."""
        request = {"kind": kind, "path": str(path), "arguments": arguments}
        process = self._started()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self.close()
            raise RunError(f"the worker ended with {process.returncode}") from None
        if "error" in answer:
            raise RunError(answer["error"])
        if answer["exit_code"]:
            raise RunError(f"exit code {answer['exit_code']}")
        return Run(answer["cpu_ns"] / 1e9, answer["stdout"])

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = [sys.executable, "-m", "tmebox_bench.worker"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        return self._process

    def close(self) -> None:
        """Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(variant: Variant, arguments: list[str], worker: Worker, number: int = 0) -> Run:
    """number: of the round, which chooses the placement. Raises RunError."""
    path = variant.placed(number)
    if variant.kind in ("native", "wasm2c"):
        return run_native(path, arguments)
    return worker.run(variant.kind, path, arguments)
