"""Stubs of modules: type checkers take them, and find mistakes with them; nothing in a module can hurt."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tmebox as package
from tests.cli.command_line import Run
from tests.test_typing import checked
from tmebox.modulefile import codec
from tmebox.modulefile.prototypes import Float, Integer, Parameter, Pointer, Prototype, Struct, StructField
from tmebox.runtime.calls.stubs import stub

pytestmark = pytest.mark.slow

INT = Integer(32, True, "int")
SOURCE = """
#include <stdbool.h>
struct point { double x, y; };
struct box { struct point low, high; int count; char name[8]; void *next; };
struct odd { int class; };
union value { int i; float f; };
int add(int a, int b) { return a + b; }
struct point middle(struct point a, struct point b)
{ return (struct point){(a.x + b.x) / 2, (a.y + b.y) / 2}; }
struct box grow(const struct box *b, double by) { struct box r = *b; r.low.x -= by; return r; }
struct odd same(struct odd o) { return o; }
union value either(union value v) { return v; }
unsigned long length(const char *text) { unsigned long n = 0; while (text[n]) n++; return n; }
const char *hello(void) { return "hello"; }
void scale(float *values, int count, float factor)
{ for (int i = 0; i < count; i++) values[i] *= factor; }
double mean(const double *values, int count) { return count ? values[0] : 0; }
bool opposite(bool self) { return !self; }
double _Complex turn(double _Complex z) { return z * 1i; }
int sum(int n, ...) { return n; }
int *address(void) { return 0; }
int close(int a) { return a; }
int str(int a) { return a; }
__float128 wide(__float128 x) { return x; }
"""
BEGINNING = """
import array
import numpy as np
import tmebox
from shapes import Shapes
module = tmebox.Module.load("shapes.tbx")
sandbox = Shapes(module, timeout=1.0)
"""
CORRECT = """
with Shapes(module) as sandbox:
    total: int = sandbox.add(3, b=np.int32(4))
    half: float = sandbox.middle((0, 0), {"x": 4, "y": 2}).x
    again = sandbox.middle(sandbox.middle((0, 0), (1, 1)), (2.0, np.float32(2)))
    box = sandbox.grow({"low": (1, 2), "high": again, "count": 3, "name": b"box"}, 1)
    high: float = box.high.x
    letters: tuple[int, ...] = box.name
    count: int = sandbox.grow(box, 2).count
    value: float = sandbox.either({"f": 1.5}).f
    odd = sandbox.same({"class": 3})
    size: int = sandbox.length("text") + sandbox.length(b"text") + sandbox.length(bytearray(b"x\\0"))
    text: str | None = sandbox.hello()
    sandbox.scale(np.zeros(3, np.float32), 3, 2)
    sandbox.scale(array.array("f", [1.0]), 1, 0.5)
    sandbox.scale(tmebox.InOut(np.zeros(3, np.float32)), 3, 2.0)
    mean: float = sandbox.mean(np.zeros(3), 3) + sandbox.mean(bytes(24), 3)
    truth: bool = sandbox.opposite(True)
    turned: complex = sandbox.turn(1j)
    number: int = sandbox.sum(1, 2.5, "text", b"x", None)
    place: int = sandbox.address()
    sandbox.exports["str"](3)
"""
MISTAKES = {
    "a text for an int": 'sandbox.add("x", 1)',
    "too few arguments": "sandbox.add(1)",
    "too many arguments": "sandbox.add(1, 2, 3)",
    "a float for an int": "sandbox.add(1.5, 2)",
    "a result": "sandbox.add(1, 2).x",
    "a keyword": "sandbox.add(1, c=2)",
    "a struct's member": 'sandbox.middle((0, 0), {"x": 4, "z": 2})',
    "a struct's members": "sandbox.middle((0, 0), (1, 2, 3))",
    "a member's type": 'sandbox.middle((0, "0"), (1, 2))',
    "a member of a result": "sandbox.middle((0, 0), (1, 1)).z",
    "bytes that are written to": "sandbox.scale(bytes(4), 1, 2.0)",
    "a list that is written to": "sandbox.scale([1.0, 2.0], 2, 1.0)",
    "a text for doubles": 'sandbox.mean("text", 2)',
    "a text that may be none": "sandbox.hello().upper()",
    "a bool": 'sandbox.opposite("yes")',
    "a complex number": 'sandbox.turn("1j")',
    "nothing comes back": "print(sandbox.scale(None, 0, 1.0))",
    "an option": "Shapes(module, memroy=1)",
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shapes")
    (path / "shapes.c").write_text(SOURCE)
    with pytest.warns(UserWarning, match="close"):
        package.compile(path / "shapes.c", flags=("-w",)).save(path / "shapes.tbx")
    return path


@pytest.mark.parametrize("suffix", ["pyi", "py"])
def test_mypy_takes_a_stub_and_finds_mistakes_with_it(
    suffix: str, shapes: Path, tmebox: Run, tmp_path: Path
) -> None:
    written = tmebox("stub", shapes / "shapes.tbx", "-o", tmp_path / f"shapes.{suffix}")
    assert (written.code, written.out) == (0, ""), written.err
    said = checked(tmp_path, correct=BEGINNING + CORRECT)
    assert said.returncode == 0, said.stdout
    said = checked(tmp_path, mistakes=BEGINNING + "\n".join(MISTAKES.values()))
    found = {int(line) for line in re.findall(r"^mistakes\.py:(\d+): error", said.stdout, re.MULTILINE)}
    first = BEGINNING.count("\n") + 1
    missed = [name for index, name in enumerate(MISTAKES) if first + index not in found]
    assert not missed, said.stdout
    assert min(found) == first


def test_the_stub_itself_has_no_error(shapes: Path, tmebox: Run, tmp_path: Path) -> None:
    said = checked(tmp_path, stub=tmebox("stub", shapes / "shapes.c").out)
    assert said.returncode == 0, said.stdout


def test_a_stub_that_is_imported_makes_sandboxes(shapes: Path, tmebox: Run, tmp_path: Path) -> None:
    tmebox("stub", shapes / "shapes.tbx", "-o", tmp_path / "shapes.py")
    spec = importlib.util.spec_from_file_location("shapes_stub", tmp_path / "shapes.py")
    assert spec is not None and spec.loader is not None
    made: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    with made.Shapes(package.Module.load(shapes / "shapes.tbx")) as sandbox:
        assert sandbox.add(3, 4) == 7
        assert sandbox.middle(made.Point(0, 0), {"x": 4, "y": 2}) == (2, 1)
        assert sandbox.exports["str"](3) == 3


def test_what_has_no_method_is_named_with_the_reason(shapes: Path, tmebox: Run) -> None:
    source = tmebox("stub", shapes / "shapes.tbx").out
    for line in (
        "# close: every sandbox has an attribute of this name; use exports",
        "# str: not a name for a method; use exports",
        "# wide: wide() cannot be called from Python: its result (__float128)",
    ):
        assert line in source


HOSTILE = [
    'x"""\nimport os\nos.abort()\n"""',
    "x\nimport os",
    "x(self): ...\n    import os\n    def y",
    "x\r\fimport os",
    "x\u2028import os",
    "\\",
    "class",
    "None",
    "__init__",
    "_repr_javascript_",
    "TYPE_CHECKING",
    "hints",
    "int",
    "ﬁle",
    "é",
    "",
    " ",
    "x" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_in_a_module_becomes_code(text: str) -> None:
    typed = Integer(32, True, text)
    fields = (StructField(text, 0, typed), StructField("y", 4, INT))
    struct = Struct(f"struct {text}", 8, 4, fields)
    fine = Struct("struct fine", 8, 4, (StructField("count", 0, typed), StructField("y", 4, INT)))
    parameters = tuple(Parameter(text, kind) for kind in (typed, struct, Pointer(struct), Float(64), fine))
    exports: list[tuple[str, Prototype | None]] = [
        (text, Prototype(text, typed, parameters, True)),
        ("plain", Prototype(text, fine, parameters, False)),
        ("conventional", Prototype(text, typed, parameters, False, text)),
        (f"{text}_", None),
    ]
    tree = ast.parse(stub(exports, name=text))
    allowed = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.AnnAssign, ast.Expr)
    assert all(isinstance(node, allowed) for node in tree.body)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert not any(name.startswith("_") for name in defined)
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Call, ast.Lambda, ast.Await))]
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"tmebox"}
    from_where = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert from_where == ["__future__", "collections.abc", "typing", "tmebox"]
    exec(compile(tree, "stub", "exec"), {})  # of which every base class has to exist


def test_two_structs_of_one_name_are_two_types(tmp_path: Path) -> None:
    one = Struct("struct s", 4, 4, (StructField("a", 0, INT),))
    other = Struct("struct s", 4, 4, (StructField("b", 0, INT),))
    exports: list[tuple[str, Prototype | None]] = [
        ("f", Prototype("f", one, (Parameter("o", other),), False)),
        ("S3", Prototype("S3", other, (Parameter("o", one),), False)),
    ]
    source = stub(exports, name="s")
    assert "class S2(NamedTuple)" in source and "class S3(NamedTuple)" in source
    said = checked(tmp_path, stub=source)
    assert said.returncode == 0, said.stdout


def test_a_thousand_structs_of_one_name_take_no_time() -> None:
    structs = [Struct("s", 8, 4, (StructField(f"m{index}", 0, INT),)) for index in range(1000)]
    prototype = Prototype("f", INT, tuple(Parameter("", Pointer(struct)) for struct in structs))
    start = time.process_time()
    source = stub([("f", prototype)], name="x")
    of_a_box = stub(
        [("f", prototype)], name="x", box=True, structs={f"s {i}": s for i, s in enumerate(structs)}
    )
    assert time.process_time() - start < 5
    assert "class S1000(NamedTuple)" in source
    ast.parse(source)
    ast.parse(of_a_box)


NAMES = [
    ["a", "a_3", "a"],
    ["a", "a", "a_2", "a_2_"],
    ["arguments"],
    ["arguments", "arguments_1", "arguments_2"],
    ["arguments_"],
    ["", "argument1", "\u00e9", "argument3"],
    ["self", "_self"],
    ["class", "class_", "__debug__", "None"],
]


@pytest.mark.parametrize("variadic", [False, True])
@pytest.mark.parametrize("names", NAMES, ids=str)
def test_whatever_parameters_are_called_each_has_a_name(names: list[str], variadic: bool) -> None:
    """In the stub, in the signature, and where the function is called."""
    prototype = Prototype("f", INT, tuple(Parameter(name, INT) for name in names), variadic)
    module = package.compile(source_text="int f(int a) { return a; }")
    exports = tuple(replace(export, prototype=prototype) for export in module.file.exports)
    forged = package.Module.from_bytes(codec.encode(replace(module.file, exports=exports)))
    source = stub([("f", prototype)], name="x")
    ast.parse(source)
    compile(source, "stub", "exec")
    with package.Sandbox(forged) as sandbox:
        assert sandbox.f(*range(7, 7 + len(names))) == 7
        shown = list(inspect.signature(sandbox.f).parameters)
        keywords = dict(zip(shown, range(7, 7 + len(names)), strict=False))
        assert sandbox.f(**keywords) == 7
    assert len(shown) == len(names) + variadic
