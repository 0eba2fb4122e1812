"""Commands that keep to some of the processors: what is measured, or loads that, has the last one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tmebox_bench.runners import RunError


def cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def kept_on(cpus: Sequence[int]) -> list[str]:
    """Words before a command that keep it on these processors, where the tool for it is there."""
    return ["taskset", "-c", ",".join(map(str, cpus))] if shutil.which("taskset") else []


def output_on_last(
    command: Sequence[str], timeout_s: float, *, cwd: Path | None = None, with_messages: bool = False
) -> str:
    """What a command prints, on the last processor. with_messages: to stderr, too. Raises RunError."""
    try:
        done = subprocess.run(
            [*kept_on(cpus()[-1:]), *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            cwd=cwd,
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"{command[-1]}: no end in {timeout_s:.0f} s") from None
    if done.returncode:
        raise RunError(f"{command[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-500:]}")
    return done.stdout + (done.stderr if with_messages else "")
