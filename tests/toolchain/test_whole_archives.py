"""-Wl,--whole-archive: all of an archive is linked, wanted or not, as if its objects had been named."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmebox
from tmebox.modulefile import codec
from tmebox.toolchain.cc.archive import main_ar
from tmebox.toolchain.cc.command_line import UsageError, parse
from tmebox.toolchain.cc.driver import main_cc
from tmebox.toolchain.cc.linker_options import LinkerOptionError

MAIN = '#include <stdio.h>\nint counter;\nint main(void) { printf("%d", counter); return 0; }\n'
PLUG = "extern int counter;\n__attribute__((constructor)) static void enrol(void) {{ counter += {}; }}\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """main.o, and libone.a … libfour.a with a constructor each that adds 1, 2, 4, 8."""
    folder = tmp_path_factory.mktemp("plugs")
    (folder / "main.c").write_text(MAIN)
    assert main_cc(["-c", f"{folder}/main.c", "-o", f"{folder}/main.o"]) == 0
    for number, name in enumerate(("one", "two", "four", "eight")):
        (folder / f"{name}.c").write_text(PLUG.format(1 << number))
        assert main_cc(["-c", f"{folder}/{name}.c", "-o", f"{folder}/{name}.o"]) == 0
        assert main_ar(["rcs", f"{folder}/lib{name}.a", f"{folder}/{name}.o"]) == 0
    return folder


def counted(built: Path, *arguments: str) -> int:
    output = built / "program.tbx"
    assert main_cc([f"{built}/main.o", f"-L{built}", *arguments, "-o", str(output)]) == 0
    with tmebox.Sandbox(tmebox.Module.load(output)) as sandbox:
        return int(sandbox.run(["program"]).stdout)


WHOLE, NOT_WHOLE = "-Wl,--whole-archive", "-Wl,--no-whole-archive"


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["LIB/libone.a"], 0),
        ([WHOLE, "LIB/libone.a", NOT_WHOLE], 1),
        ([WHOLE, "-lone", NOT_WHOLE, "-ltwo"], 1),
        (["-lone", WHOLE, "-ltwo", "LIB/libfour.a"], 6),
        (["-Wl,--whole-archive,LIB/libone.a,-leight,--no-whole-archive,-ltwo"], 9),
        (["-Wl,-whole-archive", "-l:libfour.a", "-Wl,-no-whole-archive"], 4),
        (["-Xlinker", "--whole-archive", "-lone", "-Xlinker", "--no-whole-archive"], 1),
        (["-Wl,--push-state,--whole-archive", "-lone", "-Wl,--pop-state", "-ltwo"], 1),
        ([WHOLE, "-Wl,--push-state", NOT_WHOLE, "-lone", "-Wl,--pop-state", "-ltwo"], 2),
        ([WHOLE, WHOLE, "-lone", NOT_WHOLE, "-ltwo", NOT_WHOLE], 1),
        (["-Wl,--start-group", WHOLE, "-lone", "-ltwo", NOT_WHOLE, "-lfour", "-Wl,--end-group"], 3),
        ([WHOLE, "-lone", "-lone", NOT_WHOLE, "-lone"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_what_is_taken_whole_enrols_and_the_rest_does_not(
    arguments: list[str], count: int, built: Path
) -> None:
    assert counted(built, *(word.replace("LIB", str(built)) for word in arguments)) == count


def test_functions_of_an_archive_taken_whole_are_exported_as_those_of_named_objects(tmp_path: Path) -> None:
    (tmp_path / "f.c").write_text("int f(int x) { return x + 1; } int g(int x) { return f(x) * 2; }")
    assert main_cc(["-c", f"{tmp_path}/f.c", "-o", f"{tmp_path}/f.o"]) == 0
    assert main_ar(["rcs", f"{tmp_path}/libf.a", f"{tmp_path}/f.o"]) == 0
    output = tmp_path / "f.tbx"
    assert main_cc(["-nostdlib", WHOLE, f"{tmp_path}/libf.a", "-o", str(output)]) == 0
    assert {export.name for export in codec.read(output).exports} == {"f", "g"}


def test_members_of_the_same_name_are_all_linked(tmp_path: Path) -> None:
    for folder, name in (("a", "f"), ("b", "g")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.c").write_text(f"int {name}(void) {{ return 1; }}")
        assert main_cc(["-c", f"{tmp_path}/{folder}/x.c", "-o", f"{tmp_path}/{folder}/x.o"]) == 0
        assert main_ar(["qcs", f"{tmp_path}/l.a", f"{tmp_path}/{folder}/x.o"]) == 0
    output = tmp_path / "f.tbx"
    assert main_cc(["-nostdlib", WHOLE, f"{tmp_path}/l.a", "-o", str(output)]) == 0
    assert {export.name for export in codec.read(output).exports} == {"f", "g"}


def test_options_that_are_not_closed_are_errors() -> None:
    for argv in (["-Wl,--pop-state", "a.o"], ["a.o", "-Wl,-Map"], ["a.o", "-Wl,-rpath"]):
        with pytest.raises((UsageError, LinkerOptionError)):
            parse(argv)
