"""A million random operations on the model of TME-MK and its reference, in every mode."""

from __future__ import annotations

import pytest

from tests.tme.differential import compare
from tmebox import tme
from tmebox.tme.forgery import measure

pytestmark = pytest.mark.soak

OPERATIONS = 1_000_000
EACH = 20_000


def test_a_million_operations_agree() -> None:
    reference = pytest.importorskip("tmebox.tme.reference", reason="needs the package cryptography")
    answers: dict[str, int] = {}
    for seed in range(1000, 1000 + OPERATIONS // EACH):
        for name, count in compare(tme.Machine, reference.ReferenceMachine, seed, EACH).items():
            answers[name] = answers.get(name, 0) + count
    print(f"{sum(answers.values()):,} operations: {answers}")
    assert sum(answers.values()) == OPERATIONS
    assert answers["IntegrityError"] > OPERATIONS // 100


def test_forgeries_are_measured_up_to_20_bits() -> None:
    result = measure(range(4, 21), 200)
    print(result)
    assert result.low <= 2.0**-28 <= result.high or abs(result.slope + 1) < 0.03
    for sample in result.samples:
        assert sample.interval[0] * 0.7 < 2.0**-sample.bits < sample.interval[1] * 1.4
