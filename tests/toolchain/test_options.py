"""The options that existing builds pass: each has its effect, or none for a reason, or says why not."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tmebox.abi import Base
from tmebox.modulefile import codec
from tmebox.toolchain.cc.command_line import parse
from tmebox.toolchain.cc.driver import main_cc
from tmebox.toolchain.cc.response_files import ResponseFileError, expand, split
from tmebox.toolchain.compile import clang, flags, gcc
from tmebox.toolchain.compile.flags import ROWS, vet
from tmebox.toolchain.compile.option_table import TABLE
from tmebox.toolchain.confine import ANYWHERE

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `tmebox cc` in a directory with a.c and main.c; returns exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    Path("a.c").write_text("int a(int x) { return x; }\n")
    Path("main.c").write_text("#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n")

    def run(*argv: str) -> tuple[int, str, str]:
        code = main_cc(argv)
        out, err = capfd.readouterr()
        return code, out, err

    return run


ACCEPTED = """
-Wa,--noexecstack|-Wa,-mrelax-relocations=no,--fatal-warnings|-Xassembler --noexecstack
-Wl,-Map=F|-Wl,-Map,F|-Wl,--Map=F|-Xlinker -Map=F|-Xlinker -Map -Xlinker F|-Wl,-rpath -Wl,/x
-Wl,-z,now,-z,relro|-Wl,-zmuldefs|-Wl,--gc-sections,--as-needed|-Wl,-soname,x|-Wl,-O1,--sort-common
-Wl,--start-group -lm -Wl,--end-group|-Wl,--hash-style=gnu|-Wl,--build-id=sha1|-Wl,-dynamic-linker,/x
-Wl,--no-undefined,--fatal-warnings,--strip-debug|-Wl,-Bstatic|-Wl,--enable-new-dtags|-Wl,-L.,-lm
-l:libm.a|-l:libc.a|-static-libgcc|-nostartfiles|-fno-lifetime-dse|-flifetime-dse=1
-ffile-prefix-map=/a=/b|-fmacro-prefix-map=/a=b|-fdebug-prefix-map=/a/b=.|-fprofile-prefix-map=a=b
-Wp,-D_FORTIFY_SOURCE=2|-Wp,-U_FORTIFY_SOURCE,-DX=1|-Wp,-MMD,D|-Wp,-MD,D|-Xpreprocessor -DX
-mcrc32|-mrdrnd|-mrdseed|-fms-extensions|-fsanitize=undefined -fsanitize-trap|-fsanitize-trap=all
-fsanitize=signed-integer-overflow,bounds -fsanitize-undefined-trap-on-error|-fno-sanitize-recover=all
-fsanitize=integer -fno-sanitize=unsigned-integer-overflow|-march=native|-march=x86-64-v4|-mtune=native
-undef|-fno-asm|-fmax-errors=3|-fvisibility-inlines-hidden|-fno-rtti|-frecord-gcc-switches|-Q -time
-fstrict-volatile-bitfields|-fvect-cost-model=cheap|-mincoming-stack-boundary=3|-mtls-dialect=gnu2|-B/x -B x
-fexec-charset=UTF-8|--target=x86_64-linux-musl|-target x86_64-linux-gnu|-no-integrated-as|-fgcse-las
-Wl,--exclude-libs,ALL|-Wl,--exclude-libs=ALL|-Wl,-t|-Wl,--threads=1|-Wl,--emit-relocs|-Wl,-q|-u a
-march=znver4|-march=skylake-avx512 -mtune=skylake-avx512|-march=sapphirerapids
"""


@pytest.mark.parametrize("words", ACCEPTED.replace("\n", "|").strip("|").split("|"))
def test_options_of_existing_builds_are_accepted(words: str, cc: Run) -> None:
    code, out, err = cc("-nostdlib", "-O2", "a.c", *words.split(), "-o", "p")
    assert (code, out) == (0, "")
    assert not err or (err.startswith("tmebox cc: note: -march=") and len(err.splitlines()) == 1)
    assert {export.name for export in codec.read("p").exports} == {"a"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-fsanitize=address", "its library is missing; `undefined` works"),
        ("-fsanitize=undefined,thread", "its library is missing"),
        ("-m32", "sandboxed code is 64-bit"),
        ("-pg", "it would write counts nowhere"),
        ("-l:libx.so.1", "a module is linked of archives (.a) and objects only"),
        ("-l:libx.a", "no libx.a in the directories given with -L"),
        ("-Wl,-T,x", "linker scripts cannot be used"),
        ("-Wl,-r", "a module is linked whole"),
        ("-Wl,--wrap=x", "sources say what symbols are"),
        ("-Wl,--defsym,x=1", "sources say what symbols are"),
        ("-Wl,--version-script=x", "name exports with --export"),
        ("--target=aarch64-linux-gnu", "not supported"),
        ("-fexec-charset=latin1", "not supported"),
        ("-Wl,@x", "not supported"),
        ("-Xlinker a,b", "not supported"),
        ("-Wa,-al=listing", "not supported"),
        ("-Wa,--defsym,x=1", "not supported"),
        ("-Wp,-o,x", "not supported"),
        ("-Xpreprocessor -undef-x", "not supported"),
    ],
)
def test_what_has_no_meaning_says_why(words: str, message: str, cc: Run) -> None:
    code, _, err = cc("a.c", *words.split())
    assert code == 1 and err.startswith("tmebox cc: error: ") and message in err
    assert sorted(path.name for path in Path().iterdir()) == ["a.c", "main.c"]


def test_a_map_is_written_and_names_what_was_linked(cc: Run) -> None:
    assert cc("-nostdlib", "a.c", "-Wl,-Map=map.txt")[0] == 0
    text = Path("map.txt").read_text()
    assert ".text" in text and re.search(r"\ba$", text, re.MULTILINE) and "tmebox-" not in text
    assert ".text" in cc("-nostdlib", "a.c", "-Wl,-M")[1]
    assert cc("-nostdlib", "missing.o", "-Wl,-Map=none")[0] == 1
    assert not Path("none").exists()


def test_a_map_is_not_left_by_a_link_that_fails(cc: Run) -> None:
    Path("b.c").write_text("extern int x; int b(void) { return x; }")
    assert cc("-nostdlib", "b.c", "-Wl,-Map=map.txt")[0] == 1
    assert not Path("map.txt").exists()


def test_prefix_maps_change_names_and_nothing_that_is_read(cc: Run) -> None:
    here = Path().absolute()
    assert cc(f"{here}/main.c", f"-ffile-prefix-map={here}=/built", "-o", "p")[0] == 0
    assert b"/built/main.c" in codec.read("p").segments[0].data
    assert cc("-E", "-P", f"{here}/main.c", f"-fmacro-prefix-map={here}=.")[1].count('puts("main.c")') == 1
    Path("c.c").write_text('#include "/secret/x.h"\n')
    code, _, err = cc("-c", "c.c", "-ffile-prefix-map=/secret=/etc")
    assert code == 1 and "file not found" in err


def test_rules_go_where_wp_says(cc: Run) -> None:
    Path("h.h").write_text("")
    Path("b.c").write_text('#include "h.h"\n#include <stddef.h>\nint b(void) { return X; }')
    assert cc("-c", "b.c", "-Wp,-MMD,dep.d,-DX=4")[0] == 0
    assert Path("dep.d").read_text() == "b.o: \\\n  b.c \\\n  h.h\n"
    assert cc("-c", "b.c", "-Wp,-MD,all.d", "-Wp,-DX", "-Wp,-MT,target")[0] == 0
    assert Path("all.d").read_text().startswith("target: ") and "stddef.h" in Path("all.d").read_text()


def test_without_start_files_main_is_a_function_like_others(cc: Run) -> None:
    assert cc("main.c", "-nostartfiles", "-o", "p")[0] == 0
    module = codec.read("p")
    assert module.start is None and "main" in {export.name for export in module.exports}


# -- response files --------------------------------------------------------------------------------------
QUOTED = [
    ("a b\n\tc\r\n", ["a", "b", "c"]),
    ("'a b' \"c d\" e\\ f", ["a b", "c d", "e f"]),
    ("-D'X=\"y\"' \"\" ''", ['-DX="y"', "", ""]),
    ('"a\\"b" \'c\\\'d\' a"b"c', ['a"b', "c'd", "abc"]),
    ("a\\\\b", ["a\\b"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "words"), QUOTED)
def test_response_files_are_taken_apart_as_gcc_takes_them(text: str, words: list[str]) -> None:
    assert split(text, "x") == words


@pytest.mark.parametrize("text", ["'a", '"a', "a\\", "\"a'"])
def test_response_files_that_do_not_end_are_errors(text: str) -> None:
    with pytest.raises(ResponseFileError, match="x: a quote that is not closed"):
        split(text, "x")


def test_response_files_hold_options_inputs_and_response_files(cc: Run) -> None:
    Path("inner").write_text("-nostdlib 'a.c'")
    Path("outer").write_text("-O2 @inner\n-o 'the program'\n")
    assert cc("@outer") == (0, "", "")
    assert {export.name for export in codec.read("the program").exports} == {"a"}


def test_response_files_that_name_each_other_come_to_an_end(cc: Run) -> None:
    Path("one").write_text("@two @two")
    Path("two").write_text("@one @one")
    code, _, err = cc("@one")
    assert code == 1 and "response files" in err
    assert expand(["@", "@none", "a"]) == ["@", "@none", "a"]


def test_nothing_that_compile_is_given_reads_a_response_file(tmp_path: Path) -> None:
    (tmp_path / "flags").write_text("-DX")
    source = "int f(void) { return 1; }"
    for flag in (f"@{tmp_path}/flags", "-Wl,-Map=/tmp/x", "-Wp,-MD,/tmp/x", "-Xlinker", "-Wa,-al=/tmp/x"):
        with pytest.raises(tmebox.CompileError, match="not supported"):
            tmebox.compile(source_text=source, flags=(flag,))
        with pytest.raises(tmebox.CompileError):
            tmebox.compile(source_text=source, defines=(flag,))


def test_ms_extensions_open_no_files_and_link_nothing() -> None:
    assembly = "int f(void) { __asm { mov eax, 1 } return 1; }"
    with pytest.raises(tmebox.CompileError):
        tmebox.compile(source_text=assembly, flags=("-fms-extensions",))
    for line in ('#import "/etc/passwd"', '#include "/etc/passwd"', '#embed "/etc/passwd"'):
        with pytest.raises(tmebox.CompileError) as caught:
            tmebox.compile(source_text=f"int f(void) {{ return 1; }}\n{line}\n", flags=("-fms-extensions",))
        assert "root:" not in str(caught.value)
    linking = (
        '#pragma comment(lib, "evil")\n#pragma comment(linker, "-T/etc/passwd")\nint f(void) { return 1; }'
    )
    module = tmebox.compile(source_text=linking, flags=("-fms-extensions", "-w"))
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.f() == 1
    inner = "struct a { int x; }; struct b { struct a; int y; }; int f(struct b *b) { return b->x; }"
    tmebox.compile(source_text=inner, flags=("-fms-extensions", "-w"))


# -- processors ------------------------------------------------------------------------------------------
VECTORS = """
void f(int *a, const int *b, int n) { for (int k = 0; k < n; k++) if (b[k] > 3) a[k] = b[k] * 7; }
int g(const unsigned char *a, const signed char *b, int n)
{
    int s = 0;
    for (int k = 0; k < n; k++) s += a[k] * b[k];
    return s;
}
"""
LEVELS = [
    "native",
    "x86-64-v2",
    "x86-64-v3",
    "x86-64-v4",
    "znver4",
    "skylake-avx512",
    "sapphirerapids",
    "bdver2",
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("base", ["gs", "r15"])
def test_code_for_any_processor_stays_within_what_is_verified(level: str, base: Base) -> None:
    if base == "r15":
        try:
            gcc.gcc()
        except tmebox.CompileError as error:
            pytest.skip(str(error))
    try:
        tmebox.compile(source_text=VECTORS, flags=(f"-march={level}",), optimize="-O3", base=base)
    except tmebox.CompileError as error:
        if base == "gs" or "bad value" not in str(error):
            raise
        pytest.skip(f"this gcc is older than {level}")


def test_avx512_that_is_left_out_is_mentioned_once(cc: Run) -> None:
    for flag in ("-march=native", "-march=x86-64-v4", "-march=znver5"):
        assert cc("-c", "a.c", flag, flag) == (
            0,
            "",
            f"tmebox cc: note: {flag}: without AVX-512, which sandboxed code cannot use\n",
        )
    assert cc("-c", "a.c", "-march=x86-64-v3") == (0, "", "")
    Path("m.c").write_text(
        "#ifdef __AVX512F__\n#error it is there\n#endif\n#ifndef __AVX2__\n#error none\n#endif\n"
    )
    assert cc("-c", "m.c", "-march=x86-64-v4")[0] == 0


# -- the table -------------------------------------------------------------------------------------------
def test_every_row_of_the_table_is_one_of_three_kinds_and_can_match() -> None:
    lines = [line for line in TABLE.splitlines() if line and not line.startswith("# ")]
    assert len(lines) == len(ROWS) > 200 and max(map(len, lines)) <= 110
    assert {effect for _, effect, _ in ROWS} == {"pass", "ignore", "refuse"}
    assert all(why for _, effect, why in ROWS if effect == "refuse")
    assert len({pattern for pattern, _, _ in ROWS}) == len(ROWS)


OPTIONS = [
    "-O2",
    "-Wall",
    "-fno-strict-aliasing",
    "-fstrict-aliasing=2",
    "-fPIC",
    "-fpic",
    "-no-pie",
    "-g3",
    "-gno-split",
    "-gdwarf-4",
    "-m64",
    "-fsanitize=undefined",
    "-fsanitize=address",
    "-m32",
    "-mno-avx",
    "-mcmodel=small",
    "-mcmodel=large",
    "-march=native",
    "-std=gnu11",
    "-ansi",
    "-pedantic-errors",
    "-no-warnings",
    "--no-warnings",
    "-static-pie",
    "-ffile-prefix-map=/a=/b",
    "-pg",
    "--coverage",
    "-w",
    "-Ofast",
    "-pipe",
    "-f",
    "-fno-visibility=hidden",
    "-fvisibility=default",
    "-fsomething",
    "-xyz",
    "-malign",
    "--param=a",
    "-fno-builtin-memcpy",
    "-pthread",
]


@pytest.mark.parametrize("option", OPTIONS)
def test_looking_at_an_options_beginning_first_misses_no_row(option: str) -> None:
    every = ((effect, why) for pattern, effect, why in ROWS if re.fullmatch(pattern, option))
    assert flags._row(option) == next(every, ("", ""))


def _examples(pattern: str) -> list[str]:
    """Options that a row without free text stands for."""
    plain = pattern.replace("(no-)?", "NO")
    if re.search(r"[\\[\](){}*+?|.]", plain):
        return []
    return [plain.replace("NO", no) for no in ("", "no-")] if "NO" in plain else [plain]


def test_the_compiler_knows_what_is_passed_to_it(tmp_path: Path) -> None:
    """Rows without a value, all at once; clang names those that it does not know."""
    options = [text for pattern, effect, _ in ROWS if effect == "pass" for text in _examples(pattern)]
    assert len(options) > 150
    assert all(flags.passes(option) for option in options)
    (tmp_path / "a.c").write_text("int a;\n")
    arguments = ["-target", "x86_64-linux-musl", "-fsyntax-only", *options, str(tmp_path / "a.c")]
    messages = clang.run("clang", arguments, ANYWHERE).messages
    unknown = set(re.findall(r"unknown (?:argument|warning option):? '([^']+)'", messages))
    assert unknown <= BY_GCC, messages


BY_GCC = {
    *("-fno-freestanding", "-fno-hosted", "-fno-inline-hint-functions", "-fno-trapv"),
    *("-fno-signed-bitfields", "-fno-unsigned-bitfields"),
}
"""Options that only gcc has."""


# -- as configure scripts ask ----------------------------------------------------------------------------
def test_conftests_of_autoconf_behave(cc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("conftest.c").write_text("#include <stdio.h>\nint main(void) { return 0; }\n")
    assert cc("-o", "conftest", "-g", "-O2", "conftest.c") == (0, "", "")
    assert os.access("conftest", os.X_OK)
    assert cc("-c", "-g", "-O2", "conftest.c") == (0, "", "") and Path("conftest.o").exists()
    assert "int main" in cc("-E", "conftest.c")[1]
    assert cc("-S", "conftest.c") == (0, "", "") and Path("conftest.s").exists()
    assert cc("-c", "a.c", "conftest.c") == (0, "", "") and Path("a.o").exists()
    Path("conftest.c").write_text("int main(void) { return missing; }\n")
    code, out, err = cc("-c", "conftest.c")
    assert (code, out) == (1, "") and "conftest.c:1:" in err
    Path("conftest.c").write_text("char nosuch(void); int main(void) { return nosuch(); }\n")
    assert cc("-E", "-P", "-x", "c", "/dev/null") == (0, "", "") or cc("-E", "-x", "c", "/dev/null")[0] == 0
    for argv in (["-x", "c", "-c", "-", "-o", "s.o"], ["-c", "-xc", "-", "-o", "s.o"]):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"int s(void) { return 1; }\n")))
        assert cc(*argv) == (0, "", "") and Path("s.o").exists()
        Path("s.o").unlink()


@pytest.mark.parametrize(
    ("argv", "stream", "pattern"),
    [
        (["--version"], "out", "clang"),
        (["-v"], "err", "Target: x86_64"),
        (["--isolation", "data", "-v"], "err", "Target: x86_64"),
        (["-###", "-c", "a.c"], "err", "Target: x86_64"),
        (["-dumpmachine"], "out", "x86_64-linux-musl"),
        (["-print-prog-name=ld"], "out", "^ld$"),
        (["-print-file-name=libc.a"], "out", "libc.a"),
        (["-print-search-dirs"], "out", "libraries"),
        (["-dumpversion"], "out", r"^\d+\."),
    ],
)
def test_questions_of_configure_scripts_are_answered_and_write_nothing(
    argv: list[str], stream: str, pattern: str, cc: Run
) -> None:
    code, out, err = cc(*argv)
    assert code == 0 and re.search(pattern, out if stream == "out" else err, re.MULTILINE)
    assert sorted(path.name for path in Path().iterdir()) == ["a.c", "main.c"]


def test_text_that_is_not_utf8_passes_through_the_preprocessor(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_bytes(b'char s[] = "\xe9";\n')
    command = [sys.executable, "-m", "tmebox", "cc", "-E", "-P", "a.c"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, check=True, env={"LC_ALL": "C", "PATH": "/bin"}
    )
    assert done.stdout == b'char s[] = "\xe9";\n'


def test_options_that_are_parsed_have_their_place() -> None:
    command = parse(["-march=x86-64-v4", "-Wl,-Map,m", "-l:libx.a", "-nostartfiles", "a.o"])
    assert (command.map_file, command.libraries, command.use_start_files) == (Path("m"), [":libx.a"], False)
    assert vet(["-march=x86-64-v4"])[0] == "-march=x86-64-v3"


WITH_512_BITS = "#include <immintrin.h>\nvoid f(void *a) { _mm512_storeu_si512(a, _mm512_set1_epi32(3)); }"
MASKED = """
#include <immintrin.h>
void f(int *a, int m) { _mm256_mask_storeu_epi32(a, (__mmask8)m, _mm256_set1_epi32(3)); }
"""


@pytest.mark.parametrize("source", [WITH_512_BITS, MASKED])
def test_avx512_that_is_asked_for_by_name_is_refused_with_a_way_out(source: str) -> None:
    with pytest.raises(tmebox.CompileError, match=r"AVX-512 is not supported; compile with -march=x86-64-v3"):
        tmebox.compile(source_text=source, flags=("-mavx512f", "-mavx512vl"))
