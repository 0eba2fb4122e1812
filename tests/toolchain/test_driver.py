"""`tmebox cc` and `tmebox ar` as a build system meets them."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tmebox.modulefile import codec
from tmebox.toolchain.cc import dependencies as makedeps
from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.cc.command_line import UsageError, parse
from tmebox.toolchain.cc.driver import main_cc

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `tmebox cc` in an empty directory; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMEBOX_CC_READABLE", raising=False)

    def run(*argv: str) -> tuple[int, str, str]:
        code = main_cc(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


def write(name: str, text: str) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def names(path: str) -> set[str]:
    return {export.name for export in codec.read(path).exports}


# -- compiling and linking -------------------------------------------------------------------------------
def test_compiling_and_linking_apart_gives_a_module_under_the_asked_name(cc: Run) -> None:
    write("a.c", "int b(int); int a(int x) { return b(x) + 1; }")
    write("b.c", "int b(int x) { return x * 2; }")
    assert cc("-O2", "-c", "a.c") == (0, "", "")
    assert cc("-O2", "-c", "b.c", "-o", "other.o") == (0, "", "")
    assert cc("-nostdlib", "a.o", "other.o", "-o", "prog", "-lm") == (0, "", "")
    assert names("prog") == {"a", "b"}
    assert Path("prog").stat().st_mode & 0o111


def test_several_sources_compile_and_link_at_once(cc: Run) -> None:
    write("a.c", "int b(int); int a(int x) { return b(x) + 1; }")
    write("b.s", ".globl b\n.type b,@function\nb: leal 1(%rdi), %eax\n ret\n.size b, .-b\n")
    assert cc("-nostdlib", "a.c", "b.s") == (0, "", "")
    assert names("a.out") == {"a", "b"}


def test_an_archive_is_searched_and_its_functions_are_not_exported(cc: Run) -> None:
    write("a.c", "int b(int); int a(int x) { return b(x) + 1; }")
    write("lib/b.c", "int b(int x) { return x * 2; } ")
    assert cc("-c", "lib/b.c", "-o", "lib/b.o")[0] == 0
    assert main_ar(["rcs", "lib/libb.a", "lib/b.o"]) == 0
    assert cc("-nostdlib", "a.c", "-Llib", "-lb", "-o", "p") == (0, "", "")
    assert cc("-nostdlib", "a.c", "lib/libb.a", "-o", "q") == (0, "", "")
    assert names("p") == names("q") == {"a"}
    assert codec.read("p").imports == ()


def test_libraries_that_libc_contains_need_no_archive_and_others_do(cc: Run) -> None:
    write("a.c", "int a(int x) { return x; }")
    assert cc("-nostdlib", "a.c", "-lm", "-lpthread", "-ldl", "-lc")[0] == 0
    code, _, err = cc("-nostdlib", "a.c", "-lpng")
    assert (code, "cannot find -lpng" in err) == (1, True)


def test_exports_isolation_and_base_are_options(cc: Run) -> None:
    write("a.c", "int a(int x) { return x; } int b(int x) { return -x; }")
    assert cc("-nostdlib", "a.c", "--export", "b", "--isolation=data", "--base", "gs", "-o", "p")[0] == 0
    module = codec.read("p")
    assert (names("p"), module.isolation, module.base) == ({"b"}, "data", "gs")
    assert "--base is gs or r15, not 'r13'" in cc("a.c", "--base=r13")[2]
    assert "--isolation is code+data or data" in cc("a.c", "--isolation=none")[2]


def test_debug_information_is_kept_with_g(cc: Run) -> None:
    write("a.c", "int a(int x) { return x; }")
    for flag, kept in (("-g", True), ("-g0", False), ("-O2", False)):
        assert cc("-nostdlib", flag, "a.c", "-o", "p")[0] == 0
        assert bool(codec.read("p").debug_sections) is kept


def test_a_program_with_main_becomes_a_command(cc: Run) -> None:
    write("hello.c", '#include <stdio.h>\nint main(void) { return printf("hello\\n") < 0; }')
    assert cc("-O2", "hello.c", "-o", "hello") == (0, "", "")
    module = codec.read("hello")
    assert module.start is not None
    assert [item.name for item in module.imports] == ["__tmebox_syscall"]


def test_a_library_that_needs_no_libc_has_none(cc: Run) -> None:
    write("add.c", "int add(int a, int b) { return a + b; }")
    assert cc("-O2", "add.c", "-o", "add.tbx") == (0, "", "")
    module = codec.read("add.tbx")
    assert (module.start, module.imports, module.segments) == (None, (), ())
    assert len(module.text) < 64


def test_a_library_with_constructors_exports_what_runs_them(cc: Run) -> None:
    write("c.c", "extern int seed(void); int x; __attribute__((constructor)) void c(void) { x = seed(); }")
    assert cc("-O2", "c.c", "-o", "c.tbx") == (0, "", "")
    assert "__tmebox_initialize" in names("c.tbx")


# -- other modes -----------------------------------------------------------------------------------------
def test_S_writes_instrumented_assembly(cc: Run) -> None:  # noqa: N802
    write("a.c", "int a(int *p) { return *p; }")
    assert cc("-O2", "-S", "a.c") == (0, "", "")
    assert "%gs:" in Path("a.s").read_text()


def test_E_preprocesses_to_stdout_a_file_or_from_stdin(  # noqa: N802
    cc: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.c", "#define N 5\nint x = N;\n")
    assert "int x = 5;" in cc("-E", "a.c")[1]
    assert cc("-E", "-P", "a.c", "-o", "a.i") == (0, "", "")
    assert Path("a.i").read_text().strip() == "int x = 5;"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"__LP64__ __x86_64__\n")))
    assert cc("-E", "-P", "-")[1].strip() == "1 1"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "#define __linux__ 1" in cc("-dM", "-E", "-x", "c", "-")[1]


def test_x_names_the_language_of_what_follows(cc: Run) -> None:
    write("a.txt", "int a(int x) { return x; }")
    assert cc("-nostdlib", "-x", "c", "a.txt", "-o", "p")[0] == 0
    assert names("p") == {"a"}
    assert "language 'fortran' is not supported" in cc("-x", "fortran", "a.txt")[2]


def test_dependencies_are_written_for_make(cc: Run) -> None:
    write("inc/h.h", "#include <stddef.h>\n")
    write("a.c", '#include "h.h"\nint a(void) { return 1; }')
    assert cc("-Iinc", "-c", "a.c", "-MMD", "-MP")[0] == 0
    assert Path("a.d").read_text() == "a.o: \\\n  a.c \\\n  inc/h.h\ninc/h.h:\n"
    assert cc("-Iinc", "-c", "a.c", "-o", "o/x.o", "-MD")[0] == 1  # no such directory
    Path("o").mkdir()
    assert cc("-Iinc", "-c", "a.c", "-o", "o/x.o", "-MD", "-MF", "deps", "-MT", "one two")[0] == 0
    text = Path("deps").read_text()
    assert text.startswith("one two: \\\n  a.c") and "stddef.h" in text
    assert cc("-Iinc", "-MM", "a.c") == (0, "a.o: \\\n  a.c \\\n  inc/h.h\n", "")
    assert cc("-nostdlib", "-Iinc", "-MMD", "a.c", "-o", "prog")[0] == 0
    assert Path("a.d").read_text().startswith("a.o:")


def test_names_with_spaces_survive_in_rules() -> None:
    assert (
        makedeps.rule(["a.o"], ["a b.c", "c$d.h"], phony=True) == "a.o: \\\n  a\\ b.c \\\n  c$$d.h\nc$$d.h:\n"
    )


@pytest.mark.parametrize(
    ("argument", "pattern"),
    [
        ("--version", r"tmebox cc: clang version 19\..*tmebox \d"),
        ("-dumpmachine", r"^x86_64-linux-musl$"),
        ("-dumpversion", r"^\d+\.\d+"),
        ("-print-prog-name=ld", r"^ld$"),
        ("--help", r"--export NAME"),
    ],
)
def test_questions_about_the_compiler_are_answered(cc: Run, argument: str, pattern: str) -> None:
    code, out, err = cc(argument)
    assert (code, err) == (0, "")
    assert re.search(pattern, out, re.MULTILINE)


def test_v_alone_answers_on_stderr_as_compilers_do(cc: Run) -> None:
    code, out, err = cc("-v")
    assert (code, out) == (0, "")
    assert "clang" in err


# -- messages --------------------------------------------------------------------------------------------
def test_errors_and_warnings_read_like_a_compiler_s(cc: Run) -> None:
    write("a.c", "int a(int x)\n{\n  int unused;\n  return y;\n}\n")
    code, out, err = cc("-Wall", "-c", "a.c")
    assert (code, out) == (1, "")
    assert "a.c:4:10: error: use of undeclared identifier 'y'\n    4 |   return y;" in err
    assert not Path("a.o").exists()
    write("a.c", "int a(int x)\n{\n  int unused;\n  return x;\n}\n")
    code, out, err = cc("-Wall", "-c", "a.c")
    assert (code, out) == (0, "")
    assert "a.c:3:7: warning: unused variable 'unused'" in err


def test_a_refused_instruction_is_an_error_at_its_line(cc: Run) -> None:
    write("a.c", 'int a(void)\n{\n  __asm__ volatile("syscall");\n  return 0;\n}\n')
    code, _, err = cc("-c", "a.c")
    assert code == 1
    assert err.startswith("a.c:3: error: ")
    assert "syscall" in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no input files"),
        (["missing.c"], "no such file: 'missing.c'"),
        (["-c"], "no input files"),
        (["-c", "a.o"], "no sources"),
        (["-c", "a.c", "b.c", "-o", "c.o"], "-o names one file"),
        (["a.f90"], "neither C"),
        (["a.so"], "neither C"),
        (["-r", "a.c"], "a module is linked whole"),
        (["-r", "a.o"], "a module is linked whole"),
        (["-fplugin=x.so", "a.c"], "not supported"),
        (["-Xclang", "-load", "a.c"], "not supported"),
        (["-Wp,-x", "a.c"], "not supported"),
        (["-Wp,-MD", "a.c"], "needs a file"),
        (["-Wa,-x", "a.c"], "not supported"),
        (["-Wl,-T,script", "a.c"], "linker scripts"),
        (["-Wl,--wrap=x", "a.c"], "sources say what symbols are"),
        (["-Xlinker", "@file", "a.c"], "not supported"),
        (["@missing"], "no such file: 'missing', a response file"),
        (["-m32", "a.c"], "not supported"),
        (["-fsanitize=address", "a.c"], "not supported"),
        (["--target=arm", "a.c"], "not supported"),
        (["-I"], "-I needs a value"),
        (["-o"], "-o needs a value"),
    ],
    ids=" ".join,
)
def test_what_is_not_understood_is_an_error(cc: Run, argv: list[str], message: str) -> None:
    for name in ("a.c", "b.c"):
        write(name, "int a(void) { return 1; }")
    for name in ("a.o", "a.so", "a.f90", "args"):
        write(name, "")
    code, _, err = cc(*argv)
    assert code == 1
    assert err.startswith("tmebox cc: error: ") and message in err


def test_a_header_out_of_reach_is_explained(cc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write("out/h.h", "int h;\n")
    write("p/src/a.c", '#include "../../out/h.h"\nint a(void) { return h; }')
    monkeypatch.chdir("p")
    code, _, err = cc("-c", "src/a.c")
    assert code == 1
    assert "file not found" in err and "exists, but outside the directories" in err
    monkeypatch.setenv("TMEBOX_CC_READABLE", "/nonexistent:../out")
    assert cc("-c", "src/a.c") == (0, "", "")
    monkeypatch.delenv("TMEBOX_CC_READABLE")
    assert cc("-c", "src/a.c", "-I../out") == (0, "", "")


def test_include_directories_that_do_not_exist_are_ignored(cc: Run) -> None:
    write("a.c", "#include <stddef.h>\nint a(void) { return 1; }")
    assert cc("-I/nonexistent", "-Inone", "-isystem", "none/either", "-c", "a.c") == (0, "", "")


def test_headers_above_a_source_are_found_from_the_current_directory(cc: Run) -> None:
    write("config.h", "#define C 3\n")
    write("src/deep/a.c", '#include "../../config.h"\nint a(void) { return C; }')
    assert cc("-c", "src/deep/a.c") == (0, "", "")


@pytest.mark.parametrize(
    "argv",
    [
        [
            "-O2",
            "-Wall",
            "-Iinc",
            "-I",
            "inc2",
            "-DA=1",
            "-D",
            "B",
            "-UC",
            "-std=gnu99",
            "-pipe",
            "-g",
            "-fPIC",
        ],
        [
            "-Wl,-E",
            "-Wl,--as-needed,-z,now",
            "-rdynamic",
            "-pthread",
            "-s",
            "-static",
            "-L.",
            "-Wl,-rpath,/x",
        ],
        [
            "-include",
            "c.h",
            "-isystem",
            "sys",
            "-iquote",
            "q",
            "-idirafter",
            "after",
            "-MD",
            "-MP",
            "-MF",
            "d",
        ],
    ],
)
def test_what_builds_usually_pass_is_understood(argv: list[str]) -> None:
    command = parse([*argv, "-c", "a.c"])
    assert command.mode == "-c" and command.sources == [Path("a.c")]


def test_option_values_end_up_where_they_belong() -> None:
    command = parse(
        [
            "-Ione",
            "-I",
            "two",
            "-DX",
            "-D",
            "Y=2",
            "-UZ",
            "-O1",
            "-Ldir",
            "-lfoo",
            "-l",
            "bar",
            "a.o",
            "-o",
            "out",
        ]
    )
    options = command.options
    assert options.include_dirs == (Path("one"), Path("two"))
    assert options.flags == ("-DX", "-DY=2", "-UZ", "-O1")
    assert (command.libraries, command.library_dirs) == (["foo", "bar"], [Path("dir")])
    assert (command.mode, command.output) == ("link", Path("out"))
    with pytest.raises(UsageError):
        parse(["-O9", "a.c"])


# -- ar --------------------------------------------------------------------------------------------------
def test_ar_makes_lists_and_indexes_archives(cc: Run, capfd: pytest.CaptureFixture[str]) -> None:
    write("a.c", "int a(void) { return 1; }")
    assert cc("-c", "a.c")[0] == 0
    assert main_ar(["rc", "liba.a", "a.o"]) == 0
    assert main_ar(["s", "liba.a"]) == 0
    assert main_ar(["t", "liba.a"]) == 0
    assert capfd.readouterr().out.splitlines() == ["a.o"]
    write("list", "libb.a a.o")  # as libtool asks whether there are response files
    assert main_ar(["cr", "@list"]) == 0
    assert main_ar(["t", "@list"]) == 0
    Path("a.o").unlink()
    assert main_ar(["cr", "@list"]) != 0


@pytest.mark.parametrize(
    "argv", [[], ["-M"], ["rcs", "a.a", "@list"], ["rcs", "--plugin", "x"], ["rTcs", "x.a"], ["zz"]]
)
def test_ar_refuses_scripts_missing_response_files_plugins_and_thin_archives(
    argv: list[str], cc: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main_ar(argv) == 1
    assert not list(Path().iterdir())
    assert capfd.readouterr().err.startswith("tmebox ar: error: ")


# -- a build ---------------------------------------------------------------------------------------------
MAKEFILE = """
CFLAGS = -O2 -Wall -MMD -MP
prog: main.o libutil.a
\t$(CC) $(LDFLAGS) -o $@ main.o -L. -lutil -lm
libutil.a: util.o
\t$(AR) rcs $@ $^
\t$(RANLIB) $@
-include main.d util.d
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_a_project_builds_with_make_and_rebuilds_what_changed(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "util.h").write_text("int twice(int);\n")
    (tmp_path / "util.c").write_text('#include "util.h"\nint twice(int x) { return 2 * x; }\n')
    (tmp_path / "main.c").write_text('#include "util.h"\nint main(int c, char **v) { return twice(c); }\n')
    tool = f"{sys.executable} -m tmebox"

    def make() -> str:
        command = ["make", f"CC={tool} cc", f"AR={tool} ar", f"RANLIB={tool} ar s"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    make()
    module = codec.read(tmp_path / "prog")
    assert module.start is not None
    assert "twice" in {symbol.name for symbol in module.symbols}
    assert "up to date" in make()
    header = (tmp_path / "util.h").stat().st_mtime
    os.utime(tmp_path / "util.h", (header + 10, header + 10))
    assert make().count("cc -O2") == 2
