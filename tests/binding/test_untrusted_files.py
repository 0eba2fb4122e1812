"""Somebody may write to a directory while it is read: a link that takes a file's place leads nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tmebox.binding.header import read_headers
from tmebox.binding.pack import _files
from tmebox.binding.stand_ins import stand_in

SECRET = "#define SECRET_OF_THE_HOST 1\n"


def packed(folder: Path) -> Any:
    try:
        return _files(folder)
    except tmebox.ModuleError as error:
        return str(error)


READERS: dict[str, Callable[[Path], Any]] = {
    "pack": packed,
    "pack, a folder": packed,
    "header": lambda folder: read_headers([folder / "own.h"]),
    "template": lambda folder: stand_in("config.h", [folder]),
}
SWAPPED = {"pack": "own.h", "pack, a folder": "inner", "header": "beside.h", "template": "config.h.in"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a library; beside it what is not its own."""
    (tmp_path / "secret" / "inner").mkdir(parents=True)
    (tmp_path / "library" / "inner").mkdir(parents=True)
    for name in ("own.h", "beside.h", "config.h.in", "inner/deep.h"):
        (tmp_path / "secret" / name).write_text(SECRET)
        (tmp_path / "library" / name).write_text('#include "beside.h"\n')
    return tmp_path / "library"


@pytest.mark.parametrize("reader", READERS)
def test_a_link_that_takes_the_place_in_between_is_not_followed(folder: Path, reader: str) -> None:
    """At the last moment: when it is being opened, whatever was found out before."""
    name = SWAPPED[reader]

    def attack() -> str:
        def swap(event: str, arguments: tuple[Any, ...]) -> None:
            opens = event in ("open", "os.scandir") and isinstance(arguments[0], (str, os.PathLike))
            place = folder / name
            if opens and Path(arguments[0]).name == name and not place.is_symlink():
                place.rename(folder.parent / "away")
                place.symlink_to(folder.parent / "secret" / name)

        sys.addaudithook(swap)
        found = READERS[reader](folder)
        assert (folder / name).is_symlink()
        return str(found)

    outcome = run_forked(attack)
    assert "SECRET_OF_THE_HOST" not in outcome.result()


@pytest.mark.parametrize("reader", ["pack", "header", "template"])
def test_a_pipe_is_no_file_and_nobody_waits_for_it(folder: Path, reader: str) -> None:
    place = folder / SWAPPED[reader]
    place.unlink()
    os.mkfifo(place)
    if reader == "pack":
        assert "is no file" in str(packed(folder))
    elif reader == "header":
        assert set(read_headers([folder / "own.h"])) == {"own.h"}
    else:
        assert stand_in("config.h", [folder]) == ""


def test_a_package_is_as_large_as_it_may_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sum(map(len, packed(folder).values()))
    monkeypatch.setattr("tmebox.binding.pack.MOST_BYTES", size)
    assert len(packed(folder)) == 4
    monkeypatch.setattr("tmebox.binding.pack.MOST_BYTES", size - 1)
    assert "has more than" in packed(folder)
