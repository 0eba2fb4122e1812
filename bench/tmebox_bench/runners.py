"""Running builds once and measuring them: native ones in a process each, the others in a worker process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tmebox_bench.turns import readable_within
from tmebox_bench.variants import Variant

TIMEOUT_S = 1200.0
"""A run, with those that it takes turns with, that lasts longer does not end: it is killed."""
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


class _Running(ABC):
    """What takes turns (`turns.Turn`): `process`, from its start until `_end` is readable. Close it."""

    process: subprocess.Popen[Any] | None = None

    def go(self) -> None:
        if self.process is None:
            self._begun_s = time.monotonic()
            self.process, self._end = self._begin()
        else:
            self.process.send_signal(signal.SIGCONT)

    def ends_within(self, seconds: float) -> bool:
        assert self.process is not None
        if time.monotonic() - self._begun_s > TIMEOUT_S:
            self.process.kill()
        return readable_within(self._end, seconds)

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    @abstractmethod
    def _begin(self) -> tuple[subprocess.Popen[Any], int]:
        """The process, and the descriptor that is readable when the run is over."""

    @abstractmethod
    def result(self) -> Run:
        """Of a run that is over. Raises RunError."""

    @abstractmethod
    def close(self) -> None:
        """Idempotent. Ends a run that was not over."""


class NativeRun(_Running):
    """Of a native program, in a process of its own."""

    def __init__(self, path: Path, arguments: list[str]) -> None:
        self._command = [str(path), *arguments]
        with ExitStack() as files:
            self._output = files.enter_context(tempfile.TemporaryFile())
            self._messages = files.enter_context(tempfile.TemporaryFile())
            self._report = files.enter_context(tempfile.TemporaryFile())
            self._files = files.pop_all()

    def _begin(self) -> tuple[subprocess.Popen[Any], int]:
        report = self._report.fileno()
        process = subprocess.Popen(
            self._command,
            env={REPORT_VARIABLE: str(report)},
            pass_fds=[report],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._messages,
        )
        end = os.pidfd_open(process.pid)
        self._files.callback(os.close, end)
        return process, end

    def result(self) -> Run:
        assert self.process is not None
        code = self.process.wait()
        printed, said, report = map(_contents, (self._output, self._messages, self._report))
        if code or len(report) != REPORT_SIZE_BYTES:
            raise RunError(f"exit code {code}: {said.decode(errors='replace').strip()[:300]}")
        return Run(int.from_bytes(report, "little") / 1e9, printed.decode(errors="replace"))

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._files.close()


def _contents(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


class Worker:
    """A process that runs what is not native, one at a time: started when needed, and anew after it died.

    Close it, or use it in a `with` statement.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def started(self) -> subprocess.Popen[str]:
        """The process, which may have died since it was asked last."""
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


class WorkerRun(_Running):
    """Of what is not native, in a worker."""

    def __init__(self, worker: Worker, kind: str, path: Path, arguments: list[str]) -> None:
        self._worker = worker
        self._request = json.dumps({"kind": kind, "path": str(path), "arguments": arguments})
        self._is_read = False

    def _begin(self) -> tuple[subprocess.Popen[Any], int]:
        """A worker that is gone has an end that is readable, and `result` says so."""
        process = self._worker.started()
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(self._request + "\n")
            process.stdin.flush()
        return process, process.stdout.fileno()

    def result(self) -> Run:
        """Raises RunError, also for a worker that died."""
        assert self.process is not None and self.process.stdout is not None
        self._is_read = True
        try:
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self._worker.close()
            raise RunError(f"the worker ended with {self.process.returncode}") from None
        if "error" in answer:
            raise RunError(answer["error"])
        if answer["exit_code"]:
            raise RunError(f"exit code {answer['exit_code']}")
        return Run(answer["cpu_ns"] / 1e9, answer["stdout"])

    def close(self) -> None:
        """The worker of a run that was not over ends."""
        if self.process is not None and not self._is_read:
            self.process.kill()
            self._worker.close()


def begun(variant: Variant, arguments: list[str], worker: Worker, number: int = 0) -> NativeRun | WorkerRun:
    """A run whose first turn has not come. worker: its own, unless it is native. number: of the round, which
    chooses the placement."""
    path = variant.placed(number)
    if variant.kind in ("native", "wasm2c"):
        return NativeRun(path, arguments)
    return WorkerRun(worker, variant.kind, path, arguments)
