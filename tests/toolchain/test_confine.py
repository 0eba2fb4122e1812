"""What a tool of the toolchain can do when it is not what it should be."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tmebox import _native
from tmebox.toolchain import assemble, confine, processes
from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE, SYSTEM, Means, Reach, means, seccomp_filter
from tmebox.toolchain.link.link import link
from tmebox.toolchain.objects import compile_object
from tmebox.toolchain.options import SourceText

ALLOWED, REFUSED = 0x7FFF_0000, 0x0005_0000 | errno.EPERM
needs_landlock = pytest.mark.skipif(not means().landlock, reason="the kernel has no Landlock")
needs_signals = pytest.mark.skipif(means().landlock < 6, reason="the kernel's Landlock has no signals")
needs_seccomp = pytest.mark.skipif(not means().seccomp, reason="seccomp is forbidden here")


# -- the filter ---------------------------------------------------------------------------------------


def judged(architecture: int, number: int, *arguments: int, sets_times: bool = False) -> int:
    """What the filter says of a system call with these first arguments, as the kernel would run it."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = seccomp_filter(sets_times)
    program = [struct.unpack_from("<HBBI", steps, at) for at in range(0, len(steps), 8)]
    at = value = 0
    while True:
        code, if_so, if_not, operand = program[at]
        at += 1
        if code == 0x20:
            value = int.from_bytes(data[operand : operand + 4], "little")
        elif code == 0x15:
            at += if_so if value == operand else if_not
        elif code == 0x35:
            at += if_so if value >= operand else if_not
        else:
            assert code == 0x06
            return int(operand)


def test_the_filter_refuses_what_is_on_its_list_and_no_more() -> None:
    refused = {number for number in range(1024) if judged(0xC000_003E, number) != ALLOWED}
    assert refused == set(confine._REFUSED.values())
    assert {judged(0xC000_003E, number) for number in refused} == {REFUSED}


def test_the_filter_keeps_limits_of_other_processes_as_they_are() -> None:
    for first, verdict in ((0, ALLOWED), (1, REFUSED), (1 << 32, ALLOWED), (1 << 32 | 77, REFUSED)):
        assert judged(0xC000_003E, 302, first) == verdict, first  # the kernel looks at 32 bits
    assert judged(0xC000_003E, 303, 1) == ALLOWED


def test_the_filter_lets_an_archiver_set_times_of_open_files_only() -> None:
    x86_64, utimensat = 0xC000_003E, 280
    for path, verdict in ((0, ALLOWED), (1, REFUSED), (1 << 32, REFUSED), (0x7FFF_1234_0000, REFUSED)):
        assert judged(x86_64, utimensat, 5, path, sets_times=True) == verdict
        assert judged(x86_64, utimensat, 5, path) == REFUSED
    for number in set(range(1024)) - {utimensat}:
        assert judged(x86_64, number, 7, 8, sets_times=True) == judged(x86_64, number, 7, 8)


def test_no_other_way_of_calling_the_system_gets_past_the_filter() -> None:
    i386, aarch64 = 0x4000_0003, 0xC000_00B7
    assert {judged(one, number) for one in (0, i386, aarch64) for number in range(512)} == {REFUSED}
    assert {judged(0xC000_003E, 0x4000_0000 + number) for number in range(1024)} == {REFUSED}
    assert judged(0xC000_003E, 0xFFFF_FFFF) == REFUSED


# -- one process --------------------------------------------------------------------------------------


def said(script: str, reach: Reach) -> list[str]:
    """What a shell prints that reaches the machine's programs, too."""
    process = confine.start(
        ["/bin/sh", "-c", script], reach.executing(*SYSTEM), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output, _ = process.communicate(timeout=20)
    return str(output.decode()).split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("given", "own", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path


@needs_landlock
def test_it_reads_what_it_was_given(folder: Path) -> None:
    (folder / "given" / "away").symlink_to(folder / "other" / "file")
    reach = Reach(reads=(folder / "given",), writes=(folder / "own",))
    shown = said(f"cd {folder}; cat given/file; cat own/file; cat other/file; cat given/away", reach)
    assert shown == ["givenown"]
    assert said(f"ls {folder}/given", reach) == ["away", "file"]
    assert said(f"ls {folder}/other; ls {folder}; ls /proc/self; cat /etc/passwd", reach) == []
    assert said(f"cat {folder}/other/file", Reach(reads=(folder / "other" / "file",))) == ["other"]


@needs_landlock
def test_it_writes_only_where_it_may(folder: Path) -> None:
    reach = Reach(reads=(folder / "given",), writes=(folder / "own",))
    script = """
        for place in given other own; do
            echo x > $place/file; true > $place/new; mv own/file $place/moved; ln own/new $place/linked
            rm -f $place/file; mkdir $place/deeper; ln -s /etc/passwd $place/link; mkfifo $place/pipe
        done
    """
    said(f"cd {folder}; {script}", reach)
    assert sorted(os.listdir(folder / "given")) == sorted(os.listdir(folder / "other")) == ["file"]
    assert (folder / "given" / "file").read_text() == "given"
    assert (folder / "other" / "file").read_text() == "other"
    assert not {"deeper", "link", "pipe"} & set(os.listdir(folder / "own"))
    assert "new" in os.listdir(folder / "own")


@needs_landlock
def test_it_executes_only_what_it_may(folder: Path) -> None:
    own = folder / "own" / "program"
    own.write_bytes(Path("/bin/true").read_bytes())
    own.chmod(0o755)
    assert said(f"{own} && echo ran", Reach(writes=(folder / "own",))) == []
    assert said(f"{own} && echo ran", Reach(executes=(own,))) == ["ran"]


@needs_signals
def test_it_signals_nobody(folder: Path) -> None:
    assert said(f"kill -0 {os.getpid()} && echo reached; sh -c 'kill -0 $$ && echo itself'", Reach()) == [
        "itself"
    ]


@needs_seccomp
def test_it_changes_no_file_without_opening_it(folder: Path) -> None:
    file = folder / "own" / "file"
    before = file.stat()
    said(f"chmod 777 {file}; touch -d 1990-01-01 {file}; chown 1 {file}", Reach(writes=(folder / "own",)))
    after = file.stat()
    assert (before.st_mode, before.st_mtime_ns, before.st_uid) == (
        after.st_mode,
        after.st_mtime_ns,
        after.st_uid,
    )


@needs_seccomp
def test_it_has_no_sockets(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo connected"
        process = confine.start(
            ["/bin/bash", "-c", script],
            Reach().executing(*SYSTEM),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.communicate(timeout=20)[0] == b""


def test_nobody_else_is_confined(folder: Path) -> None:
    confine.start(["/bin/true"], Reach().executing(*SYSTEM)).wait()
    assert (folder / "other" / "file").read_text() == "other"
    (folder / "other" / "file").chmod(0o600)
    socket.socket().close()
    status = Path("/proc/self/status").read_text()
    assert "NoNewPrivs:\t0" in status


def test_starting_leaves_nothing_behind() -> None:
    def act() -> Any:
        confine.start(["/bin/true"], Reach().executing(*SYSTEM)).wait()
        before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        for _ in range(50):
            confine.start(["/bin/true"], Reach().executing(*SYSTEM)).wait()
            with pytest.raises(FileNotFoundError):
                confine.start(["/nowhere/at/all"], Reach())
        return before == (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")))

    assert run_forked(act).result()


def test_a_program_that_is_not_there_is_told_by_its_name() -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        confine.start(["/nowhere/at/all"], Reach())


def test_what_a_program_inherits_of_signals_is_what_its_starter_has() -> None:
    def act() -> Any:
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1})
        process = confine.start(["/bin/cat", "/proc/self/status"], ANYWHERE, stdout=subprocess.PIPE)
        return next(line for line in process.communicate()[0].splitlines() if line.startswith(b"SigBlk"))

    assert int(run_forked(act).result().split()[1], 16) == 1 << (signal.SIGUSR1 - 1)


# -- where there is less ------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [Means(0, True), Means(1, True), Means(5, False), Means(0, False)])
def test_sources_compile_on_kernels_that_have_less(monkeypatch: pytest.MonkeyPatch, found: Means) -> None:
    if found.landlock > means().landlock:
        pytest.skip("the kernel has no Landlock")
    monkeypatch.setattr(confine, "means", lambda: found)
    with tmebox.Sandbox(tmebox.compile(source_text="int f(void) { return 7; }")) as box:
        assert box.f() == 7


def test_where_nothing_works_it_is_said() -> None:
    def act() -> Any:
        def refuse(*arguments: Any) -> Any:
            raise PermissionError

        confine.means.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_native, "call_confined", refuse)
            return confine.means()

    assert run_forked(act).result() == Means(0, False)


def test_what_runs_out_for_a_moment_is_not_taken_for_a_kernel_without() -> None:
    def act() -> Any:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        confine.means.cache_clear()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        with pytest.raises(OSError, match="Too many open files"):
            confine.start(["/bin/true"], Reach())
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return confine.means()

    assert run_forked(act).result() == means()


def test_places_that_cannot_be_opened_are_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    places = (tmp_path / "loop", tmp_path / ("n" * 300), tmp_path / "loop" / "x")
    assert said("echo ran", Reach(reads=places)) == ["ran"]


def test_a_popen_that_somebody_replaced_stays_on_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Theirs(subprocess.Popen[bytes]):
        pass

    monkeypatch.setattr(subprocess, "Popen", Theirs)
    assert isinstance(confine.start(["/bin/true"], Reach()), Theirs)
    assert processes.run(["/bin/true"], Reach()).status == 0


def test_a_host_that_ignores_its_children_confines_them_too(folder: Path) -> None:
    def act() -> Any:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        reach = Reach(writes=(folder / "own",)).executing(*SYSTEM)
        script = f"cat {folder}/other/file > {folder}/own/read; echo x > {folder}/other/file; exit 3"
        return processes.run(["/bin/sh", "-c", script], reach).status

    assert run_forked(act).result() == 3
    if means().landlock:
        assert (folder / "own" / "read").read_text() == ""
        assert (folder / "other" / "file").read_text() == "other"


# -- all tools ----------------------------------------------------------------------------------------

HOSTILE = r"""
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#define TRY(letter, attempt) if ((attempt) >= 0) call(1, 2, (long)(letter), 1)
__attribute__((force_align_arg_pointer)) void _start(void) {
    call(1, 2, (long)"<", 1);
    TRY("r", call(2, (long)SECRET, 0, 0));
    TRY("e", call(2, (long)"/etc/passwd", 0, 0));
    TRY("w", call(2, (long)SECRET ".new", 0101, 0600));
    TRY("o", call(2, (long)SOURCE, 01, 0));
    TRY("c", call(90, (long)SECRET, 0600, 0));
    TRY("u", call(87, (long)SECRET, 0, 0));
    TRY("n", call(41, 2, 1, 0));
    TRY("k", call(62, PARENT, 0, 0));
    TRY("l", call(302, PARENT, 7, 0));
    TRY("x", call(59, (long)"/bin/true", 0, 0));
    call(1, 2, (long)">", 1);
    call(231, 1, 0, 0);
}
"""
"""A compiler that has been taken over: it says, by letters, what it could do. It needs nothing to run."""


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, list[str]]]:
    """All tools are it. Gives a source's path, and a list of what the tools will have said."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    source = tmp_path / "source" / "a.c"
    source.parent.mkdir()
    source.write_text("int f(void) { return 1; }")
    program, wheel = tmp_path / "hostile.c", tmp_path / "wheel"
    wheel.mkdir()
    places = {"SECRET": f'"{outside}/secret"', "SOURCE": f'"{source}"', "PARENT": str(os.getpid())}
    program.write_text(HOSTILE)
    words = [f"-D{name}={value}" for name, value in places.items()]
    words += [
        "-target",
        clang.TARGET,
        "-O1",
        "-ffreestanding",
        "-c",
        str(program),
        "-o",
        str(tmp_path / "a.o"),
    ]
    assert clang.run("clang", words, ANYWHERE).status == 0
    linked = ["-static", "-e", "_start", str(tmp_path / "a.o"), "-o", str(wheel / "zig")]
    assert clang.run("ld.lld", linked, ANYWHERE).status == 0
    monkeypatch.setattr(clang, "toolchain_dir", lambda: wheel)
    run, heard = clang.run_command, list[str]()

    def listening(*arguments: Any, **named: Any) -> clang.Finished:
        finished = run(*arguments, **named)
        heard.append(finished.messages)
        return finished

    monkeypatch.setattr(clang, "run_command", listening)
    yield source, heard
    assert (outside / "secret").read_text() == "secret"
    assert source.read_text() == "int f(void) { return 1; }"


Hostile = tuple[Path, list[str]]


def reached(hostile: Hostile, attempt: Callable[[], object]) -> set[str]:
    """Letters of all that could be done in an attempt to use a tool."""
    with pytest.raises(tmebox.CompileError):
        attempt()
    _, heard = hostile
    assert heard
    assert all(one.startswith("<") and one.endswith(">") for one in heard)
    return set("".join(one[1:-1] for one in heard))


def possible() -> set[str]:
    """Letters of what nothing here prevents."""
    found = means()
    letters = "" if found.landlock else "rewoux"
    letters += "" if found.landlock >= 6 else "k"
    return set(letters + ("" if found.seccomp else "cnl"))


def test_a_compiler_that_was_taken_over_reaches_nothing(hostile: Hostile) -> None:
    assert reached(hostile, lambda: tmebox.compile(hostile[0])) == possible()


def test_an_assembler_that_was_taken_over_reaches_nothing(hostile: Hostile, tmp_path: Path) -> None:
    output = tmp_path / "made.o"
    assert reached(hostile, lambda: assemble.assemble("nop\n", output, file="a.s")) == possible()


def test_a_linker_that_was_taken_over_reaches_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    made = tmp_path / "made.o"
    compile_object(SourceText("int f(void) { return 1; }"), made)
    hostile: Hostile = request.getfixturevalue("hostile")
    assert reached(hostile, lambda: link([made], ())) == possible()


def test_what_was_taken_over_can_do_it_where_nothing_confines(hostile: Hostile) -> None:
    """Else the letters above would say nothing."""
    done = subprocess.run([clang.toolchain_dir() / "zig"], stderr=subprocess.PIPE, check=False)
    letters = done.stderr.decode()
    assert set("rewoucnkl") <= set(letters) and ">" not in letters  # it has become another program
    outside = hostile[0].parents[1] / "outside"
    (outside / "secret").write_text("secret")


def test_archives_are_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compile_object(SourceText("int f(void) { return 1; }"), tmp_path / "a.o")
    made = (tmp_path / "a.o").read_bytes()
    os.utime("a.o", (1e9, 1e9))
    assert main_ar(["rcsU", "a.a", "a.o"]) == 0
    for operation, keeps_date in (("x", False), ("xo", True)):
        (tmp_path / "a.o").unlink()
        assert main_ar([operation, "a.a"]) == 0
        assert (tmp_path / "a.o").read_bytes() == made
        assert ((tmp_path / "a.o").stat().st_mtime == 1e9) is keeps_date
