"""`tmebox driver` and what `tmebox doctor` says of memory encryption."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command_line import Run
from tmebox.cli import doctor
from tmebox.driver import registers

INTEGRITY_ALLOWED = 2 << 48
PART = registers.Registers(
    has_tme=True,
    has_pconfig=True,
    has_movdir64b=True,
    address_bits=52,
    capability=0b11 | 6 << 32 | 63 << 36,
    activate=0b11 | 6 << 32 | INTEGRITY_ALLOWED,
)


def test_a_proof_on_hardware_is_refused_without_integrity(tmebox: Run) -> None:
    try:
        registers.layout(registers.read())
        pytest.skip("this machine has TME-MK with integrity")
    except registers.UnusableError as error:
        reason = str(error)
    done = tmebox("driver", "test", "--hardware")
    assert done.code == 1
    assert "no proof on this machine" in done.err
    assert reason in " ".join(done.err.split())


def test_a_kernel_that_is_not_known_is_refused(tmebox: Run) -> None:
    done = tmebox("driver", "test", "--kernel", "2.4")
    assert done.code == 2
    assert "6.12" in done.err


def test_what_is_missing_for_virtual_machines_is_named(tmebox: Run, tmp_path: Path) -> None:
    done = tmebox("driver", "test", "--quick", env={"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)})
    assert done.code == 1
    assert "the driver cannot be tested here: there is no make here" in " ".join(done.err.split())


def found_with(monkeypatch: pytest.MonkeyPatch, part: registers.Registers, handler: bool = True) -> str:
    monkeypatch.setattr(registers, "read", lambda: part)
    monkeypatch.setattr(registers, "handles_machine_checks", lambda: handler)
    row = next(each for each in doctor.examine() if each.what == "memory encryption")
    return f"{row.status}: {row.found}; {row.advice}"


def test_doctor_tells_how_many_keys_there_are_and_what_tdx_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "63 keys" in found_with(monkeypatch, PART)
    with_tdx = registers.Registers(**{**vars(PART), "activate": (PART.activate or 0) | 2 << 36})
    assert "15 keys" in found_with(monkeypatch, with_tdx)
    assert "TDX has 48 more" in found_with(monkeypatch, with_tdx)


def test_doctor_tells_why_it_is_not_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "none is needed" in found_with(monkeypatch, registers.Registers())
    unlocked = registers.Registers(**{**vars(PART), "activate": (PART.activate or 0) & ~1})
    assert "unlocked" in found_with(monkeypatch, unlocked)
    unread = registers.Registers(has_tme=True)
    assert "modprobe msr" in found_with(monkeypatch, unread)


def test_doctor_warns_of_kernels_that_would_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "docs/driver.md" in found_with(monkeypatch, PART)
    assert "do not use the driver" in found_with(monkeypatch, PART, handler=False)


def test_reading_with_wrong_keys_is_only_for_hardware(tmebox: Run) -> None:
    done = tmebox("driver", "test", "--wrong-key")
    assert done.code == 2
    assert "only with --hardware" in done.err


FAKE = """
from tmebox.driver import hardware, trial
hardware.refusal = lambda: ""
def said(*verdicts):
    outcome = trial.Outcome("this machine")
    outcome.verdicts.extend(verdicts)
    return outcome
hardware.attacks = lambda effort, wrong_key, watch, program: said(
    ("ok", "grants", f"{effort.noise_s} {wrong_key}"))
hardware.heap = lambda wrong_key, watch, prepared: said(HEAP)
from tmebox.cli.app import app
app()
"""


@pytest.mark.parametrize(
    ("heap", "code"),
    [('("ok", "heap", "x")', 0), ('("not ok", "heap", "x")', 1), ('("skip", "heap", "only a MAC")', 0)],
)
def test_a_proof_on_hardware_is_the_attacks_and_the_shared_heap(heap: str, code: int) -> None:
    program = FAKE.replace("HEAP", heap)
    command = [sys.executable, "-c", program, "driver", "test", "--hardware", "--quick", "--wrong-key"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "the machine ends" in " ".join(done.stderr.split())
    assert done.stdout.count("this machine: ") == 2
