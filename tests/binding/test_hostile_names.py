"""Headers whose names, constants and text are meant to harm who binds them, or just happen to."""

from __future__ import annotations

import ast
import importlib
import resource
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tmebox.binding import header, package
from tmebox.binding.bind import bind
from tmebox.binding.package import files_of, write_package
from tmebox.binding.types import types_in

CONSTANTS = r"""
#define PLAIN 3
#define INFINITE (__builtin_inf())
#define DOWN (-__builtin_inf())
#define NO_NUMBER (__builtin_nan(""))
#define NO_TEXT ((const char *)0)
#define WILD ((const char *)1)
#define BYTES "\xff\n\"\"\"\\"
#define tmebox 7
#define hints 8
#define Any 3
#define open 1
#define module 2
enum { __file__ = 3, __name__ = 4, __builtins__ = 5, __path__ = 6, _loaded = 7 };
"""
NAMES = (
    *("Path", "path", "Final", "NamedTuple", "TypedDict", "Literal", "overload", "Callable", "Unpack"),
    *("Open", "Module", "Hints", "HostileBox", "hostile_box", "property", "TYPE_CHECKING", "Self"),
)
STRUCTS = "\n".join(f"struct {name} {{ int x; }};" for name in NAMES)
USES = "\n".join(f"int use_{name}(struct {name} *p);" for name in NAMES)
SOURCE = "\n".join(f"int use_{name}(struct {name} *p) {{ return p->x; }}" for name in NAMES)


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The package, imported."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.h").write_text(f"{STRUCTS}\n{USES}\n{CONSTANTS}")
    (folder / "hostile.c").write_text(f"{STRUCTS}\n{SOURCE}\n")
    library = bind(folder / "hostile.h", [folder / "hostile.c"], "hostile")
    write_package(library, folder / "hostile")
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("hostile")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("hostile", None)


@pytest.mark.slow
def test_the_package_works_whatever_types_and_constants_are_called(bound: Any) -> None:
    with bound.open() as box:
        for name in NAMES:
            assert getattr(box, f"use_{name}")({"x": 5}) == 5
    assert bound.__name__ == "hostile" and Path(bound.__file__).name == "__init__.py"


@pytest.mark.slow
def test_constants_have_their_values_and_none_takes_a_name_of_the_package(bound: Any) -> None:
    assert bound.PLAIN == 3 and bound.BYTES == '\ufffd\n"""\\'
    assert [str(value) for value in (bound.INFINITE, bound.DOWN, bound.NO_NUMBER)] == ["inf", "-inf", "nan"]
    assert not {"NO_TEXT", "WILD"} & vars(bound).keys()
    assert callable(bound.open) and callable(bound.module) and bound.tmebox.__name__ == "tmebox"


@pytest.mark.slow
def test_the_package_binds_no_name_twice(bound: Any) -> None:
    """So nothing that a header names is in the way of what the package uses."""
    found: list[str] = []
    for node in ast.parse(Path(bound.__file__).read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.AnnAssign):
            found.append(ast.unparse(node.target))
    assert sorted(set(found)) == sorted(found)


@pytest.mark.parametrize("name", ["opeｎ", "ﬁrst", "__file__", "_as_parameter_", "class", "a b", "x\n"])
def test_names_that_python_reads_otherwise_are_left_out(name: str, bound_library: Any) -> None:
    bound_library.constants.clear()
    bound_library.constants.update({name: 1, "kept": 2})
    source = files_of(bound_library)["__init__.py"].decode()
    assert "kept: Final = 2" in source and f"{name}: Final" not in source


@pytest.fixture(scope="module")
def bound_library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("small")
    (folder / "small.h").write_text("int one(void);\n")
    (folder / "small.c").write_text("int one(void) { return 1; }\n")
    return bind(folder / "small.h", [folder / "small.c"], "small")


OWN_ANSWER = """
struct print { int code; };
int one(void);
#define PLAIN 3
#define VERSION "1.0"
__attribute__((weak)) CTYPE tmebox_text(int i) { CTYPE p = { 7 }; return p; }
#define tmebox_text tmebox_text_
"""


@pytest.mark.parametrize("ctype", ["struct print", "long double", "float _Complex"])
def test_what_tells_of_constants_returns_no_more_than_numbers_and_texts(ctype: str, tmp_path: Path) -> None:
    """A struct is a named tuple to Python, and its repr is a call."""
    (tmp_path / "small.h").write_text(OWN_ANSWER.replace("CTYPE", ctype))
    (tmp_path / "small.c").write_text("int one(void) { return 1; }\n")
    library = bind(tmp_path / "small.h", [tmp_path / "small.c"], "small")
    assert library.constants["PLAIN"] == 3
    assert {type(value) for value in library.constants.values()} <= {int, str}
    assert "Final = print(" not in files_of(library)["__init__.py"].decode()


class Number(int):
    def __repr__(self) -> str:
        return "print()"


class Text(str):
    __slots__ = ()
    __repr__ = Number.__repr__


@pytest.mark.parametrize("value", [Number(3), Text("3"), True, None, (1,), namedtuple("exit", "code")("3")])
def test_constants_that_are_anything_else_are_not_written_down(value: Any, bound_library: Any) -> None:
    bound_library.constants.clear()
    bound_library.constants.update({"VALUE": value, "KEPT": 2.0, "LESS": -1, "NONE": float("-inf")})
    source = files_of(bound_library)["__init__.py"].decode()
    assert "VALUE" not in source and "KEPT: Final = 2.0\nLESS: Final = -1\n" in source


@pytest.mark.parametrize(
    "line", ["V: Final = exit(3)", "V: Final = exit", "V: Final = float('1')", "exit(3)"]
)
def test_a_package_that_would_run_more_is_not_made(line: str, bound_library: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(package, "_literal", lambda value: line.removeprefix("V: Final = "))
    bound_library.constants.clear()
    bound_library.constants.update({"V": 1})
    with pytest.raises(tmebox.ModuleError, match="would run"):
        files_of(bound_library)


@pytest.mark.parametrize("name", ["tmebox_types_0", "tmebox_variable_x"])
def test_names_that_the_package_needs_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "small.h").write_text(f"struct a {{ int b; }};\nint {name}(struct a *);\n")
    (tmp_path / "small.c").write_text(f"struct a {{ int b; }};\nint {name}(struct a *a) {{ return 1; }}\n")
    with pytest.raises(tmebox.CompileError, match=name):
        bind(tmp_path / "small.h", [tmp_path / "small.c"], "small")


REPEATED = (
    *("/* ", "//*", "/*/ ", "enum ", "enum {", "typedef ", "typedef (*a", "struct a{", "struct a{};", "f( "),
    *(
        "f(int a,",
        "__attribute__((",
        "( *",
        "[",
        "extern ",
        "typedef a b;",
        '#include "',
        " ",
        "}",
        "#define a ",
    ),
)
MOST = 400_000


@pytest.mark.slow
@pytest.mark.parametrize("pattern", REPEATED, ids=ascii)
def test_no_text_makes_the_reader_work_for_minutes(pattern: str) -> None:
    """Half a second is enough for so much text; work for each two of its words takes a minute, or hours."""
    text = pattern * (MOST // len(pattern))

    def read() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        header.scan([text], "")
        header.scan([], text)
        types_in(text)

    run_forked(read, timeout_s=300).result()
