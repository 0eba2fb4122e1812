"""Programs that `tmebox cc` links can be executed: they run in a sandbox that sees little."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tmebox
from tmebox.errors import ModuleError
from tmebox.modulefile import codec
from tmebox.modulefile.launcher import MAX_BYTES
from tmebox.toolchain.cc.driver import main_cc

PROGRAM = r"""
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <dirent.h>
#include <fcntl.h>
int main(int argc, char **argv)
{
	if (argc == 1) { puts("hello"); return 7; }
	if (!strcmp(argv[1], "args")) { for (int i = 0; i < argc; i++) printf("[%s]", argv[i]); return 0; }
	if (!strcmp(argv[1], "env")) { printf("%d", getenv("HOME") != 0); return 0; }
	if (!strcmp(argv[1], "cat")) { int c; while ((c = getchar()) != EOF) putchar(c); return 0; }
	if (!strcmp(argv[1], "crash")) return *(volatile int *)0;
	if (!strcmp(argv[1], "write")) {
		FILE *file = fopen(argv[2], "w");
		if (!file) { printf("%s", strerror(errno)); return 1; }
		fputs("written", file);
		return fclose(file) != 0;
	}
	if (!strcmp(argv[1], "read")) {
		char text[100] = "";
		FILE *file = fopen(argv[2], "r");
		if (!file) { printf("%s", strerror(errno)); return 1; }
		fputs(fgets(text, sizeof text, file) ? text : "?", stdout);
		return 0;
	}
	if (!strcmp(argv[1], "rename")) return rename(argv[2], argv[3]) ? errno : 0;
	if (!strcmp(argv[1], "unlink")) return unlink(argv[2]) ? errno : 0;
	if (!strcmp(argv[1], "link")) return link(argv[2], argv[3]) ? errno : 0;
	if (!strcmp(argv[1], "symlink")) return symlink(argv[2], argv[3]) ? errno : 0;
	if (!strcmp(argv[1], "chmod")) return chmod(argv[2], 0777) ? errno : 0;
	if (!strcmp(argv[1], "mkdir")) return mkdir(argv[2], 0777) ? errno : 0;
	if (!strcmp(argv[1], "list")) {
		DIR *directory = opendir(argv[2]);
		struct dirent *entry;
		if (!directory) return 1;
		while ((entry = readdir(directory))) puts(entry->d_name);
		return 0;
	}
	if (!strcmp(argv[1], "stat")) { struct stat s; return stat(argv[2], &s) ? errno : 0; }
	return 99;
}
"""
EACCES, ENOENT = 13, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has ./conftest and, beside it, files that are not the program's."""
    folder = tmp_path_factory.mktemp("started")
    (folder / "conftest.c").write_text(PROGRAM)
    assert main_cc([str(folder / "conftest.c"), "-o", str(folder / "conftest")]) == 0
    (folder / "secret").write_text("secret\n")
    (folder / "conftestament").write_text("no dot\n")
    return folder


def start(
    folder: Path, *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    program = "./conftest" if cwd is None else str(folder / "conftest")
    variables = {name: value for name, value in os.environ.items() if name != "TMEBOX_RUN"}
    return subprocess.run(
        [program, *arguments],
        check=False,
        cwd=cwd or folder,
        capture_output=True,
        env={**variables, **environment},
        input=b"in put\n",
    )


def test_it_starts_with_its_arguments_streams_and_exit_code(folder: Path) -> None:
    done = start(folder)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"hello\n", b"")
    assert (
        start(folder, "args", "a b", "", "$HOME", "--dir").stdout
        == b"[./conftest][args][a b][][$HOME][--dir]"
    )
    assert start(folder, "cat").stdout == b"in put\n"


def test_it_sees_none_of_the_environment(folder: Path) -> None:
    assert start(folder, "env", HOME="/root").stdout == b"0"


def test_a_trap_is_told_and_exits_as_abort_does(folder: Path) -> None:
    done = start(folder, "crash")
    assert done.returncode == 134 and b"main" in done.stderr


def test_it_makes_and_reads_the_files_that_are_named_after_it(folder: Path) -> None:
    assert start(folder, "write", "conftest.out").returncode == 0
    assert (folder / "conftest.out").read_text() == "written"
    assert start(folder, "read", "./conftest.out").stdout == b"written"
    assert start(folder, "mkdir", "conftest.dir").returncode == 0
    assert start(folder, "write", "conftest.dir/any").returncode == 0
    assert start(folder, "rename", "conftest.dir/any", "conftest.moved").returncode == 0
    assert start(folder, "list", "conftest.dir").returncode == 0
    assert start(folder, "stat", ".").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("read", "secret"), ("write", "secret"), ("write", "new"), ("read", "conftestament"),
        ("write", ".bashrc"), ("read", "conftest.sub/../secret"), ("read", "/etc/shadow"), ("read", "../x"),
        ("rename", "conftest.c", "stolen.c"), ("rename", "secret", "conftest.secret"), ("unlink", "secret"),
        ("mkdir", "directory"), ("stat", "secret"), ("stat", "/dev/secret"), ("list", "../x"),
        ("write", "conftest"), ("list", "conftest.here"),
    ],
)  # fmt: skip
def test_it_reaches_nothing_else_beside_it(folder: Path, arguments: tuple[str, ...]) -> None:
    before = sorted(path.name for path in folder.iterdir())
    assert start(folder, *arguments).returncode != 0
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "secret").read_text() == "secret\n"


def test_a_symbolic_link_of_its_own_leads_to_nothing_else(folder: Path) -> None:
    (folder / "conftest.link").symlink_to("secret")
    (folder / "conftest.link2").symlink_to(f"../{folder.name}/secret")
    (folder / "conftest.d").mkdir()
    (folder / "conftest.d" / "up").symlink_to("../secret")
    for name in ("conftest.link", "conftest.link2", "conftest.d/up"):
        assert start(folder, "read", name).returncode == 1
        assert start(folder, "write", name).returncode == 1
    assert (folder / "secret").read_text() == "secret\n"


def test_no_way_leads_around_the_names(folder: Path) -> None:
    (folder / "conftest.way").symlink_to(".")
    before = sorted(path.name for path in folder.iterdir()), folder.stat().st_mode
    for arguments in (
        ("unlink", "conftest.way/secret"), ("write", "conftest.way/new"), ("mkdir", "conftest.way/new"),
        ("rename", "conftest.way/secret", "conftest.stolen"), ("rename", "conftest.c", "conftest.way/secret"),
        ("link", "conftest.way/secret", "conftest.stolen"), ("symlink", ".", "conftest.around"),
        ("symlink", "secret", "conftest.o"), ("symlink", "any", "conftest.way/new"), ("chmod", "."),
    ):  # fmt: skip
        assert start(folder, *arguments).returncode != 0, arguments
        assert (sorted(path.name for path in folder.iterdir()), folder.stat().st_mode) == before
    assert (folder / "secret").read_text() == "secret\n"
    assert start(folder, "symlink", "conftest.c", "conftest.own").returncode == 0
    (folder / "conftest.own").unlink()
    (folder / "conftest.way").unlink()


def test_it_is_shown_its_own_files_only(folder: Path) -> None:
    (folder / "conftest.dot").symlink_to(".")
    for name in (".", "/", "..", "conftest.dot"):
        shown = start(folder, "list", name)
        assert shown.returncode == 0
        names = set(shown.stdout.decode().split()) - {".", ".."}
        assert "conftest.c" in names and all(name.startswith("conftest.") for name in names)


def test_it_has_the_devices_that_every_program_has(folder: Path) -> None:
    assert start(folder, "write", "/dev/null").returncode == 0
    assert start(folder, "stat", "/dev/null").returncode == 0


def test_started_from_elsewhere_it_has_no_files(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "conftest.txt").write_text("not its\n")
    assert start(folder, "read", "conftest.txt", cwd=tmp_path).returncode == 1
    assert start(folder, "read", "conftest.c", cwd=tmp_path).returncode == 1


def test_the_user_may_give_it_more(folder: Path) -> None:
    done = start(folder, "read", "secret", TMEBOX_RUN="--dir .:/:ro")
    assert (done.returncode, done.stdout) == (0, b"secret\n")
    assert start(folder, "write", "secret", TMEBOX_RUN="--dir .:/:ro").returncode == 1
    assert start(folder, "env", TMEBOX_RUN="--env HOME").stdout == b"1"
    assert start(folder, TMEBOX_RUN="--dir '").returncode == 2


def test_nothing_is_imported_from_where_it_is_started(folder: Path, tmp_path: Path) -> None:
    for name in ("tmebox", "numpy", "shlex", "site", "os"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    assert start(folder, cwd=tmp_path).returncode == 7
    assert start(folder, cwd=tmp_path, TMEBOX_RUN="--timeout 60").returncode == 7


# -- the file ----------------------------------------------------------------------------------------------
def test_it_is_a_module_like_any_other(folder: Path) -> None:
    module = tmebox.Module.load(folder / "conftest")
    plain = tmebox.Module.from_bytes(module.to_bytes())
    assert codec.digest(plain.file) == codec.digest(module.file)
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.run(["x"]).exit_code == 7


def test_a_library_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int f(void) { return 1; } int main(void) { return 0; }")
    for arguments in (["-shared"], ["-nostartfiles"], ["-Wl,-shared"]):
        assert main_cc([str(tmp_path / "a.c"), "-o", str(tmp_path / "a"), *arguments]) == 0
        assert (tmp_path / "a").read_bytes().startswith(b"\x7fELF")
        module = tmebox.Module.load(tmp_path / "a")
        with tmebox.Sandbox(module) as sandbox:
            assert sandbox.f() == 1


def test_what_stands_before_the_module_is_not_looked_at(folder: Path) -> None:
    data = (folder / "conftest").read_bytes()
    body = data[data.index(b"\x7fELF") :]
    assert codec.decode(b"#!/bin/false\nrm -rf /\n" + body).start is not None
    assert codec.decode(body).start is not None


@pytest.mark.parametrize(
    "before", [b"#!\x7f\n", b"#!/bin/sh\n" + b"x" * MAX_BYTES + b"\n", b"#!/bin/sh", b"#", b"MZ\n"]
)
def test_other_files_are_no_modules(folder: Path, before: bytes) -> None:
    data = (folder / "conftest").read_bytes()
    body = data[data.index(b"\x7fELF") :]
    if before == b"#!\x7f\n":
        assert codec.decode(before + body).start is not None
        return
    with pytest.raises(ModuleError, match="not a module file"):
        codec.decode(before + body)


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 11, 12, 13, 60, 75, 80, 500])
def test_a_cut_file_is_refused(folder: Path, cut: int) -> None:
    with pytest.raises(ModuleError):
        codec.decode((folder / "conftest").read_bytes()[:cut])


def test_a_program_starts_without_numpys_threads() -> None:
    """They took a third of its processor time."""
    script = (
        "import os, sys; from tmebox.cli import started\n"
        "assert 'numpy' not in sys.modules\n"
        "started._by_default = lambda *_: __import__('numpy') and len(os.listdir('/proc/self/task'))\n"
        "sys.argv = ['started', './program']\n"
        "started.main()\n"
    )
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OPENBLAS_NUM_THREADS", "TMEBOX_RUN")
    }
    source = str(Path(tmebox.__file__).parents[1])
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, env={**inherited, "PYTHONPATH": source}, check=False).returncode == 1
