"""The proof on this very machine, with the driver that is loaded: attacks, lives, and the shared heap.

What only a virtual machine allows is left out: looking at page-table entries from outside, and injecting
machine checks. What reads memory with a wrong key is a machine check on a real part, which many kernels do
not survive. So it is run only where that is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tmebox.driver import build, registers, suite
from tmebox.driver.trial import GROUPS, Effort, Outcome, TrialUnavailableError, Watcher
from tmebox.memory.backends import tmemk

NEEDS_A_MONITOR = ("alias", "checks")
HERE = tuple(group for group in GROUPS if group not in NEEDS_A_MONITOR)
HEAP_TESTS = "tests.driver.heap_on_device"
PROGRAM = "driver-tests"
"""In a prepared folder: the compiled tests of `driver/guest`."""


def refusal() -> str:
    """Why there is no proof on this machine; "" if there can be one.

    A simulated device is one that encrypts nothing. It is refused, unless the environment asks for it.
    """
    reason = ""
    try:
        if _is_simulated():
            return ""
    except OSError as error:
        reason = str(error)
    if os.geteuid() != 0:
        reason = "only root may use the device: run it as root"
    return registers.unfit() or reason


def _is_simulated() -> bool:
    """Raises OSError where there is no device, or none that may be used."""
    descriptor = tmemk.Tmemk().device()
    try:
        return tmemk.simulated(descriptor)
    finally:
        os.close(descriptor)


def attacks(effort: Effort, wrong_key: bool, watch: Watcher, program: Path | None = None) -> Outcome:
    """What the virtual machines run as well. `program`: these tests, if they are compiled already.

    Raises TrialUnavailableError.
    """
    outcome = Outcome("this machine")
    with tempfile.TemporaryDirectory(prefix="tmebox-driver-") as folder:
        try:
            program = program or build.guest(build.sources(), Path(folder, PROGRAM))
        except (build.BuildError, OSError) as error:
            raise TrialUnavailableError(str(error)) from error
        options = [*effort.options().split(), f"wrong_key={int(wrong_key)}", "simulated=1"]
        if not _is_simulated():
            options.pop()
        status = _listen([str(program), ",".join(HERE), *options], outcome, watch)
    for group in NEEDS_A_MONITOR:
        outcome.verdicts.append(("skip", group, "only a virtual machine can be looked into from outside"))
    if status < 0 or outcome.passed == 0:
        outcome.verdicts.append(("not ok", "hardware", f"the tests ended with status {status}"))
    return outcome


def heap(wrong_key: bool, watch: Watcher, prepared: Path | None = None) -> Outcome:
    """The shared heap's own tests and attacks, on the device. `prepared`: a folder with the repository's
    tests and compiled modules.

    Raises TrialUnavailableError.
    """
    try:
        root = prepared or build.sources().parent
    except build.BuildError as error:
        raise TrialUnavailableError(str(error)) from error
    if lacking := suite.lacking(root):
        raise TrialUnavailableError(lacking)
    outcome = Outcome("the shared heap's own tests and attacks")
    command = [sys.executable, "-m", HEAP_TESTS, f"wrong_key={int(wrong_key)}"]
    if prepared:
        command.append(f"prepared={prepared}")
    status = _listen(command, outcome, watch, cwd=root)
    if status or outcome.passed == 0:
        outcome.verdicts.append(("not ok", "heap", f"the tests ended with status {status}"))
    return outcome


def _listen(command: list[str], outcome: Outcome, watch: Watcher, cwd: Path | None = None) -> int:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout
        for line in map(str.rstrip, process.stdout):
            watch(line)
            outcome.take(line)
    return process.returncode
