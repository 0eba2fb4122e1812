"""Modules whose prototypes lie about pointers to functions: calls and callbacks raise, and crash nothing.

The code is honest and verified. What it takes and returns, the module's metadata says, and that is anybody's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox.modulefile import codec
from tmebox.modulefile import prototypes as p

EXPECTED = (TypeError, ValueError, OverflowError, AttributeError, tmebox.BadPointer, tmebox.TmeboxError)
SOURCE = """
typedef long (*callee)(long, long);
long visit(callee f) { return f(1, 2); }
callee give(callee f) { return f; }
"""
LONG = p.Integer(64, True, "long")
TEXT = p.Pointer(p.Integer(8, True, "char"), True)
BIG = p.Struct("struct big", 1 << 30, 16, (p.StructField("a", 0, p.Array(LONG, 1 << 27)),))
PAIR = p.Struct("struct pair", 16, 8, (p.StructField("a", 0, LONG), p.StructField("b", 8, p.Float(64))))
TYPES: list[p.CType] = [
    p.Void(), p.Bool(), p.Integer(8, True, "char"), p.Integer(128, False, "wide"), p.Float(16), p.Float(64),
    p.Float(80), p.Float(128), p.Complex(64), p.Complex(80), TEXT, p.Pointer(p.Void()), p.Pointer(BIG), BIG,
    PAIR, p.Array(LONG, 3), p.Array(LONG, 0), p.Vector(p.Float(32), 8, 32), p.Opaque("struct unknown", 0),
    p.Opaque("struct known", 64, 8, "a reason"), p.Pointer(p.Function(LONG, ())),
    p.Pointer(p.Pointer(p.Function(p.Void(), (p.Parameter("", BIG),)))),
]  # fmt: skip
FUNCTIONS = [
    *(p.Function(LONG, (p.Parameter("", ctype), p.Parameter("", LONG))) for ctype in TYPES),
    *(p.Function(ctype, (p.Parameter("", LONG),)) for ctype in TYPES),
    p.Function(LONG, tuple(p.Parameter("", TEXT) for _ in range(60))),
    p.Function(LONG, tuple(p.Parameter("", p.Float(64)) for _ in range(60))),
    p.Function(LONG, (p.Parameter("", LONG),), variadic=True),
    p.Function(LONG, (), name="a name \n with \0 what \x1b[31m names have not" * 9),
]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def lying(module: tmebox.Module, function: p.Function) -> tmebox.Module:
    """The same code, with other prototypes, as any file could say."""
    taken = (p.Parameter("f", p.Pointer(function)),)
    said = {
        "visit": p.Prototype("visit", LONG, taken),
        "give": p.Prototype("give", p.Pointer(function), taken),
    }
    exports = tuple(replace(export, prototype=said[export.name]) for export in module.file.exports)
    return tmebox.Module.from_bytes(codec.encode(replace(module.file, exports=exports)))


def tried(module: tmebox.Module) -> int:
    """How many of many ways to use it came back, with a value or an exception of the right kind."""
    done = 0
    results: list[Any] = [0, -1, 2**70, 1.5, "text", b"bytes", None, (1, 2), [1] * 9, {"a": 1}, object()]
    for kind in (tmebox.Sandbox, tmebox.Box):
        for result in results:
            with kind(module, memory="4MiB", timeout=2.0) as sandbox:
                callees: list[Any] = [lambda *given, r=result: r, 0, None, 12345, 2**31, "text"]
                for callee in callees:
                    for name in ("visit", "give"):
                        if sandbox.closed:
                            break
                        try:
                            back = getattr(sandbox, name)(callee)
                            if callable(back):
                                back(1)
                        except EXPECTED:
                            pass
                        done += 1
    return done


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_a_lie_about_a_function_crashes_nothing(
    module: tmebox.Module, number: int, forked: Callable[..., ChildOutcome]
) -> None:
    try:
        claimed = lying(module, FUNCTIONS[number])
    except tmebox.ModuleError:
        return  # refused at once
    outcome = forked(lambda: tried(claimed))
    assert outcome.result() > 40
