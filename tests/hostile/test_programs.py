"""Whole programs with a C library: bombs, escapes from preopened directories, system calls, output floods."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.hostile.scene import attack, hostile
from tmebox import Completed, Sandbox

REFUSED_PROCESSES = 7


def program(*arguments: str, **options: Any) -> Any:
    """Run sources/clib.c with arguments; value: (exit code, stdout)."""
    run_options = {key: options.pop(key) for key in ("dirs", "stdin", "stdout", "env") if key in options}

    def act(sandbox: Sandbox) -> tuple[int, bytes]:
        done: Completed = sandbox.run(["clib", *arguments], **run_options)
        return done.exit_code, done.stdout

    return attack(hostile("clib"), act, **options)


def test_a_memory_bomb_is_told_that_there_is_no_more() -> None:
    ending = program("bomb", memory="32MiB")
    exit_code, output = ending.value
    assert exit_code == 0
    assert 16 <= int(output.split()[2]) < 32


def test_a_memory_bomb_that_does_not_look_runs_out_of_memory() -> None:
    ending = program("blind_bomb", memory="32MiB")
    assert (ending.exception, ending.kind) == ("OutOfMemory", "out-of-memory"), ending


def test_small_allocations_end_at_the_limit() -> None:
    assert program("small_bomb", memory="32MiB").value[0] == 0


def test_impossible_allocations_are_not_granted() -> None:
    assert program("impossible_sizes", memory="32MiB").value[0] == 0


def test_processes_cannot_be_started_or_signalled() -> None:
    marker = Path("/tmp/tmebox-was-here")
    marker.unlink(missing_ok=True)
    assert program("processes").value[0] == REFUSED_PROCESSES
    assert not marker.exists()


def test_every_system_call_with_evil_arguments_leaves_the_host_alone() -> None:
    ending = program("all_system_calls", timeout=20.0)
    assert ending.value == (0, b"survived\n"), ending


def test_system_calls_refuse_evil_pointers() -> None:
    assert program("evil_pointers", stdin=bytes(64)).value[0] == 8


def test_a_program_cannot_catch_its_faults() -> None:
    ending = program("signals")
    assert (ending.exception, ending.offset, ending.access) == ("MemoryFault", 8, "read")


def test_percent_n_writes_own_memory() -> None:
    assert program("count_format").value == (0, b"four\n4\n")


def test_percent_n_to_a_host_address_is_a_fault_at_its_low_half() -> None:
    ending = program("count_format_wild")
    assert (ending.exception, ending.offset, ending.access) == ("MemoryFault", 0x7FFE0000, "write")


def test_a_format_string_from_nowhere_is_a_fault() -> None:
    ending = program("format_from_nowhere")
    assert (ending.exception, ending.offset) == ("MemoryFault", 0x7FFFFFFF)


def test_a_flood_of_output_arrives_whole() -> None:
    exit_code, output = program("flood").value
    assert exit_code == 0
    assert len(output) == 40_000 * 500
    assert output[-6:] == b"039999"


def test_a_flood_of_output_can_be_stopped_by_the_one_who_reads() -> None:
    class Enough(Exception):
        pass

    received = []

    def reader(piece: bytes) -> None:
        received.append(len(piece))
        if sum(received) > 100_000:
            raise Enough

    ending = program("flood", stdout=reader)
    assert ending.exception == "Enough"


def test_a_field_two_gibibytes_wide_does_no_harm() -> None:
    ending = program("wide_field", timeout=20.0)
    assert ending.exception in (None, "Timeout")


def test_memory_cannot_be_made_executable() -> None:
    ending = program("executable_memory")
    assert ending.value == (0, b"") or ending.exception == "ControlFlowViolation", ending


def test_mapping_calls_cannot_reach_what_is_not_the_programs() -> None:
    ending = program("remap_everything")
    assert ending.exception is None or ending.trap
    if ending.exception is None:
        assert ending.value[0] == 2


@pytest.mark.parametrize("name", ["double_free", "free_wild", "overflow_heap"])
def test_a_corrupt_heap_is_the_programs_own_problem(name: str) -> None:
    ending = program(name)
    assert ending.value == (3, b"") or ending.trap, ending


@pytest.mark.parametrize("code", [0, 1, 7, 134, 255, 256, 300, -1])
@pytest.mark.parametrize("way", ["exit", "_exit", "return"])
def test_exit_codes_are_those_of_a_process(way: str, code: int) -> None:
    assert program(way, str(code)).value == (code & 0xFF, b"")


@pytest.mark.parametrize("way", ["abort", "assert"])
def test_abort_and_failed_assertions_are_told_as_such(way: str) -> None:
    ending = program(way)
    assert (ending.exception, ending.kind) == ("Aborted", "aborted"), ending


@pytest.fixture
def preopened(tmp_path: Path) -> Path:
    """A directory to hand in, full of ways out of it."""
    (tmp_path / "secret.txt").write_text("the host's")
    inside = tmp_path / "box"
    inside.mkdir()
    (inside / "inside").write_text("yours")
    (inside / "folder").mkdir()
    (inside / "absolute").symlink_to("/etc/passwd")
    (inside / "relative").symlink_to("../secret.txt")
    (inside / "up").symlink_to("..")
    (inside / "root").symlink_to("/")
    (inside / "process").symlink_to("/proc/self")
    (inside / "round").symlink_to("round")
    (inside / "folder" / "nested").symlink_to("../../secret.txt")
    (inside / "good").symlink_to("inside")
    os.mkfifo(inside / "fifo")
    return inside


ESCAPES = [
    "/etc/shadow", "etc/shadow", "../secret.txt", "/box/../secret.txt", "/box/../../../../../../etc/shadow",
    "/box/folder/../../secret.txt", "/box/absolute", "/box/relative", "/box/up/secret.txt",
    "/box/root/etc/shadow",
    "/box/process/environ", "/box/round", "/box/folder/nested", "/proc/self/mem", "/dev/mem", "/dev/null/x",
    "/box/inside/../../secret.txt", "/box//..//secret.txt", "/box/./../secret.txt", "/boxes", "/box/fifo", "",
    "/box/" + "a" * 5000, "/box/" + "folder/../" * 300 + "../secret.txt",
]  # fmt: skip


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: path[:40] or "empty")
def test_a_path_out_of_the_preopened_directory_is_refused(path: str, preopened: Path) -> None:
    exit_code, output = program("open", path, dirs=[f"{preopened}:/box"], timeout=10.0).value
    assert exit_code == 0, f"{path} was opened"
    assert output != b"opened\n"


@pytest.mark.parametrize("path", ["/box/inside", "/box/good", "/box/folder/../inside", "/box/./inside"])
def test_a_path_inside_the_preopened_directory_works(path: str, preopened: Path) -> None:
    assert program("open", path, dirs=[f"{preopened}:/box"]).value == (1, b"opened\n")


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/box/../secret.txt", "/box/relative", "/box/absolute/x", "/tmp", "/"]
)
def test_nothing_outside_can_be_listed_made_renamed_or_removed(path: str, preopened: Path) -> None:
    secret = preopened.parent / "secret.txt"
    listing = sorted(os.listdir(preopened.parent))
    links = (os.readlink(preopened / "relative"), os.readlink(preopened / "absolute"))
    program("list_and_write", path, dirs=[f"{preopened}:/box"], timeout=10.0)
    assert secret.read_text() == "the host's"
    assert sorted(os.listdir(preopened.parent)) == listing
    assert links[1] == "/etc/passwd"
    assert Path("/etc/passwd").is_file()


@pytest.mark.parametrize("path", ["/box/inside", "/box/new", "/box/folder/new", "/box/folder"])
def test_a_read_only_directory_is_not_changed(path: str, preopened: Path) -> None:
    def contents() -> list[Any]:
        return sorted(
            (str(p), p.lstat().st_mode, p.lstat().st_size, p.lstat().st_mtime_ns)
            for p in preopened.rglob("*")
        )

    before = contents()
    program("list_and_write", path, dirs=[f"{preopened}:/box:ro"], timeout=10.0)
    assert contents() == before


def test_without_directories_there_are_no_files(preopened: Path) -> None:
    for path in ("/box/inside", "/etc/shadow", ".", "/"):
        assert program("open", path).value[1] != b"opened\n" or path in (".", "/")


@functools.cache
def environment_reader() -> tmebox.Module:
    return tmebox.compile(
        source_text="""
        #include <stdio.h>
        extern char **environ;
        int main(void) { for (char **e = environ; *e; e++) puts(*e); return 0; }
        """
    )


def test_the_hosts_environment_does_not_leak() -> None:
    os.environ["TMEBOX_TEST_SECRET"] = "secret"
    try:
        ending = attack(environment_reader(), lambda s: s.run(["env"], env={"ONLY": "this"}).stdout)
    finally:
        del os.environ["TMEBOX_TEST_SECRET"]
    assert ending.value == b"ONLY=this\n"
