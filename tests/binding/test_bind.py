"""`tmebox bind`: a library becomes a package that type checkers know, and that works like the library."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tmebox
from tests.programs.building import source_of
from tmebox.binding.bind import bind, exports_of, imports_of
from tmebox.binding.header import read_headers, scan
from tmebox.binding.package import files_of, write_package
from tmebox.cli.app import main


def test_the_package_has_the_functions_of_the_header_that_are_there(package: ModuleType) -> None:
    names = {name for name in package.module().exports if name.startswith(("shapes", "internal"))}
    assert names == {f"shapes_{name}" for name in ["new", "free", "set", "visit", "name", "area"]}


def test_constants_have_the_values_that_the_compiler_gives_them(package: ModuleType) -> None:
    assert (package.SHAPES_VERSION, package.SHAPES_MOST, package.SHAPES_SCALE) == ("1.2", 2**64 - 1, 2.5)
    assert (package.SHAPES_BITS, package.SHAPES_MORE) == (20, 9)
    assert (3, 4, ord("z")) == (package.SHAPES_POINT, package.SHAPES_LINE, package.SHAPES_LAST)
    assert not hasattr(package, "SHAPES_API") and not hasattr(package, "SHAPES_LOST")


def test_a_library_is_used_as_in_c(box: Any) -> None:
    shapes = box.shapes_new(3)
    assert shapes.type == "shapes *"
    for index in range(3):
        assert box.shapes_set(shapes, index, (index, 2 * index)) == 0
    assert (box.shapes_set(shapes, 3, (0, 0)), box.errno) == (-1, 34)
    seen: list[Any] = []

    def visit(user: Any, point: tmebox.Pointer, index: int) -> bool:
        seen.append((user, point.x, point[0].y, index))
        return index < 1

    with box.handle(seen) as handle:
        assert box.shapes_visit(shapes, visit, handle) == 1
    assert seen == [(seen, 0.0, 0.0, 0), (seen, 1.0, 2.0, 1)]
    box.shapes_free(shapes)
    assert (box.shapes_name(4), box.shapes_name(3)) == ("line", None)
    assert box.shapes_area([(1, 2), (3, 4)], 2) == 14.0


def test_global_variables_are_read_and_written(box: Any) -> None:
    box.variable("shapes_verbose")[0] = 7
    assert box.variable("shapes_verbose")[0] == 7
    assert box.variable("shapes_table").read() == (1.0, 2.0, 3.0) or len(box.variable("shapes_table")[0]) == 3
    with pytest.raises(AttributeError, match="variables: shapes_"):
        box.variable("nothing")


def test_an_opaque_pointer_of_another_type_is_refused(box: Any) -> None:
    with pytest.raises(TypeError, match="expected a shapes"):
        box.shapes_free(box.new("struct point"))


def test_comments_and_prototypes_are_documentation(library: Path, package: ModuleType) -> None:
    source = (library / "shapes_box" / "__init__.py").read_text()
    assert "Makes room for some points." in source and "Free it with shapes_free." in source
    assert re.search(r"def shapes_set\(self, s: .*index: hints.Int", source)


def test_the_same_library_gives_the_same_bytes(library: Path) -> None:
    one, other = (files_of(bind(library / "shapes.h", [library], "shapes_box")) for _ in range(2))
    assert one == other


def test_the_command_says_what_is_wrong(library: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["tmebox", "bind", *arguments])
        code = main()
        shown = capsys.readouterr()
        return code, shown.out + shown.err

    header, good = str(library / "shapes.h"), str(tmp_path / "good_box")
    assert run(header, "-s", str(library), "-o", good) == (0, f"{good}: 6 functions, 8 constants\n")
    (tmp_path / "empty").mkdir()
    assert "no C sources" in run(header, "-s", str(tmp_path / "empty"), "-o", good)[1]
    assert run(str(tmp_path / "no.h"), "-s", str(library), "-o", good)[0] == 1
    assert "cannot be the name" in run(header, "-s", str(library), "-o", str(tmp_path / "not-a-name"))[1]
    (tmp_path / "other.c").write_text("int unrelated(void) { return 1; }")
    assert "no function that the header" in run(header, "-s", str(tmp_path / "other.c"), "-o", good)[1]


def test_a_source_that_another_includes_is_a_piece_of_it_or_one_of_its_own(tmp_path: Path) -> None:
    """As LZ4's are: lz4hc.c includes lz4.c for its definitions, and both are compiled."""
    (tmp_path / "two.h").write_text("int first(void);\nint second(void);\nint third(void);\n")
    (tmp_path / "first.c").write_text(
        '#include "two.h"\n#define HALF 21\n#ifndef ONLY\nint first(void) { return 2 * HALF; }\n#endif\n'
    )
    (tmp_path / "second.c").write_text(
        '#define ONLY\n#include "first.c"\nint second(void) { return HALF; }\n'
        'static int piece(void);\n#include "piece.c"\n#include "third_part.c"\n'
    )
    (tmp_path / "piece.c").write_text("static int piece(void) { return NOT_BY_ITSELF; }\n#define x\n")
    (tmp_path / "third_part.c").write_text("int third(void) { return 3; }\n")
    (tmp_path / "second.c").write_text("#define NOT_BY_ITSELF 1\n" + (tmp_path / "second.c").read_text())
    bound = bind(tmp_path / "two.h", [tmp_path], "two_box", flags=("-w",))
    assert exports_of(bound) == ["first", "second", "third"] and imports_of(bound) == []
    assert {name.split("/")[1] for name in bound.build["files"]} == {
        *("two.h", "first.c", "second.c", "piece.c", "third_part.c"),
    }


def test_declarations_are_found_whatever_macros_they_are_written_with(tmp_path: Path) -> None:
    """As zlib's (OF), PCRE2's (names that macros make) and libpng's (names in parentheses) are."""
    (tmp_path / "m.h").write_text(
        "#define OF(arguments) arguments\n#define SUFFIXED(name) name##8\n"
        "#define API(type, name) type (name)\n"
        "extern int plain OF((int value));\nint SUFFIXED(made_)(void);\nAPI(int, wrapped)(void);\n"
        "#define made SUFFIXED(made_)\n"
    )
    (tmp_path / "m.c").write_text(
        '#include "m.h"\nint plain(int v) { return v; }\nint made(void) { return 1; }\n'
        "int wrapped(void) { return 2; }\nint hidden(void) { return 3; }\n"
    )
    assert exports_of(bind(tmp_path / "m.h", [tmp_path], "m_box")) == ["plain", "made_8", "wrapped"]


def test_all_types_of_a_header_are_there_under_their_own_names(tmp_path: Path) -> None:
    """As libpng's png_image, which has no tag and goes by a pointer's name, and structs that only callbacks
    get."""
    (tmp_path / "t.h").write_text(
        "struct more;\ntypedef struct { int width; struct { char deep[4]; } inside; struct more *more; }\n"
        "image, *imagep;\n"
        "struct block { int number; const char *text; };\n"
        "typedef int (*visitor)(struct block *block, void *user);\n"
        "typedef union { int whole; char parts[4]; } word;\ntypedef struct hidden hidden;\n"
        "int area(imagep image);\nint visit(visitor visitor, void *user);\nhidden *hide(void);\n"
    )
    (tmp_path / "t.c").write_text(
        '#include "t.h"\nstruct more { int x; };\n'
        "int area(imagep image) { return image->width * image->inside.deep[1]; }\n"
        'int visit(visitor v, void *u) { struct block b = {3, "x"}; return v(&b, u); }\n'
        "hidden *hide(void) { return 0; }\n"
    )
    bound = bind(tmp_path / "t.h", [tmp_path], "t_box", flags=("-w",))
    assert exports_of(bound) == ["area", "visit", "hide"]
    with tmebox.Box(tmebox.Module(bound.file)) as box:
        image = box.new("image", width=6)
        image.inside.deep[1] = 7
        assert box.area(image) == 42
        with pytest.raises(TypeError, match="expected a image"):
            box.area(box.new("word", whole=1))
        seen: list[Any] = []

        def visit(block: tmebox.Pointer, user: Any) -> int:
            seen.append((block.type, block.number, block.text.string()))
            return 5

        assert box.visit(visit, None) == 5 and seen == [("struct block *", 3, b"x")]
        assert box.new("word", whole=258).parts[0] == 2 and box.sizeof("struct block") == 16


def test_sources_include_from_all_of_their_tree_and_nothing_else(tmp_path: Path) -> None:
    """As Zstandard's do: "../zstd_errors.h"."""
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "configure").touch()
    (tree / "up.h").write_text("int up(void);\n#define UP 3\n")
    (tree / "deep" / "up.c").write_text('#include "../up.h"\nint up(void) { return UP; }\n')
    assert exports_of(bind(tree / "up.h", [tree / "deep"], "up_box")) == ["up"]
    (tmp_path / "secret.h").write_text("#define UP 7\n")
    (tree / "deep" / "up.c").write_text('#include "../../secret.h"\nint up(void) { return UP; }\n')
    with pytest.raises(tmebox.CompileError, match=r"secret\.h"):
        bind(tree / "up.h", [tree / "deep"], "up_box")


def test_what_nobody_defines_is_told(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    (tmp_path / "n.h").write_text("int f(int);\n")
    (tmp_path / "n.c").write_text('#include "n.h"\nint missing(int);\nint f(int x) { return missing(x); }\n')
    command = ["bind", str(tmp_path / "n.h"), "-s", str(tmp_path / "n.c"), "-o", str(tmp_path / "n_box")]
    monkeypatch.setattr(sys, "argv", ["tmebox", *command])
    assert main() == 0
    assert "needs of the host, as open(imports={...}): missing\n" in capsys.readouterr().out


def test_sources_are_left_out_and_headers_stand_in(tmp_path: Path) -> None:
    (tmp_path / "a.h").write_text('#include "made.h"\nint a(void);\n')
    (tmp_path / "a.c").write_text('#include "a.h"\nint a(void) { return MADE; }\n')
    (tmp_path / "a_test.c").write_text("#error not of the library\n")
    (tmp_path / "made.h.in").write_text("#define MADE 3\n")
    (tmp_path / "b.h").write_text("#define B 4\n")
    made = {"made.h": tmp_path / "made.h.in"}
    (tmp_path / "b.h").write_text("#define B 4\nint b(void);\n")
    (tmp_path / "b.c.dist").write_text('#include "b.h"\nint b(void) { return B; }\n')
    made["b.c"] = tmp_path / "b.c.dist"
    bound = bind(
        [tmp_path / "a.h", tmp_path / "b.h"], [tmp_path], "a_box", without=["*_test.c"], generated=made
    )
    assert (exports_of(bound), bound.constants) == (["a", "b"], {"MADE": 3, "B": 4})
    with pytest.raises(tmebox.CompileError, match="the name of a generated header"):
        bind(tmp_path / "a.h", [tmp_path / "a.c"], "a_box", generated={"../made.h": tmp_path / "made.h.in"})


def test_a_compilation_database_says_how_sources_are_compiled(tmp_path: Path) -> None:
    (tmp_path / "c.h").write_text("int c(void);\nint d(void);\n")
    for name in ("c", "d"):
        (tmp_path / f"{name}.c").write_text(f'#include "c.h"\nint {name}(void) {{ return VALUE; }}\n')
    rows = [
        {
            "file": f"{name}.c",
            "directory": str(tmp_path),
            "arguments": ["cc", f"-DVALUE={value}", "-c", f"{name}.c"],
        }
        for name, value in (("c", 1), ("d", 2))
    ]
    (tmp_path / "compile_commands.json").write_text(json.dumps(rows))
    bound = bind(tmp_path / "c.h", [tmp_path / "compile_commands.json"], "c_box")
    with tmebox.Box(tmebox.Module(bound.file)) as box:
        assert (box.c(), box.d()) == (1, 2)


def test_headers_are_read_as_text(library: Path, tmp_path: Path) -> None:
    (tmp_path / "h.h").write_text('#include "../secret.h"\n#include "h.h"\nint f(void); /* int g(void); */\n')
    texts = read_headers([tmp_path / "h.h"])
    assert set(texts) == {"h.h"} and scan(texts.values(), "int f(void);").functions == ("f",)


@pytest.mark.network
def test_expat_in_ten_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = source_of("expat") / "expat" / "lib"
    defines = ["XML_POOR_ENTROPY", "XML_GE=1", "XML_DTD", "XML_NS", "XML_CONTEXT_BYTES=1024"]
    write_package(bind(sources / "expat.h", [sources], "expat_box", defines=defines, flags=("-w",)),
                  tmp_path / "expat_box")  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    expat_box = importlib.import_module("expat_box")
    seen: list[Any] = []
    with expat_box.open(memory="64MiB", timeout=10.0) as box:
        parser = box.XML_ParserCreate(None)

        def start(user: Any, name: str, attributes: tmebox.Pointer) -> None:
            seen.append((name, attributes[1].string() if attributes[0] else None))

        box.XML_SetElementHandler(parser, start, lambda user, name: seen.append(name))
        text = box.callback(
            lambda user, piece, size: seen.append(piece), "XML_CharacterDataHandler", lengths={1: 2}
        )
        box.XML_SetCharacterDataHandler(parser, text)
        data = b"<a><b id='7'>x&amp;y</b></a>"
        assert box.XML_Parse(parser, data, len(data), True) == expat_box.XML_STATUS_OK
        assert seen == [("a", None), ("b", b"7"), b"x", b"&", b"y", "b", "a"]
        assert box.XML_Parse(parser, b"<", 1, True) == expat_box.XML_STATUS_ERROR
        assert box.XML_ErrorString(box.XML_GetErrorCode(parser)) == "parsing finished"


def test_a_header_that_prints_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its constructors run where constants are read."""
    (tmp_path / "loud.h").write_text(
        "#include <stdio.h>\n#include <unistd.h>\n#define LOUD 42\nint loud(void);\n"
        "static __attribute__((constructor)) void begin(void) {\n"
        '    write(1, "\\033]0;owned\\007", 10); printf("\\033[2J"); fputs("\\033[2J", stderr);\n}\n'
    )
    (tmp_path / "loud.c").write_text('#include "loud.h"\nint loud(void) { return LOUD; }\n')
    bound = bind(tmp_path / "loud.h", [tmp_path], "loud_box")
    assert bound.constants["LOUD"] == 42 and capfd.readouterr() == ("", "")
