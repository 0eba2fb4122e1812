"""The fast machine and the reference agree on random operations; machines that were spoilt do not."""

from __future__ import annotations

import random

import pytest

from tests.tme.differential import compare, options
from tmebox import tme

reference = pytest.importorskip("tmebox.tme.reference", reason="needs the package cryptography")


@pytest.mark.parametrize("seed", range(4))
def test_fast_and_reference_agree(seed: int) -> None:
    answers = compare(tme.Machine, reference.ReferenceMachine, seed, 2000)
    assert answers["value"] > 200
    assert answers["IntegrityError"] > 10


def test_every_mode_is_among_the_options() -> None:
    rng = random.Random(1)
    seen: dict[str, set[object]] = {}
    for _ in range(300):
        for name, value in options(rng).items():
            seen.setdefault(name, set()).add(value)
    assert len(seen["algorithm"]) == 4
    assert len(seen["replacement"]) == 4
    assert seen["detection"] == {"paper", "specification"}
    assert seen["coherent_aliases"] == seen["aliases_forbidden"] == {True, False}
    assert None in seen["cache"] and len(seen["cache"]) == 4
