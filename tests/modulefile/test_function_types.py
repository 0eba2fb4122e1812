"""Types of functions in module files, which nobody vouches for: what is none is refused, and never followed
without end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tmebox.errors import ModuleError
from tmebox.modulefile import prototypes as p

INT: Any = {"int": 32, "signed": True, "name": "int"}


def pointer(function: Any) -> Any:
    return {"pointer": function, "const": False}


def function(*parameters: Any, result: Any = INT, **more: Any) -> Any:
    return {"function": result, "parameters": [["", ctype] for ctype in parameters], **more}


def cyclic() -> Any:
    made = function()
    made["parameters"].append(["", pointer(made)])
    return pointer(made)


def cyclic_result() -> Any:
    made = function()
    made["function"] = pointer(made)
    return pointer(made)


def cyclic_struct() -> Any:
    struct: Any = {"struct": "s", "size": 8, "align": 8, "fields": []}
    struct["fields"].append(["next", 0, pointer(function(pointer(struct)))])
    return struct


def deep() -> Any:
    made = function(INT)
    for _ in range(40):
        made = function(pointer(made))
    return pointer(made)


REFUSED: dict[str, Any] = {
    "a function that takes a pointer to itself": cyclic(),
    "a function that returns one": cyclic_result(),
    "a struct with a function that takes one": cyclic_struct(),
    "functions that take functions without end": deep(),
    "more parameters than a compiler has": pointer(function(*[INT] * 5000)),
    "a function that is a value": function(INT),
    "a function that takes a function": pointer(function(function(INT))),
    "a function that returns a function": pointer(function(INT, result=function(INT))),
    "an array of functions": {"array": function(INT), "count": 3},
    "a vector of functions": {"vector": function(INT), "count": 1, "size": 8},
    "a struct that holds a function": {
        "struct": "s",
        "size": 8,
        "align": 8,
        "fields": [["f", 0, function()]],
    },
    "no parameters": pointer({"function": INT}),
    "parameters that are a text": pointer({"function": INT, "parameters": "ab"}),
    "parameters that are a mapping": pointer({"function": INT, "parameters": {"a": INT}}),
    "a parameter without a type": pointer({"function": INT, "parameters": [["a"]]}),
    "a parameter of three parts": pointer({"function": INT, "parameters": [["a", INT, INT]]}),
    "a parameter of no type": pointer({"function": INT, "parameters": [["a", None]]}),
    "a result that is a number": pointer({"function": 3, "parameters": []}),
    "no result": pointer({"function": None, "parameters": []}),
    "a list": pointer([function(INT)]),
    "an integer of 7 bits": pointer(function({"int": 7, "signed": True, "name": "odd"})),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_type_of_a_function_is_refused(name: str) -> None:
    with pytest.raises(ModuleError):
        p.type_from_json(REFUSED[name])
    for row in (
        {"name": "f", "result": "void", "parameters": [["a", REFUSED[name]]], "variadic": False},
        {"name": "f", "result": REFUSED[name], "parameters": [], "variadic": False},
    ):
        with pytest.raises(ModuleError):
            p.prototype_from_json(row)


def test_a_prototype_with_too_many_parameters_is_refused() -> None:
    row = {"name": "f", "result": "void", "parameters": [["a", INT]] * 5000, "variadic": False}
    with pytest.raises(ModuleError, match="impossible parameters"):
        p.prototype_from_json(row)


ACCEPTED = [
    pointer(function()),
    pointer(function(INT, "void", result="void")),
    pointer(function(pointer(function(INT)), variadic=True, name="visitor")),
    pointer(function(result=pointer(function(pointer("void"))))),
    pointer(function(*[INT] * 127)),
]


@pytest.mark.parametrize("data", ACCEPTED)
def test_what_is_one_is_read_and_written_as_it_is(data: Any) -> None:
    ctype = p.type_from_json(json.loads(json.dumps(data)))
    assert isinstance(ctype, p.Pointer) and isinstance(ctype.target, p.Function)
    assert p.type_from_json(p.type_to_json(ctype)) == ctype
