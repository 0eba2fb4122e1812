"""The driver in QEMU, on each kernel it is for. Needs QEMU and, once, a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tmebox.driver import trial
from tmebox.driver.kernels import METAPACKAGES

pytestmark = [pytest.mark.slow, pytest.mark.network]

EFFORTS = {"6.1": trial.Effort(noise_s=15, cycles=2_000, rounds=1_000), "6.12": trial.Effort()}
"""One kernel gets all of it."""


@pytest.fixture(scope="module", params=METAPACKAGES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> trial.Bench:
    try:
        return trial.Bench(request.param, tmp_path_factory.mktemp("driver"))
    except trial.TrialUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[list[trial.Outcome]]:
    """What failed leaves its log beside the test's other files."""
    outcomes: list[trial.Outcome] = []
    yield outcomes
    for outcome in outcomes:
        if outcome.log:
            (tmp_path / "console.log").write_text(outcome.log)
            print(f"the kernel's log: {tmp_path / 'console.log'}")


def test_every_attack_fails(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    outcome = bench.whole(EFFORTS[bench.series], print)
    logs.append(outcome)
    assert outcome.failed == [], outcome.reasons
    assert outcome.passed > 50
    assert "wrong words between aliases: 0 of 262144" in outcome.counts


def test_without_memory_behind_the_keys_the_test_of_aliases_fails(bench: trial.Bench) -> None:
    if bench.series != max(METAPACKAGES, key=list(METAPACKAGES).index):
        pytest.skip("one kernel is enough")
    outcome = bench.without_aliases(print)
    assert "alias: every alias reads what every other wrote" in outcome.failed
    assert "machine" not in {group for _, group, _ in outcome.verdicts}


def test_every_mistake_is_caught(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    if bench.series != max(METAPACKAGES, key=list(METAPACKAGES).index):
        pytest.skip("one kernel is enough")
    outcome = bench.mutated(print)
    logs.append(outcome)
    assert trial.all_mutants_caught(outcome), outcome.mutants
