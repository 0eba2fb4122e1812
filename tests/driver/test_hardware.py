"""What a proof on this very machine makes of what its programs say, and when it is refused. It runs on the
simulated device in `test_virtual_machines.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tmebox.driver import hardware, registers, trial
from tmebox.memory.backends import tmemk

EFFORT = trial.Effort(noise_s=7, cycles=8, rounds=9)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[int, int]]:
    """A file in the place of the device. What it says is the list's only entry: version and flags."""
    (tmp_path / "device").write_bytes(b"")
    said = [(tmemk.VERSION, tmemk.INTEGRITY)]
    monkeypatch.setattr(tmemk, "DEVICE", str(tmp_path / "device"))
    monkeypatch.setattr(tmemk, "_said", lambda _: said[0])
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(registers, "unfit", lambda: "")
    monkeypatch.delenv(tmemk.SIMULATED_VARIABLE, raising=False)
    return said


def test_a_part_with_integrity_and_the_driver_is_tested(device: list[tuple[int, int]]) -> None:
    assert hardware.refusal() == ""


def test_what_the_device_lacks_is_the_reason(
    device: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    device[0] = (tmemk.VERSION, 0)
    assert "has no integrity" in hardware.refusal()
    device[0] = (tmemk.VERSION + 1, tmemk.INTEGRITY)
    assert "version 2 of the driver" in hardware.refusal()
    monkeypatch.setattr(tmemk, "DEVICE", "/nowhere/tmebox")
    assert "tmebox doctor" in hardware.refusal()


def test_a_simulated_device_needs_permission(
    device: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    device[0] = (tmemk.VERSION, tmemk.SIMULATED)
    monkeypatch.setattr(registers, "unfit", lambda: "the CPU has none")
    assert hardware.refusal() == "the CPU has none"
    monkeypatch.setattr(registers, "unfit", lambda: "")
    assert "protects nothing" in hardware.refusal()
    monkeypatch.setenv(tmemk.SIMULATED_VARIABLE, "1")
    assert hardware.refusal() == ""


def test_the_permission_to_simulate_permits_nothing_else(
    device: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tmemk.SIMULATED_VARIABLE, "1")
    monkeypatch.setattr(registers, "unfit", lambda: "the CPU has no integrity for AES-XTS-128")
    assert hardware.refusal() == "the CPU has no integrity for AES-XTS-128"


def test_a_user_who_is_not_root_is_told(
    device: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tmemk, "DEVICE", "/nowhere/tmebox")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "run it as root" in hardware.refusal()


def program(folder: Path, text: str) -> Path:
    file = folder / "tests"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(("flags", "more"), [(tmemk.INTEGRITY, ""), (tmemk.SIMULATED, " simulated=1")])
def test_the_tests_run_as_any_program_does(
    device: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: int, more: str
) -> None:
    device[0] = (tmemk.VERSION, flags)
    monkeypatch.setenv(tmemk.SIMULATED_VARIABLE, "1")
    says = (
        'groups=$1; shift; echo "ok hardware $* (0.0 s)"; echo "count $groups"\n'
        'echo "# hardware.c:5: not true: x"; echo "not ok hardware bytes go from key to key (0.1 s)"'
    )
    seen: list[str] = []
    outcome = hardware.attacks(EFFORT, True, seen.append, program(tmp_path, says))
    assert outcome.verdicts[0] == ("ok", "hardware", f"noise=7 cycles=8 rounds=9 wrong_key=1{more}")
    assert outcome.counts == [",".join(hardware.HERE)]
    assert outcome.failed == ["hardware: bytes go from key to key"]
    assert outcome.reasons == ["hardware.c:5: not true: x"]
    assert [each.split(":")[0] for each in outcome.skipped] == ["alias", "checks"]
    assert len(seen) == 4


@pytest.mark.parametrize("last", ["exit 0", "kill -9 $$", "echo 'ok hardware one (0.0 s)'; kill -9 $$"])
def test_tests_that_say_nothing_or_crash_have_failed(
    device: list[tuple[int, int]], tmp_path: Path, last: str
) -> None:
    assert hardware.attacks(EFFORT, False, lambda _: None, program(tmp_path, last)).failed


def test_every_group_runs_here_but_those_that_look_from_outside() -> None:
    assert set(hardware.HERE) | set(hardware.NEEDS_A_MONITOR) == set(trial.GROUPS)
    assert set(hardware.NEEDS_A_MONITOR) == {"alias", "checks"}


def test_without_the_repositorys_tests_the_heap_cannot_be_tested(tmp_path: Path) -> None:
    with pytest.raises(trial.TrialUnavailableError, match="is not there"):
        hardware.heap(False, lambda _: None, tmp_path)
