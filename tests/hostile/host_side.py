"""Host functions for sources/hostcalls.c: they believe every argument, as careless users' would."""

from __future__ import annotations

from typing import Any

from tmebox import Sandbox


class Problem(Exception):
    pass


def host_sum(sandbox: Sandbox, offset: int, count: int) -> int:
    return sum(sandbox.memory.read(offset, count))


def host_poke(sandbox: Sandbox, offset: int, count: int) -> int:
    sandbox.memory.write(offset, b"\x01" * min(count, 4096))
    return 0


def host_recurse(sandbox: Sandbox, depth: int) -> int:
    return int(sandbox.recurse(depth + 1)) if depth >= 0 else 0


def host_raise(what: int) -> int:
    raise (
        Problem("problem"),
        KeyboardInterrupt(),
        SystemExit(3),
        MemoryError(),
        StopIteration(),
        GeneratorExit(),
    )[what]


IMPORTS: dict[str, Any] = {
    "host_add": lambda a, b: (a + b) & 0xFFFF,
    "host_sum": host_sum,
    "host_text": len,
    "host_poke": host_poke,
    "host_recurse": host_recurse,
    "host_raise": host_raise,
}
