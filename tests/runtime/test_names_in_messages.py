"""Names in a module file are its author's. What errors and reprs show of them moves no terminal's cursor."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from dataclasses import replace

import pytest

import tmebox
from tests.runtime.test_hostile_types import with_prototypes
from tmebox.errors import Frame, StandingThread, Violation
from tmebox.modulefile import codec
from tmebox.modulefile.prototypes import Integer, Opaque, Parameter, Pointer, Prototype

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
