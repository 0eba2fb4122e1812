"""Names in a module file are its author's. What errors and reprs show of them moves no terminal's cursor."""

from __future__ import annotations

import inspect
import pickle
import re
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.runtime.test_hostile_types import with_prototypes
from tmebox.errors import Frame, StandingThread, Violation
from tmebox.modulefile import codec
from tmebox.modulefile.prototypes import (
    Integer,
    Opaque,
    Parameter,
    Pointer,
    Prototype,
    Struct,
    StructField,
)
from tmebox.python import Opaque as PythonOpaque
from tmebox.python.errors import PythonError, PythonFrame
from tmebox.shown import printable
from tmebox.toolchain.cc.driver import main_cc

ESCAPE = "\x1b]0;pwned\x07\x1b[2J\x9b\u202e"
SOURCE = r"""
void host(void);
int read(int *p) { return *p; }
int pass(int *p) { return p != 0; }
int call(void) { host(); return 1; }
int (*give(void))(int *) { return pass; }
"""
INT = Integer(32, True, ESCAPE)
ODD = Prototype(ESCAPE, INT, (Parameter(ESCAPE, Pointer(Opaque(ESCAPE, 4, 4, ESCAPE))),))
UNKNOWN = Prototype(ESCAPE, INT, (Parameter(ESCAPE, Opaque(ESCAPE, 4, 4, ESCAPE)),))


def everywhere() -> tmebox.Module:
    """A module with escape sequences wherever there is a name."""
    file = tmebox.compile(source_text=SOURCE).file
    exports = [replace(export, name=ESCAPE + export.name) for export in file.exports]
    symbols = [replace(symbol, name=ESCAPE + symbol.name) for symbol in file.symbols]
    lines = replace(file.lines, files=tuple(ESCAPE + name for name in file.lines.files))
    imports = [replace(item, prototype=ODD) if item.name == "host" else item for item in file.imports]
    forged = replace(
        file, exports=tuple(exports), symbols=tuple(symbols), lines=lines, imports=tuple(imports)
    )
    module = tmebox.Module.from_bytes(codec.encode(forged))
    return with_prototypes(module, **{f"{ESCAPE}read": ODD, f"{ESCAPE}pass": UNKNOWN})


def fail() -> None:
    raise ValueError("in the host")


@pytest.fixture
def box() -> tmebox.Sandbox:
    return tmebox.Sandbox(everywhere(), imports={"host": fail})


def after_a_trap(box: tmebox.Sandbox) -> object:
    read = box.exports[f"{ESCAPE}read"]
    with pytest.raises(tmebox.Trap):
        read(None)
    return read(1)


CALLS: dict[str, Callable[[tmebox.Sandbox], object]] = {
    "trap": lambda box: box.exports[f"{ESCAPE}read"](None),
    "too few": lambda box: box.exports[f"{ESCAPE}read"](),
    "keyword": lambda box: box.exports[f"{ESCAPE}read"](1, b=2),
    "wrong type": lambda box: box.exports[f"{ESCAPE}read"](1.5),
    "refused": lambda box: box.exports[f"{ESCAPE}pass"](1),
    "closed by a trap": after_a_trap,
    "no such export": lambda box: box.nothing,
    "no host function": lambda box: tmebox.Sandbox(box.module),
    "host function": lambda box: box.exports[f"{ESCAPE}call"](),
}


@pytest.mark.parametrize("what", CALLS)
def test_a_traceback_is_plain(what: str, box: tmebox.Sandbox) -> None:
    with pytest.raises(Exception) as caught:
        CALLS[what](box)
    shown = "".join(traceback.format_exception(caught.value))
    assert all(line.isprintable() for line in shown.split("\n"))


def test_reprs_are_plain(box: tmebox.Sandbox) -> None:
    pointed = box.exports[f"{ESCAPE}give"]()
    functions = [box.exports[name] for name in box.exports]
    for thing in (box, box.module, box.exports, pointed, *functions):
        assert repr(thing).isprintable()
    assert "\\x1b]0;pwned\\x07" in repr(box.exports)


def test_what_a_trap_has_is_plain(box: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.Trap) as caught:
        box.exports[f"{ESCAPE}read"](None)
    trap = caught.value
    for text in (trap.function, trap.file, trap.source, trap.message, *map(str, trap.backtrace)):
        assert text and text.isprintable()
    assert trap.source and trap.source.endswith(f"{printable(ESCAPE)}source.c:3")


def test_names_of_variables_are_plain() -> None:
    module = tmebox.compile(source_text="int f(void) { return 1; }")
    exports = tuple(replace(export, name=f"tmebox_variable_{ESCAPE}") for export in module.file.exports)
    box = tmebox.Box(tmebox.Module.from_bytes(codec.encode(replace(module.file, exports=exports))))
    with pytest.raises(AttributeError) as caught:
        box.variable("x")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "source",
    [
        'void f(void) { __asm__("jump ESCAPE %eax"); }',
        '#line 3 "OCTAL"\nint f(void) { return y; }',
        'int f(void) { return ESCAPE; }\n#error "ESCAPE"',
        '#include "ESCAPE.h"',
        'int f(void) __asm__("OCTAL"); int g(void) { return f(); }',
    ],
)
def test_what_is_wrong_with_sources_is_said_plainly(source: str, tmp_path: Path, capfd: Any) -> None:
    octal = "".join(f"\\{byte:03o}" for byte in ESCAPE.encode())
    text = source.replace("ESCAPE", ESCAPE).replace("OCTAL", octal)
    with pytest.raises(tmebox.CompileError) as caught:
        tmebox.compile(source_text=text)
    texts = [str(caught.value)]
    for found in caught.value.diagnostics:
        texts += [found.message, found.file or "", found.excerpt, str(found)]
    (tmp_path / "s.c").write_text(text)
    assert main_cc(["-shared", str(tmp_path / "s.c"), "-o", str(tmp_path / "s.tbx")])
    assert main_cc(["-shared", "-fcolor-diagnostics", str(tmp_path / "s.c"), "-o", str(tmp_path / "s.tbx")])
    texts.append(re.sub("\x1b\\[[0-9;]*m", "", capfd.readouterr().err))
    assert all(line.isprintable() for text in texts for line in text.split("\n"))


def test_exceptions_of_sandboxed_python_are_said_plainly() -> None:
    error = PythonError(ESCAPE, f"one\n{ESCAPE}", (PythonFrame(ESCAPE, 1, ESCAPE),))
    assert all(line.isprintable() for text in (str(error), error.traceback) for line in text.split("\n"))
    assert error.message == f"one\n{ESCAPE}"  # the program's word, as it said it


def test_reprs_of_what_sandboxed_python_says_are_plain_and_short() -> None:
    for text in (ESCAPE, f"<one\n{ESCAPE}>", ESCAPE * 100_000):
        value = PythonOpaque(ESCAPE, text)
        things = (value, [value], PythonFrame(ESCAPE, 1, ESCAPE), PythonError(ESCAPE, ESCAPE))
        for shown in (f"{value}", *map(repr, things)):
            assert shown.isprintable() and len(shown) < 30_000
        assert value.text == text and pickle.loads(pickle.dumps(value)) == value
    assert repr(PythonOpaque("function", "<function f>")) == "<function f>"


MANY = "char bytes[9]; void *many(void) { return bytes; } long wide(void *p) { return 0; }"


def test_no_message_lists_all_that_a_module_says_there_is() -> None:
    char = Integer(8, False, "char")
    fields = tuple(StructField(f"m{number}", number, char) for number in range(300))
    union = Struct("union many", 1, 1, tuple(replace(field, offset=0) for field in fields), union=True)
    parameters = tuple(Parameter(field.name, char) for field in fields[:100])
    module = with_prototypes(
        tmebox.compile(source_text=MANY),
        many=Prototype("many", Pointer(union), ()),
        wide=Prototype("wide", INT, (Parameter("p", Pointer(Struct("struct wide", 300, 1, fields))),)),
    )
    exports = tuple(
        replace(module.file.exports[0], name=field.name, prototype=Prototype(field.name, char, parameters))
        for field in fields
    )
    named = tmebox.Module.from_bytes(codec.encode(replace(module.file, exports=exports)))
    names = [field.name for field in fields]
    box, other = tmebox.Box(module), tmebox.Box(named)
    calls: list[Callable[[], object]] = [
        lambda: box.many().nothing,
        lambda: box.wide({"nothing": 1}),
        lambda: box.wide((1, 2)),
        lambda: box.new("union many", **dict.fromkeys(names, 1)),
        lambda: other.nothing,
        other.m1,
    ]
    for call in calls:
        with pytest.raises((AttributeError, TypeError), match=r"m1, .*… and .* more") as caught:
            call()
        assert len(str(caught.value)) < 1000
    assert len(repr(other.exports)) < 1000


EXPRESSION = Integer(32, True, "__import__('os').abort() or int")
CALLED = Prototype("read", EXPRESSION, (Parameter("p", Pointer(EXPRESSION)), Parameter("n", EXPRESSION)))


@pytest.mark.parametrize("kind", [tmebox.Sandbox, tmebox.Box])
def test_no_annotation_is_an_expression(kind: type[tmebox.Sandbox]) -> None:
    """Whoever resolves annotations that are texts executes them, as frameworks do with functions they get."""
    module = with_prototypes(tmebox.compile(source_text=SOURCE), **{"read": CALLED, "pass": ODD})
    box = kind(module, imports={"host": fail})
    for function in map(box.exports.__getitem__, box.exports):
        signature = inspect.signature(function, eval_str=True)
        given = [parameter.annotation for parameter in signature.parameters.values()]
        assert not any(isinstance(each, str) for each in (signature.return_annotation, *given))
        assert str(signature).isprintable()
        assert not getattr(function, "__annotations__", None)


def test_places_in_code_are_plain() -> None:
    frame = Frame(1, ESCAPE, ESCAPE, 2)
    for thing in (
        frame,
        StandingThread(1, ESCAPE, 0, (frame,)),
        Violation(1, "rule", ESCAPE, ESCAPE, ESCAPE),
    ):
        assert str(thing).isprintable()
    assert str(tmebox.Trap(f"two\n{ESCAPE}lines")).count("\n") == 1
    assert str(Frame(1, "caf\u00e9", "\u4e2d.c", 2)) == "caf\u00e9 (\u4e2d.c:2)"
