"""Code that tmebox runs for a purpose of its own: it has no world, whatever it takes over in its window."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

import tmebox
from tmebox import abi
from tmebox.runtime.system.no_world import ANSWERED
from tmebox.runtime.system.table import TABLE
from tmebox.runtime.worldless import WorldlessSandbox

SOURCE = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
__attribute__((constructor)) static void first(void) { write(1, "constructor", 11); }
int calls(void) {
    struct timespec now;
    int streams[2];
    char byte;
    int done = write(1, "out", 3) >= 0 || write(2, "err", 3) >= 0 || read(0, &byte, 1) >= 0;
    done |= (clock_gettime(CLOCK_REALTIME, &now) == 0) << 1;
    done |= (clock_gettime(CLOCK_MONOTONIC, &now) == 0) << 2;
    done |= (time(NULL) > 0) << 3 | (getrandom(&byte, 1, 0) == 1) << 4 | (pipe(streams) == 0) << 5;
    done |= (open("/dev/null", O_RDONLY) >= 0) << 6 | (dup(1) >= 0) << 7;
    return done;
}
long ask(long number) { return syscall(number, 1, 0, 0, 0, 0, 0) == -1 ? -errno : 0; }
int prints(void) { return printf("still in the buffer"); }
void prints_at_once(void) { puts("out"); fflush(stdout); fputs("err", stderr); }
void ends(int how) { fputs("words", stderr); if (how) exit(3); else abort(); }
int one(void) { return 1; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def test_nothing_of_the_host_is_there(module: tmebox.Module, capfd: pytest.CaptureFixture[str]) -> None:
    with WorldlessSandbox(module) as sandbox:
        assert sandbox.calls() == 0
        sandbox.prints_at_once()
        assert sandbox.prints() == 19
        sandbox.reset()
        assert sandbox.calls() == 0 and sandbox.prints() == 19
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", [0, 1])
def test_it_ends_by_a_trap(module: tmebox.Module, how: int, capfd: pytest.CaptureFixture[str]) -> None:
    with WorldlessSandbox(module) as sandbox:
        sandbox.prints()
        with pytest.raises(tmebox.Aborted, match=r"exit\(3\)" if how else r"abort\(\)"):
            sandbox.ends(how)
        sandbox.reset()
        assert sandbox.one() == 1
    assert capfd.readouterr() == ("", "")


def test_every_call_that_reaches_the_world_is_refused(module: tmebox.Module) -> None:
    """Also those that the core answers by itself, elsewhere."""
    with WorldlessSandbox(module) as sandbox:
        sandbox.one()
        place = sandbox.array(48).__array_interface__["data"][0] - sandbox.base
        for number in {*TABLE, abi.SYS_CLOCK, *(abi.SYS_DIRECT + each for each in TABLE)} - ANSWERED:
            assert sandbox._tenancy.system_call(number, place) == -errno.ENOSYS, number
        assert (
            sandbox._tenancy.system_if_made is not None and sandbox.calls() == 0
        )  # the core was lent nothing


def test_whatever_tmebox_runs_for_itself_has_no_world() -> None:
    package = Path(tmebox.__file__).parent
    for path in [*(package / "python").rglob("*.py"), *(package / "binding").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called.rpartition(".")[2] != "Sandbox", f"{path.name}: {ast.unparse(node)}"
