"""The backend `tmemk` where there is no device, or one that it must not trust. What it does with one:
tests/driver."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import tmebox
from tmebox.memory.backends import tmemk

INTEGRITY, SIMULATED = 1, 4


def test_without_the_driver_it_is_refused_with_advice() -> None:
    if Path(tmemk.DEVICE).exists():
        pytest.skip("the driver is loaded here")
    with pytest.raises(OSError, match="tmebox doctor"):
        tmebox.SharedHeap("1MiB", backend="tmemk")


def test_backends_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="write 'mmu' or 'model' or 'tmemk'"):
        tmebox.SharedHeap("1MiB", backend="mpk")  # type: ignore[arg-type]


def test_a_file_that_is_no_device_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "tmebox"
    file.write_bytes(b"")
    monkeypatch.setattr(tmemk, "DEVICE", str(file))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError):
        tmebox.SharedHeap("1MiB", backend="tmemk")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_simulated_device_is_refused_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(tmemk.SIMULATED_VARIABLE, raising=False)
    with pytest.raises(tmemk.UnusableError, match="protects nothing"):
        tmemk._check(tmemk.VERSION, SIMULATED)
    monkeypatch.setenv(tmemk.SIMULATED_VARIABLE, "1")
    tmemk._check(tmemk.VERSION, SIMULATED)


def test_a_device_without_integrity_or_of_another_version_is_refused() -> None:
    tmemk._check(tmemk.VERSION, INTEGRITY)
    with pytest.raises(tmemk.UnusableError, match="integrity"):
        tmemk._check(tmemk.VERSION, 0)
    with pytest.raises(tmemk.UnusableError, match="version 2"):
        tmemk._check(2, INTEGRITY)


def test_the_numbers_are_those_of_the_drivers_header() -> None:
    assert tmemk.INFO.size == 64
    assert tmemk.INFO_CALL == 0x8040B700
