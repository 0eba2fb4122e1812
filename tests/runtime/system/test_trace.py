"""Who asks to be told learns what a guest was refused."""

from __future__ import annotations

import errno
from pathlib import Path

import tmebox
from tests.runtime.system.guest_side import Guest
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.table import TABLE
from tmebox.runtime.system.trace import UNANSWERED, CallCounts, Refusal


def test_refusals_have_the_calls_name_its_error_and_its_path(tmp_path: Path) -> None:
    found: list[Refusal] = []
    guest = Guest(System(directories=[Directory(tmp_path, "/d")], trace=found.append))
    guest.open("/d/none")
    guest("mkdir", "/d/made", 0o755)
    guest.system.handle(guest.memory, 57, (0,) * 6)
    guest.system.handle(guest.memory, 9999, (0,) * 6)
    assert [str(one) for one in found][1:] == ["fork: ENOSYS", "system call 9999: ENOSYS"]
    assert found[0].error == errno.ENOENT and found[0].path == "/d/none"


def test_calls_that_are_never_answered_are_not_answered() -> None:
    assert not UNANSWERED.keys() & TABLE.keys()


def test_calls_are_counted_with_who_answered_them(tmp_path: Path) -> None:
    source = tmp_path / "calls.c"
    source.write_text(
        "#include <time.h>\n#include <unistd.h>\n"
        "int main(void) { struct timespec t; char b; for (int i = 0; i < 5; i++) { "
        'clock_gettime(CLOCK_MONOTONIC, &t); read(0, &b, 1); getcwd(0, 1); chdir("/"); } }\n'
    )
    calls = CallCounts()
    with (tmp_path / "in").open("wb+") as stdin, tmebox.Sandbox(tmebox.compile(source)) as sandbox:
        sandbox.run(stdin=stdin.fileno(), calls=calls)
    assert calls.by_core["clock_gettime"] == calls.by_core["read"] == 5
    assert calls.by_python["clock_gettime"] == calls.by_python["read"] == 0
    assert calls.by_python["chdir"] == 5 and calls.by_core["chdir"] == 0
