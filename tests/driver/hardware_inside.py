"""Runs inside the virtual machine what `tmebox driver test --hardware` runs, on the simulated device; and
asks for its refusals.

The command line's own libraries take an emulated processor too long, so it begins below them. The tests come
compiled, in /extra/files.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ["PYTHONPATH"] = ":".join(sys.path[:3])

from tmebox.driver import hardware, registers
from tmebox.driver.trial import Effort, Outcome
from tmebox.memory.backends import tmemk

PREPARED = Path("/extra/files")
EFFORT = Effort(noise_s=5, cycles=300, rounds=300)
NOBODY = 65534
NO_TME = "the CPU has no memory encryption (TME)"


def refused(
    name: str, reason: str, before: Callable[[], object], simulated: str = "1", fit: bool = True
) -> None:
    """In a process of its own. `fit`: as if the processor had all that is needed."""
    child = os.fork()
    if child == 0:
        os.environ[tmemk.SIMULATED_VARIABLE] = simulated
        if fit:
            registers.unfit = lambda: ""
        before()
        said = hardware.refusal()
        if reason not in said or not said:
            print(f"# {said!r}, not {reason!r}")
        print(f"{'ok' if reason in said else 'not ok'} refusals {name}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)


def another_version() -> None:
    tmemk.VERSION += 1


def another_device() -> None:
    tmemk.DEVICE = "/dev/null"


def no_device() -> None:
    tmemk.DEVICE = "/dev/tmebox-that-is-not-there"


def nothing() -> None:
    pass


refused("a simulated device without permission", "is simulated and protects nothing", nothing, "0")
refused("another version of the driver", "is version 1 of the driver", another_version)
refused("a user who is not root", "only root may use the device", lambda: os.setuid(NOBODY))
refused("no device", "tmebox doctor", no_device)
refused("a file that is no such device", "Inappropriate ioctl", another_device)
# Without permission the processor decides, and this one has none of it.
refused("a processor without memory encryption", NO_TME, nothing, "0", fit=False)

os.environ[tmemk.SIMULATED_VARIABLE] = "1"
assert hardware.refusal() == ""


def say(line: str) -> None:
    print(line, flush=True)


outcomes: list[Outcome] = [
    hardware.attacks(EFFORT, False, say, PREPARED / hardware.PROGRAM),
    hardware.heap(False, say, PREPARED),
]
for outcome in outcomes:
    print(f"count {outcome.title}: {outcome.passed} hold, {len(outcome.failed)} do not", flush=True)
