"""A QEMU that is unpacked and not installed finds its libraries."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tmebox.driver import machine


def test_libraries_of_both_directories_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """libfuse3 is in /lib: QEMU did not start where it was not installed."""
    command = tmp_path / "usr/bin/qemu-system-x86_64"
    for top in ("usr/lib", "lib"):
        (tmp_path / top / "x86_64-linux-gnu").mkdir(parents=True)
    command.parent.mkdir()
    command.touch()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "with_missing_dependencies", lambda package: tmp_path)
    found = machine._environment(machine.find_qemu())["LD_LIBRARY_PATH"].split(os.pathsep)
    assert found == [str(tmp_path / top / "x86_64-linux-gnu") for top in ("usr/lib", "lib")]
