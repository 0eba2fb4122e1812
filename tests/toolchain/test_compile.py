"""Compiling: diagnostics with their place, flags that may be used, and sources that may not read the host's
files."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain.compiling import compile_text, exports
from tmebox.errors import CompileError, Diagnostic
from tmebox.toolchain.build import CompileOptions, SourceText, build
from tmebox.toolchain.compile import clang, gcc
from tmebox.toolchain.compile.compile import SourceError, compile_to_assembly, preprocess
from tmebox.toolchain.compile.containment import dependencies
from tmebox.toolchain.compile.flags import ROWS, ignored, vet

BARE = CompileOptions(use_libc=False)


def compiled(source: Path, **options: Any) -> str:
    return compile_to_assembly(source, CompileOptions(use_libc=False, **options)).text


# -- diagnostics -----------------------------------------------------------------------------------------
def test_errors_have_file_line_column_and_message() -> None:
    with pytest.raises(CompileError) as caught:
        compile_text("int f(void) {\n  return x;\n}\nint g(void) { return 1 }\n")
    first, second = caught.value.diagnostics
    assert first == Diagnostic("use of undeclared identifier 'x'", "source0.c", 2, 10)
    assert (second.file, second.line) == ("source0.c", 4)
    assert "source0.c:2:10: error: use of undeclared identifier 'x'" in str(caught.value)


def test_warnings_are_handed_over_and_do_not_stop_the_build() -> None:
    warnings: list[Diagnostic] = []
    source = SourceText("int f(void) { int unused; return 1; }", "w.c")
    build([source], CompileOptions(use_libc=False, flags=("-Wall",)), warn=warnings.append)
    (warning,) = warnings
    assert (warning.severity, warning.file, warning.line) == ("warning", "w.c", 1)
    assert "unused" in warning.message


def test_refused_assembly_is_reported_at_its_line_in_the_source() -> None:
    with pytest.raises(CompileError) as caught:
        compile_text('int f(void) {\n  int x;\n  __asm__("rdpmc" : "=a"(x));\n  return x;\n}\n')
    assert (caught.value.diagnostics[0].file, caught.value.diagnostics[0].line) == ("source0.c", 3)


def test_progress_names_the_stages() -> None:
    seen: list[tuple[str, int, int]] = []
    sources = [SourceText("int f(void) { return 1; }"), SourceText("int g(void) { return 1; }")]
    build(sources, BARE, progress=lambda *step: seen.append(step))
    assert seen == [("compile", 0, 2), ("compile", 1, 2)]


@pytest.mark.parametrize("name", ["a.f90", "a.rs", "a"])
def test_other_languages_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("int x;")
    with pytest.raises(CompileError, match="not a source that can be sandboxed"):
        build([tmp_path / name], BARE)


def test_what_is_called_an_object_has_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "a.o").write_text("int x;")
    with pytest.raises(CompileError, match="not an object file for x86-64 made by `tmebox cc -c`"):
        build([tmp_path / "a.o"], BARE)


def test_a_missing_source_is_a_compile_error(tmp_path: Path) -> None:
    for name in ("a.c", "a.s", "a.S"):
        with pytest.raises(CompileError, match=r"a\.[csS]"):
            build([tmp_path / name], BARE)


def test_no_sources_at_all_is_a_compile_error() -> None:
    with pytest.raises(CompileError, match="nothing to compile"):
        build([], BARE)


def test_assembly_sources_go_through_the_rewriter_too(tmp_path: Path) -> None:
    body = ".globl NAME\n.type NAME,@function\nNAME: movl VALUE, %eax\n ret\n.size NAME, .-NAME\n"
    (tmp_path / "f.S").write_text("#define NAME f\n#define VALUE (%rdi)\n" + body)
    (tmp_path / "g.s").write_text(body.replace("VALUE", "(%rdi)").replace("NAME", "g"))
    module = build([tmp_path / "f.S", tmp_path / "g.s"], BARE)
    assert module.text.count(b"\x65\x67\x8b\x07") == 2  # movl %gs:(%edi), %eax
    (tmp_path / "h.s").write_text("h: syscall\n")
    with pytest.raises(CompileError, match="syscall"):
        build([tmp_path / "h.s"], BARE)


def test_headers_that_compile_the_same_way_outside_are_found() -> None:
    headers = "#include <stdint.h>\n#include <limits.h>\n#include <immintrin.h>\n"
    source = headers + "int8_t f(void) { return INT8_MAX; }"
    assert exports(compile_text(source, flags=("-ffreestanding",))) == {"f": "int8_t f(void)"}


# -- flags -----------------------------------------------------------------------------------------------
USUAL = """-Wall -Wextra -Werror=implicit -Wno-unused-parameter -W -w -pedantic -std=c99 -std=gnu11 -ansi -O0
-O3 -Os -ffast-math -fno-strict-aliasing -fwrapv -funroll-loops -fvisibility=hidden
-fno-builtin-memcpy -mavx2 -mno-sse4.1 -mtune=generic -fsigned-char -fno-math-errno
-ffreestanding -fno-common -fexceptions -fno-rtti -fno-exceptions"""
HARMLESS = """-fPIC -fpie -fno-plt -fstack-protector-strong -fcf-protection=none -fstack-clash-protection
-fomit-frame-pointer -ffunction-sections -fdata-sections -g -g3 -ggdb -gdwarf-4 -pipe -pthread -m64
-flto -flto=auto -fno-semantic-interposition -fno-asynchronous-unwind-tables -no-pie
-static-pie"""
DANGEROUS = """-fplugin=evil.so
-fpass-plugin=evil.so -Xclang -load -B/tmp -Wp,-MD,/tmp/x -Wa,--defsym -Wl,-T,x
@file -specs=x -o /tmp/x -include /etc/passwd -I/etc -isystem -idirafter --sysroot=/
-fprofile-use=/etc/passwd -fprofile-instr-generate=x -fmodules -fmodule-file=x
-fmodule-map-file=/etc/passwd -ivfsoverlay -fcrash-diagnostics-dir=/tmp -save-temps -MF -MD
-fsanitize=address -fsanitize-ignorelist=/etc/passwd -ftime-trace=x
-fms-compatibility -fasm-blocks -fembed-bitcode -fthinlto-index=x -mllvm -fopt-record-file=x
-foptimization-record-file=x -dependency-file -E -S -c -frewrite-includes -working-directory=/
-fxray-always-instrument=/etc/passwd -fintegrated-as -fbasic-block-sections=list=/x -mcmodel=large
-fno-gnu-inline-asm -cc1
-x -gsplit-dwarf=/tmp/x -rpath -L/ -lx -T --config=x -mrelax-all -emit-llvm"""


@pytest.mark.parametrize("flag", USUAL.split())
def test_usual_flags_reach_the_compiler_and_it_knows_them(flag: str) -> None:
    assert vet([flag]) == [flag]


def test_the_compiler_accepts_all_usual_flags_together() -> None:
    compile_text(
        "int f(void) { return 1; }",
        flags=tuple(f for f in USUAL.split() if f not in ("-ansi", "-fvisibility=hidden")),
    )


@pytest.mark.parametrize("flag", HARMLESS.split())
def test_flags_that_a_sandbox_decides_by_itself_are_ignored(flag: str) -> None:
    assert vet([flag]) == []


@pytest.mark.parametrize("flag", [flag for flag in DANGEROUS.split() if flag != "/tmp/x"])
def test_flags_that_read_write_or_run_something_are_refused(flag: str) -> None:
    if ignored(flag):  # ignoring is as good as refusing: the compiler does not see it
        assert vet([flag]) == []
        return
    with pytest.raises(CompileError, match="not supported"):
        vet([flag])


@pytest.mark.parametrize("value", ["-DX=1\n#include <x>", "-D", "-D-x", "-DX Y", "-U/x", "-D=1"])
def test_macros_are_names_with_a_value(value: str) -> None:
    with pytest.raises(CompileError):
        vet([value])
    assert vet(['-DX="a b"', "-DF(x)=x+1", "-UNDEBUG"]) == ['-DX="a b"', "-DF(x)=x+1", "-UNDEBUG"]


def test_no_flag_pattern_matches_a_path() -> None:
    """But for those whose value is text that the compiler replaces in names."""
    taking = {pattern for pattern, effect, _ in ROWS if effect != "refuse" and pattern_takes(pattern)}
    assert {name for name in taking if "prefix-map" not in name and not name.startswith("--param")} == set()
    assert not any("/" in pattern for pattern, _, _ in ROWS)


def pattern_takes(pattern: str) -> bool:
    """Whether a pattern could match an option whose value is a path."""
    return any(text in pattern for text in (".*", ".+", r"\S", "[^"))


def test_defines_and_levels_have_their_effect() -> None:
    source = "#ifndef N\n#error no\n#endif\nint f(void) { return N; }"
    assert b"\xb8\x2a\0\0\0" in compile_text(source, defines=("N=42",)).text
    with pytest.raises(CompileError, match="not a macro"):
        compile_text(source, defines=("N=1\n#error",))
    with pytest.raises(CompileError, match="not supported"):
        compile_text(source, optimize="-fplugin=x")


def test_a_base_register_that_no_rules_are_for_is_refused() -> None:
    with pytest.raises(CompileError, match="base is one of gs, r15"):
        compile_text("int f(void) { return 1; }", base="r13")


# -- sources may not read files --------------------------------------------------------------------------
@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with a secret beside it, and links that lead there."""
    project, shared = tmp_path / "project", tmp_path / "shared"
    (project / "inner").mkdir(parents=True)
    shared.mkdir()
    (tmp_path / "secret.h").write_text("root:x:0:0 secret\n")
    (shared / "ok.h").write_text("int ok;\n")
    (project / "near.h").write_text("int near;\n")
    (project / "inner" / "deep.h").write_text("int deep;\n")
    (project / "link.h").symlink_to(tmp_path / "secret.h")
    (project / "good_link.h").symlink_to("near.h")
    (project / "out").symlink_to(tmp_path)
    (project / "through.h").write_text('\n\n#include "link.h"\n')
    return tmp_path


def attempt(tree: Path, text: str, **options: Any) -> str:
    """What compiling `text` as project/main.c produces: assembly, or the error as a whole."""
    source = tree / "project" / "main.c"
    source.write_text(text)
    try:
        return compiled(source, **options)
    except CompileError as error:
        messages = error.messages if isinstance(error, SourceError) else ""
        return f"refused: {error} {error.diagnostics} {messages}"


@pytest.mark.parametrize(
    "include", ['"near.h"', '"inner/deep.h"', '"./inner/../near.h"', '"good_link.h"', "<stddef.h>"]
)
def test_a_source_includes_what_is_beside_it_and_system_headers(tree: Path, include: str) -> None:
    assert "refused" not in attempt(tree, f"#include {include}\nint f(void) {{ return 1; }}\n")


def test_a_source_includes_from_given_directories_only(tree: Path) -> None:
    text = "#include <ok.h>\nint f(void) { return ok; }\n"
    assert "'ok.h' file not found" in attempt(tree, text)
    assert "refused" not in attempt(tree, text, include_dirs=(tree / "shared",))
    assert "refused" not in attempt(tree, text, search=(("-isystem", tree / "shared"),))
    text = f'#include "{tree}/shared/ok.h"\nint f(void) {{ return ok; }}\n'
    assert "file not found" in attempt(tree, text)
    assert "refused" not in attempt(tree, text, readable_dirs=(tree / "shared",))


WAYS_OUT = {
    "an absolute path": '#include "{tree}/secret.h"',
    "the parent directory": '#include "../secret.h"',
    "a link": '#include "link.h"',
    "a link from a header": '#include "through.h"',
    "a link to a directory": '#include "out/secret.h"',
    "a link and a missing header": '#include "link.h"\n#include "missing.h"',
    "a link through its directory": '#include "out/project/../secret.h"',
    "import": '#import "{tree}/secret.h"',
    "include_next": '#include_next "link.h"',
    "embed": 'const char b[] = {{\n#embed "{tree}/secret.h"\n}};',
    "embed of a link": 'const char b[] = {{\n#embed "link.h"\n}};',
    "a computed include": '#define H "../secret.h"\n#include H',
    "a dependency pragma": '#pragma GCC dependency "{tree}/secret.h"',
    "a device": '#include "/dev/zero"',
    "a process's memory": '#include "/proc/self/environ"',
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_source_cannot_read_what_it_was_not_given(tree: Path, way: str) -> None:
    outcome = attempt(tree, WAYS_OUT[way].format(tree=tree) + "\nint f(void) { return 1; }\n")
    assert outcome.startswith("refused: ")
    assert "root:x" not in outcome


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_source_that_gcc_compiles_cannot_read_what_it_was_not_given(tree: Path, way: str) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("base r15 needs gcc")
    outcome = attempt(tree, WAYS_OUT[way].format(tree=tree) + "\nint f(void) { return 1; }\n", base="r15")
    # The pragma looks at the file's times only.
    assert outcome.startswith("refused: ") or way == "a dependency pragma"
    assert "root:x" not in outcome


@pytest.mark.parametrize("base", ["gs", "r15"])
@pytest.mark.parametrize(
    "line", ["#warning here", "int g(void) { int unused; return 1; }", "int g(void) { nope; }"]
)
def test_messages_quote_no_file_that_a_line_number_names(tree: Path, base: str, line: str) -> None:
    if base == "r15" and shutil.which("gcc") is None:
        pytest.skip("base r15 needs gcc")
    (tree / "secret.txt").write_text("TOPSECRET\n")
    text = f'#line 1 "{tree}/secret.txt"\n{line}\nint f(void) {{ return 1; }}\n'
    outcome = attempt(tree, text, base=base, flags=("-Wunused-variable", "-Werror"))
    assert "secret.txt:1:" in outcome
    assert "TOPSECRET" not in outcome


def test_a_source_cannot_have_gcc_load_a_precompiled_header(tree: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("base r15 needs gcc")
    (tree / "project" / "near.h.gch").write_bytes(b"gpch.014 an image of the compiler's memory")
    text = '#include "near.h"\nint f(void) { return near; }\n'
    assert "near" in attempt(tree, text, base="r15", flags=("-Winvalid-pch", "-Werror"))
    assert "refused" not in attempt(tree, text, base="r15", flags=("-Winvalid-pch", "-Werror"))
    for pragma in (
        '#pragma GCC pch_preprocess "near.h.gch"',
        '_Pragma("GCC pch_preprocess \\"near.h.gch\\"")',
    ):
        outcome = attempt(tree, f"{pragma}\nint f(void) {{ return 1; }}\n", base="r15")
        assert "would load a precompiled header" in outcome


def test_base_r15_without_gcc_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    gcc.gcc.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: None)
    try:
        with pytest.raises(CompileError, match="install gcc, or use base gs"):
            compile_text("int f(void) { return 1; }", base="r15")
    finally:
        gcc.gcc.cache_clear()


def test_a_link_out_is_refused_with_the_line_that_includes_it(tree: Path) -> None:
    with pytest.raises(CompileError) as caught:
        (tree / "project" / "main.c").write_text('int x;\n#include "through.h"\n')
        compiled(tree / "project" / "main.c")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.line == 3 and str(diagnostic.file).endswith("through.h")
    assert "link.h" in diagnostic.message


@pytest.mark.parametrize("suffix", [".c", ".s", ".S", ".i"])
def test_a_source_that_is_itself_a_link_out_is_refused(tree: Path, suffix: str) -> None:
    source = tree / "project" / f"main{suffix}"
    source.symlink_to(tree / "secret.h")
    with pytest.raises(CompileError) as caught:
        build([source], BARE)
    assert "link that leads outside" in str(caught.value)
    assert "root:x" not in str(caught.value)


@pytest.mark.parametrize("probe", ["__has_include", "__has_embed"])
def test_a_source_cannot_ask_whether_a_file_exists(tree: Path, probe: str) -> None:
    text = '#if {}("{}")\n#error it exists\n#endif\nint f(void) {{ return 1; }}\n'
    present, absent = (attempt(tree, text.format(probe, tree / name)) for name in ("secret.h", "absent.h"))
    assert "refused" not in present + absent


def test_messages_do_not_tell_whether_a_file_exists(tree: Path) -> None:
    present, absent = (attempt(tree, f'#include "{tree}/{name}"\n') for name in ("secret.h", "absent.h"))
    assert present.replace("secret", "") == absent.replace("absent", "").replace("                ~", "~")


@pytest.mark.parametrize(
    "text",
    [
        '__asm__(".incbin \\"/etc/passwd\\"");',
        '__asm__(".include \\"/etc/passwd\\"");',
        'int f(void) { __asm__(".incbin \\"/etc/passwd\\""); return 1; }',
        '__attribute__((section(".x\\"\\n.incbin \\"/etc/passwd\\"\\n#"))) int f(void) { return 1; }',
        'int f(void) __asm__("x\\n.incbin \\"/etc/passwd\\"\\n"); int f(void) { return 1; }',
    ],
)
def test_assembly_cannot_read_files_either(text: str) -> None:
    with pytest.raises(CompileError):
        compile_text(text)


def test_source_text_sees_given_directories_and_nothing_else(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree / "shared")
    source = '#include "ok.h"\nint f(void) { return ok; }'
    with pytest.raises(CompileError, match="not found"):
        compile_text(source)
    assert "f" in exports(compile_text(source, include_dirs=(Path("../shared"),)))


@pytest.mark.parametrize("name", ["../x.c", "/etc/x.c", "a/b.c", "", "x.f90"])
def test_source_text_has_a_plain_file_name(name: str) -> None:
    with pytest.raises(CompileError):
        build([SourceText("int f(void) { return 1; }", name)], BARE)


def test_line_tables_do_not_name_temporary_directories() -> None:
    module = compile_text("int f(int x) { return x / 3; }")
    assert module.lines.files == ("source0.c",)


def test_dependency_files_are_read_as_make_reads_them() -> None:
    text = "output: main.c a\\ b.h \\\n  /x/c$$d.h \\\n  e\\#f.h\n"
    assert dependencies(text) == ("main.c", "a b.h", "/x/c$d.h", "e#f.h")


def test_every_dependency_is_known(tree: Path) -> None:
    (tree / "project" / "main.c").write_text('#include "near.h"\n#include "inner/deep.h"\n')
    found = preprocess(tree / "project" / "main.c", BARE).dependencies
    assert [Path(name).name for name in found] == ["main.c", "near.h", "deep.h"]


# -- what else a compiler may meet -----------------------------------------------------------------------
def test_a_reader_that_never_ends_is_stopped(tree: Path) -> None:
    os.mkfifo(tree / "project" / "pipe.h")
    outcome = attempt(tree, '#include "pipe.h"\n', timeout_s=1.0)
    assert "longer than 1 s" in outcome


def test_the_compiler_sees_nothing_of_the_environment(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPATH", str(tree / "shared"))
    monkeypatch.setenv("CCC_OVERRIDE_OPTIONS", "+-DX")
    assert "'ok.h' file not found" in attempt(tree, "#include <ok.h>\n")


def test_a_missing_toolchain_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    clang.toolchain_dir.cache_clear()
    monkeypatch.setattr("importlib.machinery.PathFinder.find_spec", lambda name: None)
    try:
        with pytest.raises(CompileError, match=r"pip install 'tmebox\[cc\]'"):
            compile_text("int f(void) { return 1; }")
    finally:
        clang.toolchain_dir.cache_clear()


def test_flags_in_a_string_are_split_by_their_users() -> None:
    with pytest.raises(CompileError):
        vet(["-Wall -fplugin=x"])
    assert vet(shlex.split("-Wall -O2")) == ["-Wall", "-O2"]


@pytest.mark.parametrize("base", ["gs", "r15"])
def test_a_missing_header_is_named_though_more_goes_wrong_without_it(base: str) -> None:
    source = '#include <limits.h>\n#include "made-later.h"\n#ifndef MADE\n#error "no way to go on"\n#endif\n'
    with pytest.raises(CompileError) as caught:
        build([SourceText(source)], CompileOptions(base=base))
    found = [item for item in caught.value.diagnostics if "made-later.h" in item.message]
    assert found and found[0].line == 2


def test_what_a_link_leads_to_is_not_quoted_where_a_header_is_missing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the_secret_word here;\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "link.h").symlink_to("../secret")
    source = tmp_path / "package" / "a.c"
    source.write_text('#include "link.h"\n#include "missing.h"\n#ifndef M\n#error no\n#endif\n')
    with pytest.raises(CompileError) as caught:
        build([source])
    assert "the_secret_word" not in str(caught.value)
