"""How many of the host's descriptors guests can take: each alone, and all together."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

import tmebox
from tests.forked import run_forked
from tests.runtime.system.guest_side import Guest, succeed
from tmebox import _native
from tmebox.runtime.system import Directory, System, files
from tmebox.runtime.system.descriptors import DEFAULT_MAX_OPEN, FEWEST_OPEN, default_max_open
from tmebox.runtime.system.directories import HostDirectory
from tmebox.runtime.system.paths import Namespace

R = TypeVar("R")
OPENER = """
#include <fcntl.h>
int hog(void) { int n = 0; while (open("/d/f", O_RDONLY) >= 0) n++; return n; }
"""


def with_limit(soft: int, action: Callable[[], R]) -> R:
    """What `action` returns in a process that may have `soft` descriptors."""

    def limited() -> R:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        return action()

    return run_forked(limited).result()


def open_all(guest: Guest) -> tuple[int, int]:
    """(files it could open, the error that ended it)"""
    count = 0
    while (result := guest.open("/d/f")) >= 0:
        count += 1
    return count, -result


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "f").write_bytes(b"")
    return tmp_path


def new_guest(directory: Path, limit: int | None = None) -> Guest:
    return Guest(System(directories=[Directory(directory, "/d")], max_open_files=limit))


def test_a_guest_has_a_limit_of_its_own(directory: Path) -> None:
    for limit in (FEWEST_OPEN, 10, 40):
        assert open_all(new_guest(directory, limit)) == (limit - 3, errno.EMFILE)
    assert open_all(new_guest(directory)) == (default_max_open() - 3, errno.EMFILE)


@pytest.mark.parametrize("soft", [64, 256, 1024, 4096])
def test_the_default_is_well_below_what_the_process_may_have(soft: int) -> None:
    chosen = with_limit(soft, default_max_open)
    assert FEWEST_OPEN < chosen <= min(soft // 16, DEFAULT_MAX_OPEN)


def test_all_guests_together_leave_descriptors_to_the_host(directory: Path) -> None:
    # Half of the limit, less what this process has open, and what the grants of twenty guests take.
    left_to_the_host = 128 - len(os.listdir("/proc/self/fd")) - 2 * 20
    assert left_to_the_host > 0, os.listdir("/proc/self/fd")

    def hog() -> tuple[int, int, int, bool]:
        guests = [new_guest(directory, 200) for _ in range(20)]
        taken = [open_all(guest) for guest in guests]
        mine = [os.open(directory / "f", os.O_RDONLY) for _ in range(left_to_the_host)]
        last = taken[-1][1]
        for number in mine:
            os.close(number)
        for guest in guests:
            guest.system.close()
        newest = new_guest(directory)
        again = succeed(newest.open("/d/f")) >= 0
        return sum(count for count, _ in taken), last, files.opened(), again

    taken, last, left, again = with_limit(256, hog)
    assert (taken, last) == (128, errno.ENFILE)
    assert left == 1 and again  # what is closed counts no more


def test_every_kind_of_open_file_counts_and_closing_it_is_noticed(directory: Path) -> None:
    before = files.opened()
    guest = new_guest(directory)
    for path in ("/d/f", "/d"):
        number = succeed(guest.open(path))
        copy = succeed(guest("dup", number))
        assert files.opened() == before + 1
        guest("close", number)
        assert files.opened() == before + 1
        guest("close", copy)
        assert files.opened() == before
    guest("truncate", "/d/f", 0)
    guest.open("/d/f")
    guest.system.reset()
    assert files.opened() == before


def test_sandboxes_and_programs_take_the_limit_as_an_option(directory: Path) -> None:
    module = tmebox.compile(source_text=OPENER)
    with tmebox.Sandbox(module, dirs=[(directory, "/d", True)], files=9) as sandbox:
        assert sandbox.hog() == 6
        with tmebox.Sandbox(module, dirs=[(directory, "/d", True)]) as other:
            assert other.hog() == default_max_open() - 3
    for wrong in (2, 0, -1, True, "9", 4.0):
        with pytest.raises(ValueError, match="files="):
            tmebox.Sandbox(module, files=wrong)  # type: ignore[arg-type]
    program = tmebox.compile(source_text=OPENER + "int main(void) { return hog(); }")
    with tmebox.Sandbox(program, dirs=[(directory, "/d", True)], files=12) as sandbox:
        assert sandbox.run().exit_code == 9


def test_a_host_that_is_low_on_descriptors_goes_on_whatever_its_sandboxes_do(directory: Path) -> None:
    module = tmebox.compile(source_text=OPENER)

    def crowd() -> list[int]:
        sandboxes = [tmebox.Sandbox(module, dirs=[(directory, "/d", True)]) for _ in range(20)]
        counts = [sandbox.hog() for sandbox in sandboxes]
        for _ in range(20):
            os.open(directory / "f", os.O_RDONLY)
        tmebox.Sandbox(module, dirs=[(directory, "/d", True)])
        return counts

    counts = with_limit(256, crowd)
    assert sum(counts) <= 128 and counts[0] > 0


def test_a_file_is_closed_whatever_interrupts_its_end(directory: Path) -> None:
    """A signal handler that raises comes in at any bytecode: at none is a descriptor only a number."""
    numbers = [os.open(directory / "f", os.O_RDONLY) for _ in range(2)]
    before = files.opened()
    file = files.HostFile(numbers[0], os.O_RDONLY, 1, False, 1 << 20)
    kept, again = file._own, _native.Descriptor(numbers[1])
    assert files.opened() == before + 1
    del file
    assert (kept.number, files.opened()) == (numbers[0], before + 1)
    del kept
    assert files.opened() == before
    again.close()
    again.close()
    assert again.number == -1
    for number in numbers:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(number)
    assert not any(hasattr(kind, "__del__") for kind in (files.HostFile, HostDirectory, Namespace))
