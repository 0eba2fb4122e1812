"""What the trial makes of what a virtual machine says; and the pieces that it is put together from."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tmebox.driver import machine, mutants, trial
from tmebox.driver.archive import archive
from tmebox.driver.build import sources
from tmebox.driver.kernels import Kernel

DRIVER = Path(__file__).parents[2] / "driver"


def outcome_of(*lines: str) -> trial.Outcome:
    outcome = trial.Outcome("a machine")
    for line in lines:
        outcome.take(line)
    return outcome


def test_verdicts_counts_and_reasons_are_told_apart() -> None:
    outcome = outcome_of(
        "started",
        "count wrong words between aliases: 957 of 1024",
        "# aliases.c:45: wrong is 0x3bd, not 0",
        "not ok alias every alias reads what every other wrote (0.1 s)",
        "ok grants rights change both ways (1.5 s)",
        "skip checks a machine check is a bus error (0.0 s)",
        "ok end the driver can be unloaded",
        "mutant views_move caught",
        "mutant wrong_shift not caught",
    )
    assert outcome.failed == ["alias: every alias reads what every other wrote"]
    assert outcome.passed == 2
    assert outcome.skipped == ["checks: a machine check is a bus error"]
    assert outcome.counts == ["wrong words between aliases: 957 of 1024"]
    assert outcome.reasons == ["aliases.c:45: wrong is 0x3bd, not 0"]
    assert outcome.mutants == {"views_move": True, "wrong_shift": False}


def test_a_mutant_that_did_not_run_is_not_caught() -> None:
    everyone = [f"mutant {mutant.name} caught" for mutant in mutants.MUTANTS]
    assert trial.all_mutants_caught(outcome_of(*everyone))
    assert not trial.all_mutants_caught(outcome_of(*everyone[1:]))
    assert not trial.all_mutants_caught(
        outcome_of(*everyone[1:], everyone[0].replace("caught", "not caught"))
    )


NOT_STARTED = machine.NotStartedError("the virtual machine: Kernel panic", "a log")
TOO_EARLY = machine.MachineError("the virtual machine: it ended too early", "a log")


@pytest.mark.parametrize(
    ("boots", "ends"),
    [
        ([None], None),
        ([NOT_STARTED, None], None),
        ([NOT_STARTED, NOT_STARTED, None], None),
        ([NOT_STARTED, NOT_STARTED, NOT_STARTED], NOT_STARTED),
        ([NOT_STARTED, TOO_EARLY], TOO_EARLY),
        ([TOO_EARLY], TOO_EARLY),
    ],
)
def test_only_a_kernel_that_has_not_started_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
    boots: list[machine.MachineError | None],
    ends: machine.MachineError | None,
) -> None:
    left = list(boots)

    def run(qemu: machine.Qemu, boot: machine.Boot) -> Iterator[str]:
        error = left.pop(0)
        if error is not NOT_STARTED:
            yield from ("started", "ok alias something")
        if error is not None:
            raise error

    monkeypatch.setattr(machine, "run", run)
    bench = object.__new__(trial.Bench)
    bench.guest = bench.module = b""
    bench.qemu, bench.kernel = machine.Qemu("qemu"), Kernel("6.12", "6.12.1", *[Path("nowhere")] * 3)
    outcome = bench.without_aliases(print)
    assert left == []
    assert outcome.reasons == [f"{NOT_STARTED}: once more"] * (len(boots) - 1)
    assert outcome.failed == ([f"machine: {ends}"] if ends else [])


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_driver(mutant: mutants.Mutant) -> None:
    original = (DRIVER / mutant.file).read_text()
    assert mutants.mutated(original, mutant) != original
    assert mutant.groups in trial.GROUPS


def test_a_mutant_of_a_text_that_is_gone_is_an_error() -> None:
    with pytest.raises(mutants.MutantError, match="0 times"):
        mutants.mutated("nothing", mutants.MUTANTS[0])


def test_every_group_of_tests_is_known_by_name() -> None:
    names = set()
    for file in (DRIVER / "guest").glob("*.c"):
        names |= set(re.findall(r'const struct group \w+ = \{ "(\w+)"', file.read_text()))
    assert names == set(trial.GROUPS)


def test_an_archive_is_one_that_cpio_reads(tmp_path: Path) -> None:
    files = {"init": b"first", "mutants/a.ko": b"x" * 1001, "empty": b""}
    made = archive(files)
    assert made.startswith(b"070701") and len(made) % 4 == 0 and b"TRAILER!!!" in made
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not here")
    done = subprocess.run(
        ["cpio", "-id", "--quiet"], input=made, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {name: (tmp_path / name).read_bytes() for name in files} == files


def test_the_sources_are_found_in_a_checkout() -> None:
    assert sources() == DRIVER


@pytest.mark.parametrize("path", sorted(DRIVER.rglob("*.[ch]")), ids=lambda path: path.name)
def test_each_file_of_the_driver_can_be_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    assert text.startswith(("/* SPDX-License-Identifier: ", "// SPDX-License-Identifier: "))
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert max(map(len, text.expandtabs(8).splitlines())) <= 120
