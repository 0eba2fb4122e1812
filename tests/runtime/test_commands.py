"""Programs with main(): arguments, environment, files, output, exit codes."""

import io
from pathlib import Path

import pytest

import tmebox
from tmebox import abi

PROGRAM_C = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int runs;
int main(int argc, char **argv)
{
    runs++;
    if (argc > 1 && !strcmp(argv[1], "echo")) {
        char line[256];
        while (fgets(line, sizeof line, stdin)) fputs(line, stdout);
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "cat")) {
        FILE *f = fopen(argv[2], "r");
        if (!f) { perror(argv[2]); return 2; }
        int c;
        while ((c = getc(f)) != EOF) putchar(c);
        fclose(f);
        return 0;
    }
    if (argc > 1 && !strcmp(argv[1], "write")) {
        FILE *f = fopen(argv[2], "w");
        if (!f) { perror(argv[2]); return 2; }
        fprintf(f, "%s %.3f\n", argv[3], 1.0 / 3);
        return fclose(f) ? 3 : 0;
    }
    if (argc > 1 && !strcmp(argv[1], "abort")) abort();
    for (int i = 0; i < argc; i++) printf("%d=%s\n", i, argv[i]);
    printf("HOME=%s runs=%d %g %s\n", getenv("HOME"), runs, 0.1, "é");
    fprintf(stderr, "to stderr\n");
    return argc;
}
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=PROGRAM_C)


def test_output_environment_arguments_and_exit_code(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, env={"HOME": "/nowhere"}) as sandbox:
        done = sandbox.run(["prog", "a b", ""])
    assert done.exit_code == 3
    assert done.stdout == "0=prog\n1=a b\n2=\nHOME=/nowhere runs=1 0.1 é\n".encode()
    assert done.stderr == b"to stderr\n"


def test_every_run_starts_fresh(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        first, second = sandbox.run(["p"]), sandbox.run(["p"])
    assert first == second


def test_stdin_from_bytes_and_files(module: tmebox.Module) -> None:
    text = b"".join(b"line %d\n" % i for i in range(5000))
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.run(["p", "echo"], stdin=text).stdout == text
        assert sandbox.run(["p", "echo"], stdin=io.BytesIO(text)).stdout == text
        assert sandbox.run(["p", "echo"]).stdout == b""


def test_output_can_be_streamed(module: tmebox.Module) -> None:
    pieces: list[bytes] = []
    file = io.BytesIO()
    with tmebox.Sandbox(module) as sandbox:
        done = sandbox.run(["p"], stdout=pieces.append, stderr=file)
    assert b"".join(bytes(piece) for piece in pieces).startswith(b"0=p\n")
    assert file.getvalue() == b"to stderr\n"
    assert done.stdout == done.stderr == b""


def test_files_only_under_preopened_directories(module: tmebox.Module, tmp_path: Path) -> None:
    (tmp_path / "inside.txt").write_text("hello\n")
    (tmp_path.parent / "outside.txt").write_text("secret\n")
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/data"]) as sandbox:
        assert sandbox.run(["p", "cat", "/data/inside.txt"]).stdout == b"hello\n"
        assert sandbox.run(["p", "write", "/data/new.txt", "text"]).exit_code == 0
        for escape in ("/data/../outside.txt", "/etc/shadow", "../outside.txt", f"{tmp_path}/inside.txt"):
            done = sandbox.run(["p", "cat", escape])
            assert (done.exit_code, done.stdout) == (2, b"")
    assert (tmp_path / "new.txt").read_text() == "text 0.333\n"


def test_a_read_only_directory_cannot_be_written(module: tmebox.Module, tmp_path: Path) -> None:
    with tmebox.Sandbox(module, dirs=[f"{tmp_path}:/data:ro"]) as sandbox:
        assert sandbox.run(["p", "write", "/data/new.txt", "text"]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_abort_is_its_own_trap(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        with pytest.raises(tmebox.Aborted):
            sandbox.run(["p", "abort"])
        with pytest.raises(tmebox.SandboxClosed, match="trap"):
            sandbox.run(["p"])


def test_a_library_has_no_main_to_run(calls: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.ModuleError, match="no main"):
        calls.run(["p"])


def test_exports_may_have_the_names_of_attributes() -> None:
    module = tmebox.compile(
        source_text="int memory(void) { return 1; } int base(int x) { return x; } "
        "int run(void) { return 3; } "
        "int module(void) { return 4; } static int n; int next(void) { return ++n; } "
        "int main(void) { return n; }"
    )
    with tmebox.Sandbox(module) as sandbox:
        for _ in range(2):
            assert sandbox.run(["p"]).exit_code == 0
            assert [sandbox.call("memory"), sandbox.call("base", 2), sandbox.call("run")] == [1, 2, 3]
            assert sandbox.call("module") == 4
            assert [sandbox.next(), sandbox.call("next")] == [1, 2]
        assert sandbox.module is module
        assert len(sandbox.memory.read(abi.STACK_TOP - 8, 8)) == 8
