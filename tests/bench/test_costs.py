"""`tmebox bench machine` times every piece that this CPU can run."""

from __future__ import annotations

import json

import pytest

from tmebox_bench import costs
from tmebox_bench.variants import MissingError


def test_every_piece_is_timed_or_says_what_the_cpu_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "ITERATIONS", 1000)
    monkeypatch.setattr(costs, "REPEATS", 2)
    try:
        found = costs.bench_machine()
    except MissingError as error:
        pytest.skip(str(error))
    assert list(found.ns) == list(costs.PIECES)
    for piece, ns in found.ns.items():
        assert (ns is not None and ns > 0) or piece.feature
    document = json.loads(costs.to_json(found))
    assert len(document["pieces"]) == len(costs.PIECES)
    rows = costs.costs_table(found).rows
    assert len(rows) == len(costs.PIECES)


def test_a_piece_without_its_cpu_feature_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "ITERATIONS", 100)
    monkeypatch.setattr(costs, "REPEATS", 1)
    monkeypatch.setattr(costs, "_flags", frozenset)
    try:
        found = costs.bench_machine()
    except MissingError as error:
        pytest.skip(str(error))
    lacking = {piece for piece, ns in found.ns.items() if ns is None}
    assert lacking == {piece for piece in costs.PIECES if piece.feature}
