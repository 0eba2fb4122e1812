"""How many interpreters live at a time, and what each takes."""

from __future__ import annotations

import gc
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tmebox_bench.pythons import Contender
from tmebox_bench.variants import MissingError

LONGEST_S = 5.0
MOST_BYTES = 6 << 30
"""What one contender may take of the machine, about."""
LOOKED_AT_EVERY = 50


@dataclass(frozen=True)
class Alive:
    """bytes_each: memory that is theirs alone, of child processes too. ended: why there were no more; "" if
    all that were asked for were there."""

    count: int
    bytes_each: float
    seconds_each: float
    ended: str

    @property
    def mark(self) -> str:
        return "+" if self.ended == TIME else ""


TIME = f"no more were tried after {LONGEST_S:g} s"


def keep_alive(contender: Contender, count: int) -> Alive:
    """Interpreters that each have run something, until there are `count`, or time or memory are over."""
    with ExitStack() as warm:
        contender.open(warm)("x = 0")
    gc.collect()
    made, ended = 0, ""
    with ExitStack() as stack:
        before, started = _memory_bytes(), time.perf_counter()
        took = 0.0
        try:
            while made < count:
                contender.open(stack)(f"x = {made}")
                made += 1
                took = time.perf_counter() - started
                if took > LONGEST_S:
                    ended = TIME
                    break
                if made % LOOKED_AT_EVERY == 0 and _own_bytes() > MOST_BYTES:
                    ended = f"no more were tried after {MOST_BYTES >> 30} GiB"
                    break
        except Exception as error:  # what others' sandboxes raise is not known
            ended = f"{type(error).__name__}: {error}"[:200]
        grown = _memory_bytes() - before
    return Alive(made, max(grown, 0) / max(made, 1), took / max(made, 1), ended)


def _own_bytes() -> int:
    """Of this process; quickly."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _memory_bytes() -> int:
    """Of this process and all below it."""
    return sum(map(_proportional_bytes, (os.getpid(), *_descendants(os.getpid()))))


def _proportional_bytes(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        if process == os.getpid():
            raise MissingError("/proc/self/smaps_rollup cannot be read") from None
        return 0
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024


def _descendants(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            children = [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found
