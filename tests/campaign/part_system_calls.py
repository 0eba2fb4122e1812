"""Makes random system calls as a guest with one directory to write, one to read, and nothing else.

Whatever the numbers: a result or the program's end, nothing outside the grants touched, what may only be read
unchanged, no descriptor left over, and the host never kept waiting.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path

from tests.campaign.batches import Batches, Outcome
from tests.runtime.system.guest_side import BASE, Guest
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.calls import Abort, Exit
from tmebox.runtime.system.table import TABLE

BATCH, CALLS = 20, 150
SLOW_S = 5.0
SLEEPS = frozenset({"nanosleep", "clock_nanosleep", "poll", "pause", "select", "pselect6", "ppoll"})
NAMES = (
    "/rw", "/ro", "/rw/a", "/rw/b/c", "/ro/a", "/ro/sub/deep", "/rw/../ro/a", "/rw/link", "/rw/up", "../..",
    ".", "..", "", "a", "b", "/", "/etc/passwd", "/proc/self/mem", "/rw/a/", "//rw//a", "/rw/" + "x" * 300,
    "\udcff", "/rw/fifo",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 255, 4095, 4096, 65536, BASE, BASE + 8, BASE + 65500, -1, -2, -100,
    1 << 31, (1 << 31) - 1, 1 << 32, (1 << 63) - 1, -(1 << 63), 0o1101, 0o2101, 0o200000, 0o777,
)  # fmt: skip


def contents(folder: Path) -> dict[str, object]:
    """Everything below, with times and modes, links not followed."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        found[str(path)] = (data, status.st_mode, status.st_size, status.st_mtime_ns, status.st_nlink)
    return found


def furnish(folder: Path) -> None:
    for name in ("rw/b", "ro/sub", "outside"):
        (folder / name).mkdir(parents=True)
    for name in ("rw/a", "rw/b/c", "ro/a", "ro/sub/deep", "outside/secret"):
        (folder / name).write_text(f"what {name} says")
    (folder / "rw/link").symlink_to(folder / "outside")
    (folder / "rw/up").symlink_to("../outside/secret")
    os.mkfifo(folder / "rw/fifo")


def random_call(rng: random.Random, guest: Guest, numbers: list[int]) -> int:
    number = rng.choice(numbers) if rng.random() < 0.97 else rng.randrange(-5, 1100)
    arguments = []
    guest._free = BASE + 64 * rng.randrange(8)
    for _ in range(6):
        kind = rng.random()
        if kind < 0.45:
            data = rng.choice(NAMES).encode("utf-8", "surrogateescape") + b"\0"
            arguments.append(guest.place(data))
        elif kind < 0.9:
            arguments.append(rng.choice(NUMBERS) if rng.random() < 0.6 else rng.randrange(12))
        else:
            arguments.append(rng.getrandbits(64) - (1 << 63))
    return guest.system.handle(guest.memory, number, tuple(arguments))


def one_guest(rng: random.Random, outcome: Outcome) -> None:
    numbers = [number for number, call in TABLE.items() if call.name not in SLEEPS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        furnish(folder)
        before = contents(folder / "ro"), contents(folder / "outside"), sorted(os.listdir("/proc/self/fd"))
        grants = (
            Directory(str(folder / "rw"), "/rw"),
            Directory(str(folder / "ro"), "/ro", read_only=True),
        )
        system = System(
            stdin=b"input" * 100, stdout=lambda _: None, directories=grants, max_file_bytes=1 << 20
        )
        guest = Guest(system)
        guest.memory.bytes[:] = rng.randbytes(len(guest.memory.bytes))
        for _ in range(CALLS):
            began = time.monotonic()
            try:
                result = random_call(rng, guest, numbers)
                outcome.counts["system calls that failed" if result < 0 else "system calls that worked"] += 1
            except (Exit, Abort):
                outcome.counts["programs ended"] += 1
            if time.monotonic() - began > SLOW_S:
                outcome.findings.append("a call took very long")
        system.close()
        after = contents(folder / "ro"), contents(folder / "outside"), sorted(os.listdir("/proc/self/fd"))
        for what, old, new in zip(
            ("what may only be read", "what is outside", "descriptors"), before, after, strict=True
        ):
            if old != new:
                outcome.findings.append(f"{what}: {old} became {new}")


def batch(seed: int, number: int) -> Outcome:
    """In a child process."""
    outcome = Outcome()
    for index in range(BATCH):
        seen = len(outcome.findings)
        try:
            one_guest(random.Random(f"{seed} {number} {index}"), outcome)
        except Exception as error:
            outcome.findings.append(repr(error))
        outcome.findings[seen:] = [
            f"seed {seed}, batch {number}, guest {index}: {text}" for text in outcome.findings[seen:]
        ]
    return outcome


PART = Batches("system-calls", batch)
