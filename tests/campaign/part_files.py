"""Bends module files, snapshots and prototypes, loads what is left of them, and calls it with odd values.

Each must end in an exception of tmebox's, or of Python's for a wrong argument, or run in its sandbox.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import tmebox
from tests.campaign.batches import Batches, Outcome
from tests.campaign.bytes_bent import bent, bent_tree
from tmebox.errors import TmeboxError
from tmebox.modulefile import codec
from tmebox.modulefile.prototypes import prototype_from_json, prototype_to_json

SOURCE = Path(__file__).with_name("guests.c")
BATCH = 120
LIMIT_S = 0.05
SLOW_S = 10.0
"""One file may not keep the host longer: a thousand times what a good one takes."""
SEAL_BYTES = 32
OF_ARGUMENTS = (TypeError, ValueError, OverflowError, BufferError, AttributeError, IndexError)


@cache
def module() -> tmebox.Module:
    return tmebox.compile(SOURCE)


@cache
def snapshot_bytes() -> bytes:
    with tmebox.Sandbox(module(), memory="1MiB", stack="64KiB", imports={"notify": notify}) as sandbox:
        sandbox.tell(1)
        return sandbox.snapshot().to_bytes()


def notify(code: int, text: int) -> int:
    return 0


def value(rng: random.Random) -> Any:
    return rng.choice(
        (
            rng.getrandbits(rng.choice((1, 8, 31, 32, 63, 64, 65, 130))) * rng.choice((1, -1)),
            rng.random(),
            None,
            True,
            b"bytes",
            "text",
            bytearray(rng.randrange(64)),
            np.arange(rng.randrange(5), dtype=rng.choice(("i4", ">i4", "f8", "u1"))),
            np.uint32(7),
            {"x": 1, "y": 2, "weight": 0.5},
            (1, 2, 0.5),
            [1, 2],
            float("nan"),
            1j,
        )
    )


def use(rng: random.Random, sandbox: tmebox.Sandbox, outcome: Outcome) -> None:
    """Calls each export; what is raised on the way is looked at, as a user would."""
    for name in sorted(sandbox.module.exports):
        prototype = sandbox.module.exports[name]
        count = len(prototype.parameters) if prototype else 0
        arguments = [value(rng) for _ in range(count + (rng.random() < 0.1))]
        try:
            if rng.random() < 0.2:
                sandbox.call_raw(name, *(rng.getrandbits(64) for _ in range(3)))
            else:
                sandbox.call(name, *arguments)
            outcome.counts["calls that returned"] += 1
        except TmeboxError as error:
            outcome.counts["calls that ended in an error of ours"] += 1
            str(error), repr(getattr(error, "frames", None))
            if isinstance(error, tmebox.Trap):
                sandbox.reset()
        except OF_ARGUMENTS:
            outcome.counts["calls refused"] += 1


def bent_module(rng: random.Random) -> Callable[[Outcome], None]:
    data = bent(rng, module().to_bytes())

    def attempt(outcome: Outcome) -> None:
        loaded = tmebox.Module.from_bytes(data)
        imports = dict.fromkeys(loaded.imports, notify)
        with tmebox.Sandbox(loaded, memory="1MiB", timeout=LIMIT_S, imports=imports) as sandbox:
            outcome.counts["module files loaded"] += 1
            use(rng, sandbox, outcome)

    return attempt


def bent_prototypes(rng: random.Random) -> Callable[[Outcome], None]:
    """The code stays, and what is said of its functions changes: numbers, names, nesting."""

    def attempt(outcome: Outcome) -> None:
        file = module().file
        exports = []
        for export in file.exports:
            prototype = export.prototype
            if prototype is not None and rng.random() < 0.7:
                tree = json.loads(json.dumps(prototype_to_json(prototype)))
                try:
                    prototype = prototype_from_json(bent_tree(rng, tree))
                except TmeboxError:
                    outcome.counts["prototypes refused"] += 1
            exports.append(dataclasses.replace(export, prototype=prototype))
        changed = dataclasses.replace(file, exports=tuple(exports))
        loaded = tmebox.Module(codec.decode(codec.encode(changed)))
        imports = dict.fromkeys(loaded.imports, notify)
        with tmebox.Sandbox(loaded, memory="1MiB", timeout=LIMIT_S, imports=imports) as sandbox:
            outcome.counts["prototypes used"] += len(exports)
            use(rng, sandbox, outcome)

    return attempt


def bent_snapshot(rng: random.Random) -> Callable[[Outcome], None]:
    body = bent(rng, snapshot_bytes()[:-SEAL_BYTES])
    data = body + hashlib.sha256(body).digest()  # the seal that anyone can make

    def attempt(outcome: Outcome) -> None:
        snapshot = tmebox.Snapshot.from_bytes(data, module(), memory="4MiB")
        with snapshot.spawn(timeout=LIMIT_S, imports={"notify": notify}) as sandbox:
            outcome.counts["snapshots started from"] += 1
            use(rng, sandbox, outcome)

    return attempt


KINDS = {"module files": bent_module, "prototypes": bent_prototypes, "snapshots": bent_snapshot}


def batch(seed: int, number: int) -> Outcome:
    """In a child process."""
    outcome = Outcome()
    for index in range(BATCH):
        kind = list(KINDS)[index % len(KINDS)]
        rng = random.Random(f"{seed} {number} {index}")
        attempt, began = KINDS[kind](rng), time.monotonic()
        outcome.counts[f"{kind} tried"] += 1
        try:
            attempt(outcome)
        except TmeboxError as error:
            outcome.counts[f"{kind} refused"] += 1
            str(error)
        except Exception as error:
            outcome.findings.append(f"seed {seed}, batch {number}, {kind} {index}: {error!r}")
        if time.monotonic() - began > SLOW_S:
            outcome.findings.append(f"seed {seed}, batch {number}, {kind} {index}: it took very long")
    return outcome


PART = Batches("files", batch, prepare=snapshot_bytes)
