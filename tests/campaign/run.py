"""The campaign: parts that look for defects, for as long as given.

    python -m tests.campaign.run --seconds 600 --state FILE

Parts are the files `part_*.py` beside this one, each with a `PART` (see part.py). They take turns of SLICE_S
seconds, in as many processes as `--jobs` says, each with a seed of its own. What they return is kept in the
state file after each turn, so that the next run goes on from there.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import queue
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.campaign.part import Part, Tally

FOLDER: Final = Path(__file__).parent
SLICE_S: Final = 30.0
MOST_FINDINGS: Final = 200
"""How many findings of a part are kept. All are counted."""


def discover() -> dict[str, Part]:
    """Every part, by its name."""
    names = [f"{__package__}.{path.stem}" for path in sorted(FOLDER.glob("part_*.py"))]
    modules = [importlib.import_module(name) for name in names]
    return {module.PART.name: module.PART for module in modules}


@dataclass
class Standing:
    """What all runs of a part have come to. states: what each job's last turn returned."""

    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    found: int = 0
    findings: list[str] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)

    def add(self, turn: Turn) -> None:
        self.seconds += turn.seconds
        for name, number in turn.tally.counts.items():
            self.counts[name] = self.counts.get(name, 0) + number
        self.found += max(len(turn.tally.findings), turn.tally.counts.get("disagreements", 0))
        new = [finding for finding in turn.tally.findings if finding not in self.findings]
        self.findings += new[: max(0, MOST_FINDINGS - len(self.findings))]
        self.states[str(turn.job)] = turn.state


@dataclass(frozen=True)
class Turn:
    """What one turn of a part, in one job, returned. is_over: it did not use its time, so it gets no more."""

    part: str
    job: int
    seconds: float
    tally: Tally
    state: Any
    is_over: bool


@dataclass
class Campaign:
    """seed: job 0's; job N has N more."""

    seed: int
    parts: dict[str, Standing] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path | None, seed: int | None) -> Campaign:
        """What the file holds, or a new one. ValueError where its seed is another one."""
        if path is None or not path.exists():
            return cls(seed if seed is not None else int.from_bytes(os.urandom(4), "little"))
        held = json.loads(path.read_text())
        if seed not in (None, held["seed"]):
            raise ValueError(f"{path} was made with seed {held['seed']}, not {seed}: use another state file")
        return cls(held["seed"], {name: Standing(**standing) for name, standing in held["parts"].items()})

    def save(self, path: Path) -> None:
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(asdict(self)))
        new.replace(path)


def take_turn(part: Part, job: int, seed: int, deadline_s: float, state: Any) -> Turn:
    """One turn. What the part raises is a finding."""
    began = time.monotonic()
    try:
        tally, state = part.run(seed, deadline_s, state)
    except Exception:
        tally = Tally(findings=[f"seed {seed}, state {json.dumps(state)[:2000]}: {traceback.format_exc()}"])
        return Turn(part.name, job, time.monotonic() - began, tally, state, is_over=True)
    is_over = time.monotonic() < deadline_s
    return Turn(part.name, job, time.monotonic() - began, tally, state, is_over)


def turns(parts: Sequence[Part], job: int, seed: int, states: dict[str, Any], end_s: float) -> Iterator[Turn]:
    """The parts one after the other, each at least once, again and again until end_s; jobs begin with
    different ones."""
    waiting = [*parts[job % len(parts) :], *parts[: job % len(parts)]]
    had_one: set[str] = set()
    while waiting and (time.monotonic() < end_s or waiting[0].name not in had_one):
        part = waiting.pop(0)
        had_one.add(part.name)
        left_s = max(0.0, end_s - time.monotonic())
        slice_s = min(SLICE_S, left_s / (len(waiting) + 1) if left_s < SLICE_S * len(parts) else SLICE_S)
        turn = take_turn(part, job, seed, time.monotonic() + slice_s, states.get(part.name))
        states[part.name] = turn.state
        yield turn
        if not turn.is_over:
            waiting.append(part)


def run(campaign: Campaign, parts: Sequence[Part], seconds: float, jobs: int) -> Iterator[Turn]:
    """Run the parts in `jobs` processes for so long; yields each turn after `campaign` has got it."""
    context = multiprocessing.get_context("fork")
    results: Any = context.Queue()
    end_s = time.monotonic() + seconds

    def work(job: int) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        states = {
            name: standing.states[str(job)]
            for name, standing in campaign.parts.items()
            if str(job) in standing.states
        }
        for turn in turns(parts, job, campaign.seed + job, states, end_s):
            results.put(turn)

    workers = [context.Process(target=work, args=(job,), daemon=True) for job in range(jobs)]
    for worker in workers:
        worker.start()
    for turn in _until_done(results, workers):
        campaign.parts.setdefault(turn.part, Standing()).add(turn)
        yield turn
    for job, worker in enumerate(workers):
        worker.join()
        if worker.exitcode:
            text = f"job {job} (seed {campaign.seed + job}) ended with status {worker.exitcode}"
            turn = Turn("runner", job, 0.0, Tally(findings=[text]), None, is_over=True)
            campaign.parts.setdefault("runner", Standing()).add(turn)
            yield turn


def _until_done(results: Any, workers: Iterable[Any]) -> Iterator[Turn]:
    while True:
        alive = any(worker.is_alive() for worker in workers)
        try:
            yield results.get(timeout=0.5)
        except queue.Empty:
            if not alive:
                return


# -- saying what came of it --------------------------------------------------------------------------------


def rows(campaign: Campaign) -> Iterator[tuple[str, str, str]]:
    """Part, what was counted, how many."""
    for name, standing in sorted(campaign.parts.items()):
        yield name, "hours", f"{standing.seconds / 3600:.2f}"
        for count, number in standing.counts.items():
            yield name, count, f"{number:,}"
        yield name, "findings", f"{standing.found:,}"


def table(campaign: Campaign) -> str:
    lines = list(rows(campaign))
    widths = [max(len(line[column]) for line in [*lines, ("", "", "")]) for column in range(3)]
    return "\n".join(
        f"{part:{widths[0]}}  {what:{widths[1]}}  {number:>{widths[2]}}" for part, what, number in lines
    )


def markdown(campaign: Campaign) -> str:
    lines = [f"Seed {campaign.seed}.", "", "| part | what | number |", "|---|---|---:|"]
    lines += [f"| {part} | {what} | {number} |" for part, what, number in rows(campaign)]
    for name, standing in sorted(campaign.parts.items()):
        for finding in standing.findings:
            lines += ["", f"Finding of {name}:", "", *(f"    {line}" for line in finding.splitlines())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """0 if nothing was found, now or in earlier runs with the same state."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the workers end with this process
    arguments = _arguments()
    known = discover()
    names = [name for name in (arguments.parts or "").split(",") if name] or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no part {', '.join(unknown)}: there are {', '.join(known)}", file=sys.stderr)
        return 2
    campaign = Campaign.load(arguments.state, arguments.seed)
    seconds = arguments.seconds + 3600 * arguments.hours or 60.0
    print(f"seed {campaign.seed}, {arguments.jobs} jobs, {seconds:.0f} s: {', '.join(names)}", flush=True)
    for turn in run(campaign, [known[name] for name in names], seconds, arguments.jobs):
        if arguments.state:
            campaign.save(arguments.state)
        for finding in turn.tally.findings:
            print(f"{turn.part}, seed {campaign.seed + turn.job}: {finding}", flush=True)
    print(table(campaign))
    if arguments.report:
        arguments.report.write_text(markdown(campaign))
    return 1 if any(standing.found for standing in campaign.parts.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the campaign.")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long; 60 if neither is given")
    parser.add_argument("--hours", type=float, default=0.0)
    parser.add_argument("--parts", help="their names, with commas; all if not given")
    parser.add_argument("--seed", type=int, help="a random one if not given; of a state file: its own")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--state", type=Path, help="a JSON file to go on from and to keep results in")
    parser.add_argument("--report", type=Path, help="a Markdown file for the results")
    words = [
        word.lower() if word.startswith("--") else word for word in sys.argv[1:]
    ]  # make's are in capitals
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
