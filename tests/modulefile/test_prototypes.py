"""Prototypes: written as C writes them, stored exactly, read from hostile files with ModuleErrors only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmebox.errors import ModuleError
from tmebox.modulefile import prototypes as p

INT = p.Integer(32, True, "int")
CHAR = p.Integer(8, True, "char")

names = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=9)
"""Printable, as those of C are."""

scalars = st.one_of(
    st.just(p.Void()),
    st.just(p.Bool()),
    st.builds(p.Integer, st.sampled_from([8, 16, 32, 64, 128]), st.booleans(), names),
    st.builds(p.Float, st.sampled_from([16, 32, 64, 80, 128])),
)


def structs(types: st.SearchStrategy[p.CType]) -> st.SearchStrategy[p.Struct]:
    """Structs whose fields follow one another."""

    def lay_out(name: str, members: list[tuple[str, p.CType]]) -> p.Struct:
        fields, offset = [], 0
        for field_name, ctype in members:
            fields.append(p.StructField(field_name, offset, ctype))
            offset += p.size_of(ctype)
        return p.Struct(name, offset, 8, tuple(fields))

    return st.builds(lay_out, names, st.lists(st.tuples(names, types), max_size=3))


def array_of(element: p.CType, count: int) -> p.Array:
    return p.Array(element, count if p.size_of(element) else 0)


types = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(p.Pointer, inner, st.booleans()),
        st.builds(array_of, inner, st.integers(0, 9)),
        structs(inner),
    ),
    max_leaves=8,
)
functions = st.builds(
    p.Prototype,
    names,
    types,
    st.lists(st.builds(p.Parameter, names, types), max_size=4).map(tuple),
    st.booleans(),
)


@settings(deadline=None)
@given(functions)
def test_a_prototype_survives_its_stored_form(prototype: p.Prototype) -> None:
    stored = json.loads(json.dumps(p.prototype_to_json(prototype)))
    assert p.prototype_from_json(stored) == prototype


def test_names_are_spelled_out_where_they_are_not_printable() -> None:
    """They come in messages, which terminals show."""
    struct = p.Struct("struct \x1b]0;s\x07", 4, 4, (p.StructField("\x9bm", 0, INT),), tag="\ud800")
    types = (struct, p.Integer(8, True, "\0", "\x7f"), p.Opaque("\u202e", 1, 1, "\r"))
    hostile = p.Prototype("\x1b[31mf", INT, tuple(p.Parameter("\n", t) for t in types), False, "\a")
    read = p.prototype_from_json(json.loads(json.dumps(p.prototype_to_json(hostile))))
    assert repr(hostile).isprintable() and str(read).isprintable()
    strings = json.dumps(p.prototype_to_json(read), ensure_ascii=False)
    assert strings.isprintable() and "\\\\x1b[31mf" in strings


def test_long_names_are_cut_and_stay_different() -> None:
    """Each is put together with the names of all members."""
    first, second = (p.type_from_json(p.type_to_json(p.Struct("s" * 10_000 + end, 4, 4))) for end in "ab")
    assert len(str(first)) < 1000 and str(first) != str(second)
    assert p.type_from_json(p.type_to_json(first)) == first


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["int", "signed", "name", "float", "pointer", "const", "array", "count", "struct"]
            )
            | st.sampled_from(["size", "align", "fields", "result", "parameters", "variadic"]),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(json_values)
def test_whatever_is_stored_instead_of_a_type_raises_module_errors_only(data: Any) -> None:
    try:
        ctype = p.type_from_json(data)
    except ModuleError:
        return
    assert p.type_from_json(p.type_to_json(ctype)) == ctype


@settings(deadline=None)
@given(json_values)
def test_whatever_is_stored_instead_of_a_prototype_raises_module_errors_only(data: Any) -> None:
    try:
        prototype = p.prototype_from_json(data)
    except ModuleError:
        return
    assert p.prototype_from_json(p.prototype_to_json(prototype)) == prototype


def test_types_that_nest_too_deeply_are_refused() -> None:
    data: Any = "void"
    for _ in range(1000):
        data = {"pointer": data, "const": False}
    with pytest.raises(ModuleError, match="too deeply"):
        p.type_from_json(data)


@pytest.mark.parametrize(
    "data",
    [
        {
            "struct": "s",
            "size": 4,
            "align": 4,
            "fields": [["a", 4, {"int": 32, "signed": True, "name": "int"}]],
        },
        {
            "struct": "s",
            "size": 4,
            "align": 4,
            "fields": [["a", -4, {"int": 32, "signed": True, "name": "int"}]],
        },
        {"struct": "s", "size": 4, "align": 3, "fields": []},
        {"struct": "s", "size": 1 << 40, "align": 4, "fields": []},
    ],
    ids=["field beyond the end", "field before the start", "odd alignment", "huge"],
)
def test_impossible_structs_are_refused(data: Any) -> None:
    with pytest.raises(ModuleError):
        p.type_from_json(data)


@pytest.mark.parametrize(
    ("prototype", "text"),
    [
        (p.Prototype("f", p.Void(), ()), "void f(void)"),
        (p.Prototype("add", INT, (p.Parameter("a", INT), p.Parameter("b", INT))), "int add(int a, int b)"),
        (
            p.Prototype("g", p.Pointer(CHAR), (p.Parameter("", p.Pointer(CHAR, True)),)),
            "char *g(const char *)",
        ),
        (p.Prototype("m", INT, (p.Parameter("v", p.Pointer(p.Pointer(CHAR))),)), "int m(char **v)"),
        (p.Prototype("log", p.Void(), (p.Parameter("n", INT),), variadic=True), "void log(int n, ...)"),
        (p.Prototype("h", p.Float(64), (p.Parameter("x", p.Float(32)),)), "double h(float x)"),
    ],
)
def test_a_prototype_reads_like_c(prototype: p.Prototype, text: str) -> None:
    assert str(prototype) == text


@pytest.mark.parametrize(
    ("ctype", "size_bytes"),
    [
        (p.Void(), 0),
        (p.Bool(), 1),
        (p.Integer(128, True, "__int128"), 16),
        (p.Float(80), 16),
        (p.Pointer(p.Void()), 8),
        (p.Array(INT, 3), 12),
        (p.Struct("s", 24, 8), 24),
    ],
)
def test_sizes_are_those_of_the_abi(ctype: p.CType, size_bytes: int) -> None:
    assert p.size_of(ctype) == size_bytes
