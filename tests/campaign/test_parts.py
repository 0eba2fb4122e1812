"""Each part of the campaign for a few seconds; `make campaign` runs them for as long as wanted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.campaign.part import Part
from tests.campaign.run import discover
from tests.forked import ChildOutcome

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("CAMPAIGN_SECONDS", "3"))
SEED = int(os.environ.get("CAMPAIGN_SEED", "1"))
PARTS = discover()


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_part_of_the_campaign_finds_nothing(part: Part, forked: Callable[..., ChildOutcome]) -> None:
    def run() -> tuple[list[str], dict[str, int], Any]:
        tally, state = part.run(SEED, time.monotonic() + SECONDS, None)
        return tally.findings, tally.counts, json.loads(json.dumps(state))

    findings, counts, state = forked(run, timeout_s=500 + 10 * SECONDS).result()  # it may build a C library
    assert findings == [], f"seed {SEED}"
    assert sum(counts.values()) > 0
    assert state is None or state == json.loads(json.dumps(state))
