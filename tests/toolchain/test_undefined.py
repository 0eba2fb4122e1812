"""What nobody defines: an error in a program, and an import where it is named, or a library's to ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.cc.driver import main_cc

CALL = "char nope(); int main(void) { return nope(); }"
"""As autoconf asks whether there is a function."""
MARKED = "#include <tmebox.h>\nTMEBOX_IMPORT int twice(int); TMEBOX_IMPORT int unused(int);\n"

Link = Callable[..., tuple[int, str]]


@pytest.fixture
def cc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Link:
    """Link a source with these arguments; returns the exit code and what was said."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, *arguments: str) -> tuple[int, str]:
        Path("a.c").write_text(text)
        code = main_cc(["a.c", "-o", "out", *arguments])
        return code, capfd.readouterr().err

    return run


def imports(path: str = "out") -> set[str]:
    return set(tmebox.Module.load(path).imports)


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        "int nope(int); int main(void) { return nope(3); }",
        "int nope(int); int (*p)(int) = nope; int main(void) { return p(3); }",
        "extern int nope; int main(void) { return nope; }",
        "extern int nope[]; int *p = nope; int main(void) { return *p; }",
    ],
)
def test_a_program_that_lacks_something_does_not_link(cc: Link, text: str) -> None:
    code, said = cc(text)
    assert code == 1 and not Path("out").exists()
    assert "undefined symbol: nope" in said or "undefined variable: nope" in said


def test_what_libc_has_is_not_lacking(cc: Link) -> None:
    assert cc("char printf(); char cos(); int main(void) { printf(); return cos(); }", "-w", "-lm") == (0, "")
    assert imports() == set()


def test_a_program_imports_what_is_named_for_it(cc: Link) -> None:
    assert cc(CALL, "--import", "nope") == (0, "")
    assert imports() == {"nope"}
    assert cc(CALL, "--import=other")[0] == 1


def test_a_program_imports_what_it_marks_and_refers_to(cc: Link) -> None:
    source = MARKED + '#include <stdio.h>\nint main(void) { printf("%d", twice(21)); return 0; }'
    assert cc(source) == (0, "")
    module = tmebox.Module.load("out")
    assert {name: str(prototype) for name, prototype in module.imports.items()} == {"twice": "int twice(int)"}
    with tmebox.Sandbox(module, imports={"twice": lambda x: 2 * x}) as sandbox:
        assert sandbox.run(["out"]).stdout == b"42"


def test_a_marked_function_that_another_file_defines_is_no_import(cc: Link) -> None:
    Path("b.c").write_text("int twice(int x) { return 2 * x; }")
    assert cc(MARKED + "int main(void) { return twice(1); }", "b.c") == (0, "")
    assert imports() == set()


def test_marked_imports_and_others_are_numbered_together() -> None:
    module = tmebox.compile(
        source_text=MARKED + "#include <stdio.h>\nint before(int); int zeta(int);\n"
        'int f(int x) { puts(""); return before(x) * 100 + twice(x) * 10 + zeta(x); }'
    )
    with tmebox.Sandbox(
        module, imports={"before": lambda x: x, "twice": lambda x: 2 * x, "zeta": lambda x: 3 * x}
    ) as sandbox:
        assert sandbox.f(2) == 246


def test_a_library_asks_its_host_for_what_it_calls(cc: Link) -> None:
    assert cc("int host(int); int f(int x) { return host(x); }") == (0, "")
    assert imports() == {"host"}


@pytest.mark.parametrize("option", ["-Wl,-z,defs", "-Wl,--no-undefined", "-Wl,-zdefs"])
def test_a_library_may_be_told_to_lack_nothing(cc: Link, option: str) -> None:
    source = "int host(int); int f(int x) { return host(x); }"
    assert cc(source, option)[0] == 1
    assert cc(source, option, "-Wl,--allow-shlib-undefined") == (0, "")
    assert cc(source, option, "--import", "host") == (0, "")


def test_a_library_may_not_import_a_variable_that_it_only_passes_on(cc: Link) -> None:
    code, said = cc("extern int v; int *f(void) { return &v; }")
    assert code == 1 and "undefined symbol: v" in said


def test_what_archives_call_is_asked_for_as_well(cc: Link) -> None:
    Path("b.c").write_text("int host(); int g(int x) { return host(x); }")
    assert main_cc(["-w", "-c", "b.c"]) == 0
    assert main_ar(["rcs", "libb.a", "b.o"]) == 0
    assert cc("int g(int); int f(int x) { return g(x); }", "libb.a") == (0, "")
    assert imports() == {"host"}


def test_compile_takes_what_is_declared_with_a_prototype_for_an_import() -> None:
    module = tmebox.compile(source_text="int host(int); int main(void) { return host(7); }")
    with tmebox.Sandbox(module, imports={"host": lambda x: x + 1}) as sandbox:
        assert sandbox.run(["a"]).exit_code == 8


def test_compile_refuses_what_has_no_prototype_in_a_program() -> None:
    with pytest.raises(CompileError, match="undefined symbol: nope"):
        tmebox.compile(source_text=CALL)
    assert set(tmebox.compile(source_text=CALL, imports=["nope"]).imports) == {"nope"}


@pytest.mark.parametrize(
    "use",
    ["int f(void) { return v; }", "int *f(void) { return &v; }", "int *p = &v; int f(void) { return *p; }"],
)
def test_compile_refuses_a_variable_however_it_is_used(use: str) -> None:
    with pytest.raises(CompileError, match=r"undefined (symbol|variable): v"):
        tmebox.compile(source_text=f"extern int v; {use}")


def test_imports_are_names() -> None:
    with pytest.raises(TypeError, match="imports"):
        tmebox.compile(source_text=CALL, imports="nope")


@pytest.mark.parametrize(
    "option",
    ["-uspare", "-Wl,-u,spare", "-Wl,-uspare", "-Wl,--undefined=spare", "-Xlinker -u -Xlinker spare"],
)
def test_what_is_asked_for_is_linked_though_nothing_refers_to_it(cc: Link, option: str) -> None:
    Path("b.c").write_text(
        "#include <stdio.h>\nint spare(void) { return 1; }\n"
        '__attribute__((constructor)) void say(void) { puts("linked"); }'
    )
    assert main_cc(["-c", "b.c"]) == 0
    assert main_ar(["rcs", "libb.a", "b.o"]) == 0
    assert cc("int main(void) { return 0; }", "-L.", "-lb") == (0, "")
    with tmebox.Sandbox(tmebox.Module.load("out")) as sandbox:
        assert sandbox.run(["out"]).stdout == b""
    assert cc("int main(void) { return 0; }", "-L.", "-lb", *option.split()) == (0, "")
    with tmebox.Sandbox(tmebox.Module.load("out")) as sandbox:
        assert sandbox.run(["out"]).stdout == b"linked\n"
