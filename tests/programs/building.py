"""Build a program twice from the same source: natively, and for the sandbox with `tmebox cc`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tmebox_bench.debian import SourcesUnavailableError, fetch

BUILD_TIMEOUT_S = 300


@dataclass(frozen=True)
class Tools:
    """What is given to make as CC, AR and RANLIB."""

    name: str
    cc: str
    ar: str
    ranlib: str


def sandboxed_tools() -> Tools:
    command = f"{sys.executable} -m tmebox"
    return Tools("sandboxed", f"{command} cc", f"{command} ar", f"{command} ar s")


def native_tools() -> Tools:
    """The machine's own compiler, or else the one that the toolchain package carries."""
    if shutil.which("cc") and shutil.which("ar"):
        return Tools("native", "cc", "ar", "ranlib")
    command = f"{sys.executable} -m ziglang"
    return Tools("native", f"{command} cc", f"{command} ar", f"{command} ranlib")


def source_of(package: str) -> Path:
    """The upstream source of a Debian package; skips the test, saying why, where it cannot be had."""
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    try:
        return fetch(package)
    except SourcesUnavailableError as error:
        pytest.skip(f"no source package {package}: {error}")


def make(source: Path, directory: Path, tools: Tools, *targets: str) -> Path:
    """Run the program's own makefile on a copy of its source; returns the copy's path."""
    copy = directory / tools.name
    shutil.copytree(source, copy)
    variables = [f"CC={tools.cc}", f"RANLIB={tools.ranlib}"]
    command = ["make", "-s", f"-j{min(2, os.cpu_count() or 1)}", *targets, *variables]
    done = subprocess.run(
        [*command, f"AR={tools.ar}{' rcu' if 'posix' in targets else ''}"],
        cwd=copy,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return copy


@dataclass(frozen=True)
class Ran:
    exit_code: int
    stdout: bytes
    stderr: bytes


def run(
    program: Path, *arguments: str, directory: Path, stdin: bytes = b"", env: dict[str, str] | None = None
) -> Ran:
    """Run natively, with `directory` as the current one."""
    return _run([str(program), *arguments], directory, stdin, env or {})


def run_sandboxed(
    program: Path, *arguments: str, directory: Path, stdin: bytes = b"", env: dict[str, str] | None = None
) -> Ran:
    """Run with `tmebox run`, with `directory` as the sandbox's root and current directory."""
    variables = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
    command = [
        sys.executable,
        "-m",
        "tmebox",
        "run",
        "--dir",
        f"{directory}:/",
        "--memory",
        "512MiB",
        *variables,
    ]
    return _run([*command, str(program), *arguments], directory, stdin, {})


def _run(command: list[str], directory: Path, stdin: bytes, env: dict[str, str]) -> Ran:
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **env},
        input=stdin,
        capture_output=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
