"""The campaign's runner: what it adds up, keeps and says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.part import MOST_FINDINGS, Tally
from tests.campaign.run import FOLDER, Campaign, discover, markdown, run, table

pytestmark = pytest.mark.slow


@dataclass
class Counting:
    """Counts from where it was, one number in each turn, and is done at `end`."""

    name: str = "counting"
    end: int = 3

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        tally = Tally()
        tally.count("turns")
        number = (state or 0) + 1
        if number == self.end:
            tally.find(f"seed {seed} came to the end")
            return tally, number
        time.sleep(max(0.0, deadline_s - time.monotonic()))
        return tally, number


class Raising:
    name = "raising"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        raise ZeroDivisionError("for the test")


class Dying:
    name = "dying"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        os._exit(7)


def test_a_campaign_goes_on_where_its_state_file_left_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for _ in range(3):
        campaign = Campaign.load(path, 11)
        list(run(campaign, [Counting()], 0.05, 1))
        campaign.save(path)
    standing = Campaign.load(path, None).parts["counting"]
    assert standing.states == {"0": 3}
    assert standing.counts == {"turns": 3, "disagreements": 1}
    assert standing.findings == ["seed 11 came to the end"]
    assert standing.seconds > 0


def test_jobs_have_seeds_and_states_of_their_own() -> None:
    campaign = Campaign(20)
    list(run(campaign, [Counting(end=1)], 0.05, 2))
    found = sorted(campaign.parts["counting"].findings)
    assert found == [f"seed {seed} came to the end" for seed in (20, 21)]
    assert campaign.parts["counting"].states == {"0": 1, "1": 1}


def test_parts_take_turns_and_one_that_raises_is_a_finding() -> None:
    campaign = Campaign(1)
    list(run(campaign, [Raising(), Counting(end=9)], 0.05, 1))
    assert "ZeroDivisionError: for the test" in campaign.parts["raising"].findings[0]
    assert campaign.parts["raising"].found == 1
    assert campaign.parts["counting"].counts == {"turns": 1}


def test_a_part_that_ends_its_process_is_a_finding() -> None:
    campaign = Campaign(1)
    list(run(campaign, [Dying()], 0.05, 1))
    assert campaign.parts["runner"].findings == ["job 0 (seed 1) ended with status 7"]


def test_a_state_file_of_another_seed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    Campaign(5).save(path)
    with pytest.raises(ValueError, match="made with seed 5, not 6"):
        Campaign.load(path, 6)


def test_findings_are_counted_though_not_all_are_kept() -> None:
    tally = Tally()
    for number in range(MOST_FINDINGS + 5):
        tally.find(str(number))
    assert len(tally.findings) == MOST_FINDINGS
    assert tally.counts["disagreements"] == MOST_FINDINGS + 5


def test_results_are_a_table_and_markdown() -> None:
    campaign = Campaign(3)
    list(run(campaign, [Counting(end=1)], 0.05, 1))
    assert "counting  disagreements     1" in table(campaign)
    assert "| counting | turns | 1 |" in markdown(campaign)
    assert "    seed 3 came to the end" in markdown(campaign)


def test_every_part_in_the_folder_is_found() -> None:
    assert len(discover()) == len(list(FOLDER.glob("part_*.py")))
    assert {"encodings", "processor"} <= set(discover())


def test_an_unknown_part_is_refused() -> None:
    command = [sys.executable, "-m", "tests.campaign.run", "--parts", "nothing", "--seconds", "1"]
    done = subprocess.run(command, cwd=FOLDER.parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no part nothing" in done.stderr
