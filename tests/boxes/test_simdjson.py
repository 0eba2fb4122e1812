"""simdjson, which is C++, boxed: the values of `json`; what is no document is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

pytestmark = [pytest.mark.network, pytest.mark.boxes]

DOCUMENT: dict[str, Any] = {
    "name": 'a \u00e4 \U0001f600 "quoted"',
    "list": [1, -2, 3.5, 1e300, True, None, "", [[]], 9007199254740993],
    "deep": {"a": {"b": {"c": [{"d": False}]}}},
    "a/b": "slash",
    "many": list(range(300)),
}


@pytest.fixture(scope="module")
def simdjson_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("simdjson", "simdjson")


@pytest.fixture
def box(simdjson_box: ModuleType) -> Iterator[Any]:
    with simdjson_box.open(memory="64MiB", timeout=10.0) as box:
        yield box


def parsed(box: Any, text: bytes) -> Any:
    error = box.new("const char *[1]")
    document = box.json_parse(text, len(text), error)
    if document is None:
        raise ValueError(box.checked.text(error[0], 200))
    return document


def value_at(box: Any, names: ModuleType, document: Any, pointer: str) -> Any:
    found = box.json_at(document, pointer)
    match box.checked.between(found.kind, names.JSON_NULL, names.JSON_OBJECT):
        case names.JSON_BOOLEAN:
            return bool(found.integer)
        case names.JSON_INTEGER:
            return found.integer
        case names.JSON_NUMBER:
            return found.number
        case names.JSON_TEXT:
            return box.checked.data(found.text, found.length, 1000).decode()
        case names.JSON_LIST:
            count = box.checked.between(found.integer, 0, 1000)
            return [value_at(box, names, document, f"{pointer}/{n}") for n in range(count)]
    return None


def test_values_are_those_of_json(box: Any, simdjson_box: ModuleType) -> None:
    document = parsed(box, json.dumps(DOCUMENT, ensure_ascii=False).encode())
    for pointer in ("/name", "/list", "/a~1b", "/many", "/deep/a/b/c/0/d"):
        expected: Any = DOCUMENT
        for step in pointer.split("/")[1:]:
            expected = expected[int(step) if isinstance(expected, list) else step.replace("~1", "/")]
        assert value_at(box, simdjson_box, document, pointer) == expected, pointer
    assert box.json_at(document, "/none").kind == simdjson_box.JSON_NOTHING
    box.json_free(document)


@pytest.mark.parametrize("text", [b"", b"{", b"[1,]", b"nul", b'"\xff"', b"[" * 50])
def test_what_is_no_document_is_refused(box: Any, text: bytes) -> None:
    with pytest.raises(ValueError):
        json.loads(text)
    with pytest.raises(ValueError, match=r"."):
        parsed(box, text)
