"""Finding and running the compiler from the `ziglang` wheel, under limits.

Every tool (clang, its assembler, ld.lld, ar) is one binary that does its work in its own process, so
limits are set with `prlimit` on the running process: nothing of the input is read before them that could
not also be read after, CPU time counts from the start, and `preexec_fn` (unsafe with threads) is not needed.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO

from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain import processes
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.rewrite import frames
from tmebox.toolchain.scratch import scratch_file, temporary_directories

GIB = 1 << 30
TARGET = "x86_64-linux-musl"
VERSION = "19.1.7"
"""Of the clang in the pinned `ziglang` package."""
MESSAGES_MAX = 1 << 20
"""Bytes of a tool's messages that are kept."""


@dataclass(frozen=True)
class Limits:
    """What one run of a tool may use. `timeout_s` bounds both its CPU time and the time it takes, less
    that in which it waits for a processor."""

    timeout_s: float = 120.0
    memory_bytes: int = 4 * GIB
    output_bytes: int = 1 * GIB


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Finished:
    """How a tool ended: its exit status, and what it wrote to stdout and stderr."""

    status: int
    output: str
    messages: str


@lru_cache(maxsize=1)
def toolchain_dir() -> Path:
    """Where the `ziglang` wheel is installed. Raises CompileError if it is not."""
    spec = PathFinder.find_spec("ziglang")  # not importlib.util, which a compiler's start would wait for
    if spec is None or not spec.submodule_search_locations:
        raise CompileError("compiling needs the compiler, which is an extra: pip install 'tmebox[cc]'")
    return Path(next(iter(spec.submodule_search_locations))).absolute()


def compiler_include_dir() -> Path:
    """Clang's own headers (stddef.h, immintrin.h, …)."""
    return toolchain_dir() / "lib" / "include"


def libc_include_dirs() -> tuple[Path, ...]:
    """Headers of the sandboxed libc, in search order."""
    headers = toolchain_dir() / "lib" / "libc" / "include"
    names = (TARGET, "generic-musl", "x86-linux-any", "any-linux-any")
    return tuple(headers / name for name in names)


def own_include_dir() -> Path:
    """Headers that come with tmebox itself (<tmebox.h>)."""
    return Path(os.path.abspath(__file__)).parents[1] / "include"


def arrays_header() -> Path:
    return own_include_dir() / "tmebox_arrays.h"


def without_variable_sizes() -> tuple[str, ...]:
    """Flags by which all frames have constant sizes, and accesses to the pointer of what has none are
    seen."""
    return *frames.WITHOUT_VARIABLE_SIZES, "-include", str(arrays_header())


def system_dirs() -> tuple[Path, ...]:
    """Directories of all headers that are not the program's own."""
    return (own_include_dir(), toolchain_dir())


def run(
    tool: str,
    arguments: Sequence[str],
    reach: Reach,
    limits: Limits = DEFAULT_LIMITS,
    *,
    cwd: Path | None = None,
    messages_max: int = MESSAGES_MAX,
) -> Finished:
    """Run one tool of the wheel to its end, within what it may reach: which is also the wheel. Raises
    CompileError if it exceeds a limit or dies of a signal."""
    command = [str(toolchain_dir() / "zig"), tool, *arguments]
    reach = reach.reading(toolchain_dir())
    return run_command(command, tool, reach, limits, cwd=cwd, messages_max=messages_max)


def run_command(
    command: Sequence[str],
    tool: str,
    reach: Reach,
    limits: Limits = DEFAULT_LIMITS,
    *,
    cwd: Path | None = None,
    messages_max: int = MESSAGES_MAX,
) -> Finished:
    """Likewise for any program that does its work in its own process; `tool` is what messages call it."""
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TMPDIR": temporary_directories()[0]}
    with scratch_file() as output, scratch_file() as messages:
        ended = processes.run(
            command,
            reach,
            begun=lambda pid: _limit(pid, limits),
            timeout_s=limits.timeout_s,
            again=lambda: _forget(output, messages),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=messages,
            cwd=cwd,
            env=environment,
        )
        finished = Finished(ended.status, _text(output), _text(messages, messages_max))
    if ended.late:
        raise CompileError(f"{tool} took longer than {limits.timeout_s:g} s and was stopped")
    if ended.status < 0:
        raise CompileError(_death(tool, -ended.status, limits))
    return finished


def _forget(*files: IO[bytes]) -> None:
    for file in files:
        file.seek(0)
        file.truncate()


def _limit(pid: int, limits: Limits) -> None:
    cpu_s = max(1, int(limits.timeout_s + 0.999))
    # At a hard limit of CPU time Linux kills without a word; a second before it comes SIGXCPU, which has one.
    wanted = (
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.output_bytes, limits.output_bytes),
        (resource.RLIMIT_CORE, 0, 0),
    )
    for kind, *values in wanted:
        try:
            most = resource.prlimit(pid, kind)[1]
            soft, hard = (value if most == resource.RLIM_INFINITY else min(value, most) for value in values)
            resource.prlimit(pid, kind, (soft, hard))
        except ProcessLookupError:  # it has ended already
            return


def _text(file: IO[bytes], most: int = MESSAGES_MAX) -> str:
    file.seek(0)
    return file.read(most).decode("utf-8", "replace")


def _death(tool: str, signal: int, limits: Limits) -> str:
    if signal == 24:  # SIGXCPU
        return f"{tool} used more than {limits.timeout_s:g} s of CPU time and was stopped"
    if signal == 25:  # SIGXFSZ
        return f"{tool} wrote more than {limits.output_bytes >> 20} MiB and was stopped"
    if signal in (0, 6, 9, 11):
        return f"{tool} ran out of memory (limit {limits.memory_bytes >> 20} MiB) or crashed"
    return f"{tool} was ended by signal {signal}"
