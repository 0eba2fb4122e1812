"""All that `tests.verify.changes` knows of: bytes and claims of accepted examples, one changed at a time.

Tests look at some of it. What the verifier still accepts, the second opinion may not object to.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tests.campaign.part import Tally
from tests.verify.changes import KINDS, Change, changeable
from tests.verify.corpus import ACCEPT, Example, assemble
from tests.verify.opinions import objections
from tmebox import abi

BATCH: Final = 300


@cache
def examples() -> dict[Path, Example]:
    with tempfile.TemporaryDirectory() as folder:
        return assemble(sorted(ACCEPT.glob("*.s")), Path(folder))


def in_order(seed: int) -> Iterator[tuple[str, Change]]:
    """All changes, each with its base. Those of an example follow each other; the seed shuffles examples."""
    makers = [
        (base, kind, what, example)
        for base in abi.BASES
        for kind in KINDS
        for what, example in changeable(examples(), base).items()
    ]
    random.Random(seed).shuffle(makers)
    for base, kind, what, example in makers:
        for change in kind(what, example):
            yield base, change


class Changes:
    name = "changes"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many changes are done in the order that the seed makes."""
        tally = Tally()
        if shutil.which("objdump") is None:
            tally.count("not run: objdump is not installed")
            return tally, state
        done = state["done"] if state and state.get("seed") == seed else 0
        left = islice(in_order(seed), done, None)
        with tempfile.TemporaryDirectory() as folder:
            while batch := list(islice(left, BATCH)):
                for base in abi.BASES:
                    ours = [change for of, change in batch if of == base]
                    texts = {change.what: text for change in ours if (text := change.survivor())}
                    tally.count("changes tried", len(ours))
                    tally.count("changes accepted", len(texts))
                    for objection in objections(texts, base, Path(folder)) if texts else ():
                        tally.find(f"{base}: {objection}")
                done += len(batch)
                if time.monotonic() >= deadline_s:
                    break
        return tally, {"seed": seed, "done": done}


PART = Changes()
