"""run, verify, inspect and doctor on real programs."""

from __future__ import annotations

import dataclasses
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command_line import Run, environment
from tmebox import compile
from tmebox.cli import doctor
from tmebox.modulefile import codec
from tmebox.toolchain.compile import gcc

pytestmark = pytest.mark.slow

HELLO = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) static int poke(int *place)
{
    return *place = 7;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "fault"))
        return poke((int *)(1 << 29));
    if (argc > 1 && !strcmp(argv[1], "spin")) {
        putchar('!');
        fflush(stdout);
        for (volatile int i = 0;; i++)
            ;
    }
    if (argc > 1 && !strcmp(argv[1], "echo")) {
        for (int c; (c = getchar()) != EOF;)
            putchar(c);
        return 0;
    }
    for (int i = 0; i < argc; i++)
        printf("[%s]", argv[i]);
    fprintf(stderr, "%s", getenv("COLOR") ? getenv("COLOR") : "none");
    return argc;
}
"""


@pytest.fixture(scope="module")
def hello(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hello") / "hello.c"
    path.write_text(HELLO)
    return path


@pytest.fixture(scope="module")
def module(hello: Path) -> Path:
    """The program as a module file, made by `tmebox cc`."""
    from tmebox.toolchain.cc.driver import main_cc

    path = hello.with_suffix(".tbx")
    assert main_cc(["-O1", "-o", str(path), str(hello)]) == 0
    return path


def test_a_program_gets_its_arguments_options_included(tmebox: Run, hello: Path) -> None:
    done = tmebox("run", hello, "-v", "--timeout", "x", "--help")
    assert (done.code, done.out, done.err) == (5, "[hello.c][-v][--timeout][x][--help]", "none")


def test_a_module_runs_as_its_source_does(tmebox: Run, module: Path) -> None:
    assert tmebox("run", "--env", "COLOR=blue", module, "a b").err == "blue"


def test_variables_are_handed_on_only_by_name(tmebox: Run, module: Path) -> None:
    assert tmebox("run", module, env={"COLOR": "red"}).err == "none"
    assert tmebox("run", "--env", "COLOR", module, env={"COLOR": "red"}).err == "red"


def test_standard_input_is_passed_through(tmebox: Run, module: Path) -> None:
    text = "line\n" * 5000
    done = tmebox("run", module, "echo", stdin=text)
    assert (done.code, done.out) == (0, text)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_an_empty_one(module: Path, closed: str) -> None:
    command = f'"$PYTHON" -m tmebox run "$MODULE" a b {closed}'
    variables = environment({"PYTHON": sys.executable, "MODULE": str(module)})
    assert (
        subprocess.run(command, shell=True, env=variables, check=False, capture_output=True).returncode == 3
    )


def test_output_that_nobody_reads_ends_a_program_that_minds(tmebox: Run, tmp_path: Path) -> None:
    source = tmp_path / "yes.c"
    source.write_text(
        "#include <stdio.h>\n#include <signal.h>\n"
        'int main(void) { signal(SIGPIPE, SIG_IGN); while (puts("y") >= 0) {} return 5; }\n'
    )
    command = '("$PYTHON" -m tmebox run "$SOURCE"; echo $? >&2) | head -1'
    variables = environment({"PYTHON": sys.executable, "SOURCE": str(source)})
    done = subprocess.run(command, shell=True, env=variables, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("y\n", "5\n")


def test_ctrl_c_ends_a_program_with_130(module: Path) -> None:
    command = [sys.executable, "-m", "tmebox", "run", str(module), "spin"]
    with subprocess.Popen(command, env=environment({}), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"!"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_a_trap_exits_with_134_and_says_what_and_where(tmebox: Run, hello: Path) -> None:
    done = tmebox("run", hello, "fault")
    assert done.code == 134
    for part in ("memory-fault", "poke", "hello.c:8", "0x20000000", "write", "return *place = 7;"):
        assert part in done.err


def test_a_timeout_stops_a_program(tmebox: Run, hello: Path) -> None:
    done = tmebox("run", "--timeout", "0.1", hello, "spin")
    assert done.code == 134
    assert "timeout" in done.err


def test_a_program_sees_the_directories_it_is_given_and_no_others(tmebox: Run, tmp_path: Path) -> None:
    (tmp_path / "cat.c").write_text(
        "#include <stdio.h>\n"
        "int main(int argc, char **argv) {\n"
        "    FILE *f = fopen(argv[1], argv[2]);\n"
        "    if (!f) return 9;\n"
        "    return argv[2][0] == 'w' ? fputs(\"new\", f) < 0 : getc(f);\n"
        "}\n"
    )
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").write_text("A")
    (tmp_path / "outside").write_text("B")
    (inside / "link").symlink_to(tmp_path / "outside")
    read_only, writable = f"{inside}:/d:ro", f"{inside}:/d"
    program = tmp_path / "cat.c"
    assert tmebox("run", "--dir", read_only, program, "/d/file", "r").code == ord("A")
    assert tmebox("run", program, "/d/file", "r").code == 9
    assert tmebox("run", "--dir", read_only, program, "/d/../outside", "r").code == 9
    assert tmebox("run", "--dir", read_only, program, "/d/link", "r").code == 9
    assert tmebox("run", "--dir", read_only, program, "/d/made", "w").code == 9
    assert not (inside / "made").exists()
    assert tmebox("run", "--dir", writable, program, "/d/made", "w").code == 0
    assert (inside / "made").read_text() == "new"


def test_source_that_does_not_compile_exits_with_1_and_the_compilers_message(
    tmebox: Run, tmp_path: Path
) -> None:
    (tmp_path / "bad.c").write_text("int main(void) {\n    return nothing;\n}\n")
    done = tmebox("run", "bad.c", cwd=tmp_path)
    assert done.code == 1
    assert "bad.c:2:12" in done.err and "nothing" in done.err


def test_refused_instructions_exit_with_1_and_their_line(tmebox: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.c").write_text('int main(void) {\n    __asm__("syscall");\n}\n')
    done = tmebox("verify", "bad.c", cwd=tmp_path)
    assert done.code == 1
    assert "syscall" in done.err and "bad.c:2" in done.err


@pytest.mark.parametrize("contents", [b"", b"not a module", b"\x7fELF" + b"\0" * 100])
def test_a_file_that_is_no_module_exits_with_1(tmebox: Run, tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "x.tbx"
    path.write_bytes(contents)
    for command in ("run", "verify", "inspect"):
        done = tmebox(command, path)
        assert done.code == 1
        assert "error:" in done.err and "Traceback" not in done.err


def test_a_missing_file_exits_with_1(tmebox: Run) -> None:
    for name in ("missing.tbx", "missing.c"):
        done = tmebox("run", name)
        assert done.code == 1
        assert "missing" in done.err and "Traceback" not in done.err


def test_impossible_limits_and_libraries_exit_with_1(tmebox: Run, module: Path, tmp_path: Path) -> None:
    (tmp_path / "lib.c").write_text("int f(void) { return 1; }\n")
    for arguments in (
        ["--memory", "0", module],
        ["--memory", "5GiB", module],
        [tmp_path / "lib.c"],
        [tmp_path],
    ):
        done = tmebox("run", *arguments)
        assert done.code == 1
        assert "error:" in done.err and "Traceback" not in done.err


def test_verify_accepts_what_the_toolchain_made(tmebox: Run, module: Path) -> None:
    done = tmebox("verify", module)
    assert done.code == 0
    assert done.out.startswith(f"verified {module}")


def test_progress_is_shown_on_a_terminal(terminal: Callable[..., str], tmp_path: Path) -> None:
    source = tmp_path / "slow.c"
    source.write_text("int main(void) { return 0; }\n")
    shown = terminal("verify", source)
    assert "compiling" in shown and "verifying" in shown
    assert "verified" in shown


def test_verify_lists_every_violation_with_its_rule(tmebox: Run, module: Path, tmp_path: Path) -> None:
    good = codec.read(module)
    nops, syscall, hlt = b"\x90" * (len(good.text) - 65), b"\x0f\x05", b"\xf4"
    forged = dataclasses.replace(good, text=nops + 32 * syscall + hlt, table_entries=0)
    path = tmp_path / "forged.tbx"
    codec.write(forged, path)
    done = tmebox("verify", path)
    assert done.code == 1
    assert done.err.count("no-privileged-instruction") == 32
    assert "must not run" in done.err


def test_inspect_shows_exports_imports_and_sizes(tmebox: Run, tmp_path: Path) -> None:
    (tmp_path / "lib.c").write_text(
        "double price(int item);\ndouble total(const int *items, int n) { return n ? price(items[0]) : 0; }\n"
    )
    done = tmebox("inspect", tmp_path / "lib.c")
    assert done.code == 0
    assert "double total(const int *items, int n)" in done.out
    assert "imports (1)\n  double price(int)" in done.out
    assert "library" in done.out


def test_inspect_shows_a_functions_code_with_its_sequences(tmebox: Run, tmp_path: Path) -> None:
    """A return needs no check, a call of any function does."""
    (tmp_path / "apply.c").write_text("int apply(int (*f)(int), int x) { return f(x) + f(x + 1); }\n")
    codec.write(compile(tmp_path / "apply.c").file, tmp_path / "apply.tbx")
    done = tmebox("inspect", tmp_path / "apply.tbx", "--function", "apply")
    assert done.code == 0
    assert done.out.count("checked call") == 8
    assert "ret" in done.out and "checked return" not in done.out


SWITCH = """int f(int x, int y) {
  switch (y) {
    case 0: return x * 3; case 1: return x + 9; case 2: return x - 7;
    case 3: return x ^ 5; case 4: return x / 3;
  }
  return 0;
}
"""


def test_tables_are_told_apart_from_code(tmebox: Run, tmp_path: Path) -> None:
    (tmp_path / "switch.c").write_text(SWITCH)
    file = compile(tmp_path / "switch.c").file
    codec.write(file, tmp_path / "switch.tbx")
    code = f"{file.code_bytes:,} bytes"
    assert f"code       {code}\ntables     8 targets of jumps, behind the code" in (
        tmebox("inspect", tmp_path / "switch.tbx").out
    )
    assert f": {code} of code, " in tmebox("verify", tmp_path / "switch.tbx").out
    assert "instructions, 8 entries of tables, in" in tmebox("verify", tmp_path / "switch.tbx").out
    listed = tmebox("inspect", tmp_path / "switch.tbx", "--function", "f").out
    assert listed.count("jump through a table") == 1
    (tmp_path / "plain.c").write_text("int f(int x) { return x; }")
    assert "\ntables " not in tmebox("inspect", tmp_path / "plain.c").out


def test_inspect_shows_source_assembly_beside_the_instrumented(tmebox: Run, tmp_path: Path) -> None:
    (tmp_path / "get.c").write_text("int get(const int *table, long i) { return table[i]; }\n")
    done = tmebox("inspect", tmp_path / "get.c", "--function", "get")
    assert done.code == 0
    row = next(line for line in done.out.splitlines() if "(%rdi,%rsi,4)" in line)
    assert "%gs:(%edi,%esi,4)" in row


def test_inspect_of_an_unknown_function_exits_with_2(tmebox: Run, module: Path, hello: Path) -> None:
    for file in (module, hello):
        done = tmebox("inspect", file, "--function", "maim")
        assert done.code == 2
        assert "maim" in done.err and "main" in done.err


def test_doctor_finds_that_sandboxes_can_run_here(tmebox: Run) -> None:
    done = tmebox("doctor")
    assert done.code == 0
    for part in (
        "Python",
        "FSGSBASE",
        "userfaultfd",
        "compiler",
        "base r15",
        "C library",
        "code region",
        "Sandboxes can run here",
    ):
        assert part in done.out


def test_doctor_exits_with_1_and_advice_when_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    missing = doctor.Finding("windows", "missing", "none", "do this")
    monkeypatch.setattr(doctor, "CHECKS", (lambda: missing,))
    with pytest.raises(typer.Exit) as leaving:
        doctor.doctor()
    assert leaving.value.exit_code == 1
    shown = capsys.readouterr().out
    assert "do this" in shown and "cannot run here: windows" in shown


def test_doctor_says_what_a_limited_address_space_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8 << 30, 8 << 30))
    finding = doctor._address_space()
    assert finding.status == "missing"
    assert "8.0 GiB" in finding.found and "ulimit" in finding.advice


def test_doctor_says_what_limited_data_means(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {resource.RLIMIT_DATA: 8 << 30}
    infinite = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limits.get(kind, infinite), infinite))
    finding = doctor._address_space()
    assert finding.status == "note"
    assert "8.0 GiB" in finding.found and "ulimit -d" in finding.advice


def test_doctor_compiles_something_with_gcc(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = doctor._gcc()
    if finding.status != "ok":
        pytest.skip(finding.found)
    monkeypatch.setattr(gcc, "code_flags", lambda: ["-fno-such-option"])
    finding = doctor._gcc()
    assert finding.status == "note"
    assert "no-such-option" in finding.found
    assert "install gcc" in finding.advice


def test_doctor_says_when_there_is_no_gcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    gcc.gcc.cache_clear()
    try:
        finding = doctor._gcc()
    finally:
        gcc.gcc.cache_clear()
    assert (finding.status, "gcc" in finding.found) == ("note", True)
