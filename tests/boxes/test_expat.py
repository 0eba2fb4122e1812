"""expat, boxed, beside Python's own: the same events for the same documents, and for damaged ones."""

from __future__ import annotations

import random
from collections.abc import Callable
from pyexpat import ExpatError, ParserCreate
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.network

DOCUMENTS = [
    b"<a/>",
    b"<a b='1' c='&lt;'>x<d>\xc3\xa4</d><!-- y --><![CDATA[z]]></a>",
    b"<?xml version='1.0' encoding='iso-8859-1'?><a>\xe4</a>",
    b"<!DOCTYPE a [<!ENTITY e 'deep'>]><a>&e;&#65;</a>",
    b"<a><b></a></b>",
    b"<a",
    b"\x00\x01",
    b"<a xmlns:n='u'><n:b/></a>",
    b"<r>" + b"<i k='v'>text &amp; more</i>" * 200 + b"</r>",
]


@pytest.fixture(scope="module")
def expat_box(boxed: Callable[..., ModuleType]) -> ModuleType:
    return boxed("expat", "expat")


def theirs(document: bytes) -> list[Any]:
    seen: list[Any] = []
    parser = ParserCreate()
    parser.ordered_attributes = True
    parser.buffer_text = False
    parser.StartElementHandler = lambda name, attributes: seen.append(("start", name, attributes))
    parser.EndElementHandler = lambda name: seen.append(("end", name))
    parser.CharacterDataHandler = lambda text: seen.append(("text", text))
    parser.CommentHandler = lambda text: seen.append(("comment", text))
    try:
        parser.Parse(document, True)
    except ExpatError as error:
        seen.append(("error", error.code))
    return seen


def ours(expat_box: ModuleType, document: bytes) -> list[Any]:
    seen: list[Any] = []
    with expat_box.open(memory="64MiB", timeout=10.0) as box:
        parser = box.XML_ParserCreate(None)

        def start(user: Any, name: str, attributes: Any) -> None:
            found: list[str] = []
            while attributes[len(found)]:
                found.append(box.checked.text(attributes[len(found)], 1000))
            seen.append(("start", name, found))

        box.XML_SetElementHandler(parser, start, lambda user, name: seen.append(("end", name)))
        text = box.callback(
            lambda user, data, size: seen.append(("text", data.decode())),
            "XML_CharacterDataHandler",
            lengths={1: 2},
        )
        box.XML_SetCharacterDataHandler(parser, text)
        box.XML_SetCommentHandler(parser, lambda user, data: seen.append(("comment", data)))
        if box.XML_Parse(parser, document, len(document), True) != expat_box.XML_STATUS_OK:
            seen.append(("error", box.XML_GetErrorCode(parser)))
        box.XML_ParserFree(parser)
    return seen


@pytest.mark.parametrize("document", DOCUMENTS)
def test_events_are_those_of_pyexpat(expat_box: ModuleType, document: bytes) -> None:
    assert ours(expat_box, document) == theirs(document)


def test_damaged_documents_give_the_same_events(expat_box: ModuleType) -> None:
    choose = random.Random(5)
    for _ in range(40):
        document = bytearray(choose.choice(DOCUMENTS[:6]))
        document[choose.randrange(len(document))] = choose.choice(b"<>&'\"/a\x80")
        assert ours(expat_box, bytes(document)) == theirs(bytes(document)), document
