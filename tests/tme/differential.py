"""Random operations on two machines that must agree in everything: results, errors, records, events, caches,
DRAM.

A machine is rebuilt every few hundred operations with other options. What decides the operations is one seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tmebox import tme
from tmebox.tme.machine import Modelled

LINE = 64
MEMORY = 16 * 4096
Build = Callable[..., Modelled]


def options(rng: random.Random) -> dict[str, Any]:
    """Options of a small machine, any combination that is not refused."""
    bits = rng.choice((0, 1, 2, 3, 3, 6))
    aliases = rng.choice(("apart", "coherent", "forbidden"))
    cache = rng.choice((None, 256, 1024, 4096))
    chosen: dict[str, Any] = {
        "memory": MEMORY,
        "key_id_bits": bits,
        "algorithm": rng.choice(tuple(tme.ALGORITHMS)),
        "coherent_aliases": aliases == "coherent",
        "aliases_forbidden": aliases == "forbidden",
        "detection": rng.choice(("paper", "specification")),
        "cache": cache,
        "ways": rng.choice((1, 2, 4)),
        "replacement": rng.choice(("lru", "fifo", "random", "tree")),
        "physical_bits": rng.choice((36, 46, 52)),
        "tdx_key_id_bits": rng.choice((0, 0, 1)) if bits > 1 else 0,
        "bypass": rng.random() < 0.2,
        "mac_bits": rng.choice((28, 28, 28, 2)),
        "seed": rng.randrange(1 << 32),
        "events": 64,
    }
    if rng.random() < 0.3:
        size = rng.choice((4096, 8192))
        chosen["exclusion"] = (rng.randrange(MEMORY // size) * size, size)
    return chosen


def operation(rng: random.Random, keys: int) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """A name, with arguments: a method of the machine, or of this file (they begin with _)."""
    hot = rng.random() < 0.7  # most accesses are to a few lines, under any KeyID
    address = rng.randrange(8 * LINE) if hot else rng.randrange(MEMORY + 64)
    key_id = rng.randrange(keys) if rng.random() < 0.98 else rng.randrange(1 << 16)
    dice = rng.random()
    if dice < 0.32:
        return "read", (address, rng.randint(0, 64)), {"key_id": key_id}
    if dice < 0.62:
        return "write", (address, rng.randbytes(rng.randint(0, 64))), {"key_id": key_id}
    if dice < 0.68:
        return "write", (address - address % LINE, rng.randbytes(LINE)), {"key_id": key_id}
    if dice < 0.78:
        return "direct_store", (address - address % LINE, rng.randbytes(LINE)), {"key_id": key_id}
    if dice < 0.82:
        return "flush", (address, rng.randint(0, 200)), {"key_id": key_id}
    if dice < 0.84:
        return "flush", (), {}
    if dice < 0.88:
        return (
            "_flip",
            (address, rng.randrange(8), rng.choice((0, 1, 27, rng.randrange(28))), rng.randrange(6)),
            {},
        )
    if dice < 0.90:
        return "_replay", (address, rng.randrange(8 * LINE)), {}
    if dice < 0.95:
        program = tme.KeyProgram.of(
            key_id & 0xFFFF,
            rng.choice((0, 1, 1, 2, 3, 4)),
            rng.choice((1, 2, 4, 8, 8, 2, 3, 16)),
            rng.randbytes(rng.choice((16, 16, 32))),
            rng.randbytes(16),
        )
        return "_program", (program, rng.random() < 0.1, rng.random() < 0.1), {}
    if dice < 0.97:
        return "_private", (address, key_id, rng.randbytes(8)), {}
    if dice < 0.98:
        number, value = rng.choice((0x982, 0x983, 0x9FF, 0x401 + 4 * 13)), rng.choice((0, 3, 2 | 1 << 32))
        return "wrmsr", (number, value), {}
    if dice < 0.985:
        return "reset", (), {}
    if dice < 0.99:
        return "activate", (), {}
    return "rdmsr", (rng.choice((0x981, 0x982, 0x87, 0x9FF, 0x401 + 4 * 14, 0x17A)),), {}


def _flip(machine: Modelled, address: int, bit: int, mac_bit: int, which: int) -> None:
    """One bit: of the cipher text, of the MAC, or the TD bit."""
    address %= MEMORY
    if which < 3:
        machine.dram.flip(address, bit)
    elif which < 5:
        machine.dram.flip_mac(address, mac_bit)
    else:
        machine.dram.flip_td(address)


def _replay(machine: Modelled, address: int, place: int) -> None:
    machine.dram.replay(machine.dram.record(address % MEMORY), place)


def _program(machine: Modelled, program: tme.KeyProgram, seam: bool, unlucky: bool) -> int:
    machine._store_lines(MEMORY - 256, program.pack())
    machine.fail_entropy(int(unlucky))
    return machine.pconfig_at(MEMORY - 256, seam=seam)


def _private(machine: Modelled, address: int, key_id: int, data: bytes) -> bytes:
    with machine.seam():
        machine.write(address, data, key_id=key_id)
        return machine.read(address, 8, key_id=key_id)


HERE: dict[str, Callable[..., Any]] = {
    "_flip": _flip,
    "_replay": _replay,
    "_program": _program,
    "_private": _private,
}


def answer(machine: Modelled, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[str, Any]:
    """What a machine answers: a value, or the error with all that it carries."""
    try:
        if name in HERE:
            return "value", HERE[name](machine, *args, **keywords)
        return "value", getattr(machine, name)(*args, **keywords)
    except tme.TmeError as error:
        return type(error).__name__, (str(error), getattr(error, "record", None))


def state(machine: Modelled) -> tuple[Any, ...]:
    """Everything that can be seen."""
    sides = [machine._side(line) for line in range(MEMORY // LINE)]
    trace = list(machine.trace())
    verifying = [machine.verifying(line * LINE) for line in range(8)]
    return (
        machine.dram[:],
        sides,
        verifying,
        machine.cached(),
        machine.counters(),
        trace,
        machine.machine_checks,
    )


class Difference(AssertionError):
    """The two do not agree."""


def compare(
    one: Build, other: Build, seed: int, count: int, each: int = 400, look: int = 50
) -> dict[str, int]:
    """Do `count` operations on machines of both kinds, `each` on a machine. How often each answer came;
    Difference."""
    rng = random.Random(seed)
    answers: dict[str, int] = {}
    for start in range(0, count, each):
        chosen = options(rng)
        machines = one(**chosen), other(**chosen)
        keys = 1 << chosen["key_id_bits"]
        for machine in machines:
            machine.activate()
        for number in range(min(each, count - start)):
            step = operation(rng, keys)
            given, expected = (answer(machine, *step) for machine in machines)
            place = f"seed {seed}, operation {start + number}: {step} with {chosen}"
            if given != expected:
                raise Difference(f"{place}: {given} and {expected}")
            answers[given[0]] = answers.get(given[0], 0) + 1
            if number % look == 0 and state(machines[0]) != state(machines[1]):
                raise Difference(f"{place}: another state")
        if state(machines[0]) != state(machines[1]):
            raise Difference(f"seed {seed}, after operation {start + each}, {chosen}: another state")
    return answers
