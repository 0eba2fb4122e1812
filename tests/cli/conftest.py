"""Running the command line as a user's shell does."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.command_line import TIME_LIMIT_S, Finished, Run, environment

NOTHING: Mapping[str, str] = {}


@pytest.fixture
def tmebox() -> Run:
    """tmebox("run", "x.c", stdin="…", cwd=…, env={…}): exit code and output of the command."""

    def run(
        *arguments: object, stdin: str = "", cwd: Path | None = None, env: Mapping[str, str] = NOTHING
    ) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "tmebox", *map(str, arguments)],
            input=stdin,
            cwd=cwd,
            env=environment(env),
            text=True,
            capture_output=True,
            check=False,
            timeout=TIME_LIMIT_S,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def terminal() -> Callable[..., str]:
    """terminal("doctor", env={…}): what the command writes to a terminal."""

    def run(*arguments: object, env: Mapping[str, str] = NOTHING) -> str:
        try:
            ours, theirs = pty.openpty()
        except OSError as error:
            pytest.skip(f"this machine has no pseudo-terminals: {error}")
        command = [sys.executable, "-m", "tmebox", *map(str, arguments)]
        variables = environment({"TERM": "xterm-256color", **env})
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables):
            os.close(theirs)
            written = bytearray()
            while select.select([ours], [], [], TIME_LIMIT_S)[0]:
                try:
                    data = os.read(ours, 65536)
                except OSError:  # Linux's way to say that the other side is closed
                    break
                written += data
        os.close(ours)
        return written.decode()

    return run
