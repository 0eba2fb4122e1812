"""What the C library has buffered for stdout arrives, however the sandbox ends."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable

import pytest

import tmebox
from tests.forked import run_forked
from tmebox import abi

PRINTER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
void fail(void);
void say(const char *text) { fputs(text, stdout); }
void fault(void) { fputs("before", stdout); *(volatile int *)0 = 1; }
void divide(int by) { fputs("before", stdout); volatile int r = 100 / by; (void)r; }
void deep(int n) { volatile char room[4096]; room[0] = n; if (n >= 0) deep(n + 1); room[1] = n; }
void overflow(void) { fputs("before", stdout); deep(0); }
void spin(void) { fputs("before", stdout); for (;;) ; }
void give_up(void) { fputs("before", stdout); abort(); }
void leave(void) { fputs("before", stdout); exit(3); }
void illegal(void) { fputs("before", stdout); __builtin_trap(); }
void call_host(void) { fputs("before", stdout); fail(); }
void silent(void) { }
/* Any two words for the ends of what is buffered, and any descriptor. */
void lie(long begin, long end, int fd, unsigned long wpos, unsigned long wbase, unsigned long number)
{
    fputs("x", stdout);
    *(long *)((char *)stdout + wpos) = end;
    *(long *)((char *)stdout + wbase) = begin;
    *(int *)((char *)stdout + number) = fd;
}
int main(int argc, char **argv)
{
    fputs("before", stdout);
    if (argc > 1 && !strcmp(argv[1], "fault")) *(volatile int *)0 = 1;
    if (argc > 1 && !strcmp(argv[1], "closed")) close(1);
    if (argc > 1 && strcmp(argv[1], "quick")) fail();
    if (argc > 1 && !strcmp(argv[1], "quick")) _exit(0);
    return 0;
}
"""
OFFSETS = (abi.FILE_WPOS, abi.FILE_WBASE, abi.FILE_FD)


class HostError(Exception):
    pass


def fail() -> None:
    raise HostError


@pytest.fixture(scope="module")
def library() -> tmebox.Module:
    return tmebox.compile(source_text=PRINTER.partition("int main")[0])


@pytest.fixture(scope="module")
def program() -> tmebox.Module:
    return tmebox.compile(source_text=PRINTER)


def new(module: tmebox.Module, out: object, **options: object) -> tmebox.Sandbox:
    return tmebox.Sandbox(module, stdout=out, imports={"fail": fail}, **options)  # type: ignore[arg-type]


def test_a_line_without_its_end_arrives_when_the_sandbox_is_closed(library: tmebox.Module) -> None:
    out = io.BytesIO()
    with new(library, out) as sandbox:
        sandbox.say("line\nrest")
        assert out.getvalue() == b"line\n"
    assert out.getvalue() == b"line\nrest"
    sandbox.close()
    assert out.getvalue() == b"line\nrest"


def test_reset_ends_one_life_and_each_has_its_output_once(library: tmebox.Module) -> None:
    out = io.BytesIO()
    with new(library, out) as sandbox:
        for number in range(3):
            sandbox.say(f"{number};")
            sandbox.reset()
        sandbox.say("last")
    assert out.getvalue() == b"0;1;2;last"


@pytest.mark.parametrize("function", ["fault", "divide", "overflow", "illegal", "give_up", "leave", "spin"])
def test_whatever_trap_ends_a_call_what_it_printed_is_there(library: tmebox.Module, function: str) -> None:
    out = io.BytesIO()
    with new(library, out) as sandbox:
        with pytest.raises(tmebox.Trap):
            arguments = (0,) if function == "divide" else ()
            sandbox.call(function, *arguments, timeout=0.05 if function == "spin" else None)
        assert out.getvalue() == b"before"
    assert out.getvalue() == b"before"


def test_what_is_buffered_in_a_pools_snapshot_is_its_tasks(library: tmebox.Module) -> None:
    seen: list[bytes] = []
    with new(library, None) as sandbox:
        sandbox.say("kept ")
        snapshot = sandbox.snapshot()
    with tmebox.SandboxPool(snapshot, threads=1, stdout=seen.append) as pool:
        list(pool.map("say", ["a", "b"]))
    assert seen == [b"kept a", b"kept b"]


def test_tasks_and_leases_of_a_pool_show_theirs(library: tmebox.Module) -> None:
    seen: list[bytes] = []
    with tmebox.SandboxPool(library, threads=2, stdout=seen.append, imports={"fail": fail}) as pool:
        list(pool.map("say", ["a", "b", "c"]))
        with pool.lease() as sandbox:
            sandbox.say("d")
    assert sorted(seen) == [b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("how", ["fault", "host"])
def test_a_program_that_ends_badly_has_printed_to_its_own_stream(program: tmebox.Module, how: str) -> None:
    library_out, program_out = io.BytesIO(), io.BytesIO()
    with new(program, library_out) as sandbox, pytest.raises((tmebox.MemoryFault, HostError)):
        sandbox.run(["p", how], stdout=program_out)
    assert (library_out.getvalue(), program_out.getvalue()) == (b"", b"before")


def test_a_program_without_its_stream_hides_no_exception_of_the_hosts(program: tmebox.Module) -> None:
    with new(program, None) as sandbox, pytest.raises(HostError):
        sandbox.run(["p", "closed"])

    def broken(_: bytes) -> None:
        raise BrokenPipeError

    with new(program, None) as sandbox, pytest.raises(HostError):
        sandbox.run(["p", "host"], stdout=broken)


def test_a_program_that_ends_by_itself_has_the_last_word(program: tmebox.Module) -> None:
    out = io.BytesIO()
    with new(program, out) as sandbox:
        assert sandbox.run(["p"]).stdout == b"before"
        assert sandbox.run(["p", "quick"]).stdout == b""  # as with any _exit()
        assert sandbox.run(["p"]).stdout == b"before"
    assert out.getvalue() == b""


def test_a_sandbox_that_printed_nothing_asks_for_nothing(library: tmebox.Module) -> None:
    def refuse(_: bytes) -> None:
        raise AssertionError

    with new(library, refuse) as sandbox:
        sandbox.silent()


BUFFERS = [
    (0, (1 << 63) - 1), (-1, -1), (1, 0), (0, 8), (abi.PRIVATE_END - 8, abi.PRIVATE_END + 8),
    (1 << 40, (1 << 40) + 9), (-(1 << 63), (1 << 63) - 1), (abi.CONTROL_PAGE, abi.CONTROL_PAGE + (1 << 30)),
    (1 << 31, (1 << 31) + 64),
]  # fmt: skip


@pytest.mark.parametrize("number", [1, 0, -1, 2**31 - 1, 99])
@pytest.mark.parametrize(("begin", "end"), BUFFERS)
def test_a_buffer_that_is_a_lie_is_the_sandboxs_own_memory_or_nothing(
    library: tmebox.Module, begin: int, end: int, number: int
) -> None:
    seen: list[bytes] = []
    with new(library, seen.append) as sandbox:
        wpos, wbase, fd = OFFSETS
        sandbox.lie(begin, end, number, wpos, wbase, fd)
    assert sum(map(len, seen)) <= abi.MIB


def test_a_long_buffer_is_cut(library: tmebox.Module) -> None:
    seen: list[bytes] = []
    with new(library, seen.append, memory="16MiB") as sandbox:
        place = library.stdout
        assert place is not None
        wpos, wbase, fd = OFFSETS
        sandbox.lie(place, place + 8 * abi.MIB, 1, wpos, wbase, fd)
        expected = sandbox.memory.read(place, abi.MIB)
    assert b"".join(seen) == expected


@pytest.mark.parametrize("ending", ["close", "trap"])
def test_a_full_pipe_does_not_keep_the_sandbox_from_ending(library: tmebox.Module, ending: str) -> None:
    def end() -> bool:
        _reading, writing = os.pipe()
        os.set_blocking(writing, False)
        try:
            while True:
                os.write(writing, bytes(4096))
        except BlockingIOError:
            os.set_blocking(writing, True)
        sandbox = new(library, writing)
        if ending == "trap":
            with pytest.raises(tmebox.MemoryFault):
                sandbox.fault()
        else:
            sandbox.say("lost")
        sandbox.close()
        return sandbox.closed

    assert run_forked(end).result()


def test_a_stream_that_fails_does_not_keep_the_sandbox_from_ending(library: tmebox.Module) -> None:
    def broken(error: BaseException) -> Callable[[bytes], None]:
        def write(_: bytes) -> None:
            raise error

        return write

    sandbox = new(library, broken(BrokenPipeError()))
    sandbox.say("lost")
    sandbox.close()
    assert sandbox.closed
    sandbox = new(library, broken(HostError()))
    sandbox.say("lost")
    with pytest.raises(HostError):
        sandbox.close()
    assert sandbox.closed
    sandbox = new(library, broken(HostError()))
    with pytest.raises(tmebox.MemoryFault):  # the trap is more important
        sandbox.fault()
    sandbox.close()


def test_the_mark_is_found_where_libc_put_it(library: tmebox.Module) -> None:
    place = library.stdout
    assert place is not None
    with new(library, None) as sandbox:
        mark = sandbox.memory.read(place + abi.FILE_COOKIE, 8)
        assert mark == struct.pack("<Q", abi.STDOUT_MARK)
        assert sandbox.memory.read(place + abi.FILE_FD, 4) == struct.pack("<i", 1)
    assert tmebox.compile(source_text="int f(void) { return 1; }").stdout is None
