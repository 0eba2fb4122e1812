"""What a module file costs to read is bounded by its size, whatever numbers are in it."""

from __future__ import annotations

import contextlib
import json
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.modulefile.examples import example, metadata, with_metadata
from tmebox.errors import ModuleError
from tmebox.modulefile import codec, elf
from tmebox.modulefile.prototypes import Array, Struct, prototype_from_json, size_of, type_from_json
from tmebox.runtime.calls.classes import NO_CLASS, argument, classify
from tmebox.runtime.calls.named import Names
from tmebox.runtime.calls.values import unpack

MOST_PER_BYTE = 40
"""Bytes of memory for each byte of a file: numbers and strings of Python, where it has one digit each."""
CONSTANT = 4 << 20
SECTIONS_AT, PROGRAM_AT = 40, 32
"""Where the ELF header says where section and program headers are."""


def peak(work: Callable[[], object]) -> int:
    """Bytes of memory that it takes at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def attempt(data: bytes) -> None:
    with contextlib.suppress(ModuleError):
        codec.decode(data)


def large() -> bytes:
    return codec.encode(example(debug_sections=((".debug_info", bytes(1 << 20)),)))


def with_sections_of_everything(data: bytes, kind: int) -> bytes:
    """Another section table at the end: as many sections as there may be, each all of the file."""
    old = struct.unpack_from("<Q", data, SECTIONS_AT)[0]
    count, names = struct.unpack_from("<HH", data, 60)
    headers = [data[old + 64 * n : old + 64 * (n + 1)] for n in range(count)]
    strings = struct.unpack_from("<Q", headers[names], 24)[0]
    body = data + b"".join(b".debug_%03d\0" % n for n in range(200))
    for number in range(elf.MAX_HEADERS - count):
        name = len(data) - strings + 11 * (number % 200)
        headers.append(struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, 0, len(data), 0, 0, 1, 0))
    head = list(struct.unpack_from("<IIQQQQIIQQ", headers[names]))
    head[5] = len(body) - strings
    headers[names] = struct.pack("<IIQQQQIIQQ", *head)
    changed = bytearray(body + b"".join(headers))
    struct.pack_into("<Q", changed, SECTIONS_AT, len(body))
    struct.pack_into("<H", changed, 60, len(headers))
    return bytes(changed)


def with_segments_of_everything(data: bytes) -> bytes:
    """Another program header table at the end: 60 segments, each with all of the file as its data."""
    at = struct.unpack_from("<Q", data, PROGRAM_AT)[0]
    count = struct.unpack_from("<H", data, 56)[0]
    headers = [data[at + 56 * n : at + 56 * (n + 1)] for n in range(count)]
    size = len(data) // 4096 * 4096
    headers += [
        struct.pack("<IIQQQQQQ", 1, 4, 0, address, address, size, size, 4096)
        for address in range(0x0800_0000, 0x0800_0000 + 60 * size, size)
    ]
    changed = bytearray(data + b"".join(headers))
    struct.pack_into("<Q", changed, PROGRAM_AT, len(data))
    struct.pack_into("<H", changed, 56, len(headers))
    return bytes(changed)


def test_sections_that_are_all_of_the_file_are_refused() -> None:
    data = with_sections_of_everything(large(), elf.SHT_PROGBITS)
    with pytest.raises(ModuleError, match="parts of each other"):
        codec.decode(data)
    assert peak(lambda: attempt(data)) < 2 * len(data)


def test_segments_that_are_all_of_the_file_are_refused() -> None:
    data = with_segments_of_everything(large())
    with pytest.raises(ModuleError, match="parts of each other"):
        codec.decode(data)
    assert peak(lambda: attempt(data)) < 2 * len(data)


def test_the_forged_tables_are_understood() -> None:
    """With no more than their share they would be accepted."""
    data = large()
    assert with_sections_of_everything(data, elf.SHT_NOBITS) != data
    assert codec.decode(with_sections_of_everything(data, elf.SHT_NOBITS)).text


@pytest.mark.parametrize("filler", ["[],", "{},", "1,", '"",', '"ab",', "[1],", "-1,", "null,"])
def test_metadata_costs_a_bounded_amount_for_each_byte(filler: str) -> None:
    good = codec.encode(example())
    junk = ("[" + filler * 40_000)[:-1] + "]"
    size = len(good) + len(junk)
    data = with_metadata(metadata(files=json.loads(junk)))
    assert peak(lambda: attempt(data)) < MOST_PER_BYTE * size + CONSTANT


@pytest.mark.parametrize("item", ["[],", '{"a":1},', "1,", '"",'])
def test_metadata_has_a_bounded_number_of_items(item: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_METADATA_ITEMS", 10_000)
    data = with_metadata(metadata(more=json.loads(f"[{(item * 11_000)[:-1]}]")))
    with pytest.raises(ModuleError, match="absurdly large"):
        codec.decode(data)


def test_what_has_too_many_items_to_be_read_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_METADATA_ITEMS", 10)
    with pytest.raises(ModuleError, match="absurdly large"):
        codec.encode(example())


@pytest.mark.parametrize("digits", [21, 4_000_000])
def test_a_number_in_metadata_has_the_digits_that_an_address_has(digits: int) -> None:
    data = with_metadata(metadata(more="@").replace(b'"@"', b"7" * digits))
    with pytest.raises(ModuleError, match="digits"):
        codec.decode(data)


PLACES = ["format", "isolation", "start", "table_entries", "producer", "optional", "files", "exports"]


@pytest.mark.parametrize("place", [*PLACES, "prototype", "type", "name of a type"])
def test_lists_in_lists_are_refused_wherever_they_are(place: str) -> None:
    named: Any = {"int": 32, "signed": True, "name": "@"}
    for _ in range(31):
        named = {"vector": named, "count": 1, "size": 4}
    prototype: Any = {"name": "f", "result": "void", "parameters": [["x", named]], "variadic": False}
    if place == "type":
        prototype["parameters"] = [["x", "@"]]
    wanted = json.loads(metadata())
    if place in PLACES:
        wanted[place] = "@"
    else:
        wanted["exports"][0][2] = "@" if place == "prototype" else prototype
    text = json.dumps(wanted)
    for depth in (1, 10, *range(100, sys.getrecursionlimit() + 50, 5)):
        with pytest.raises(ModuleError):
            codec.decode(with_metadata(text.replace('"@"', "[" * depth + "]" * depth).encode()))


def test_reading_takes_memory_for_the_file_and_not_for_the_largest(tmp_path: Path) -> None:
    path = tmp_path / "small.tbx"
    codec.write(example(), path)
    assert peak(lambda: codec.read(path)) < CONSTANT


def test_an_endless_file_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_FILE_BYTES", 1 << 22)
    with pytest.raises(ModuleError, match="larger than 4 MiB"):
        codec.read("/dev/zero")


def test_names_of_members_cost_a_bounded_amount_for_each_byte() -> None:
    """They are known by the struct's name and their own."""
    function = {"pointer": {"function": "void", "parameters": []}, "const": False}
    fields = [[f"m{index}", 8 * index, function] for index in range(4000)]
    struct = {"struct": "s" * 20_000, "size": 32_000, "align": 8, "fields": fields}
    data = {"name": "f", "result": struct, "parameters": [], "variadic": False}
    found = peak(lambda: Names([prototype_from_json(data)]))
    assert found < MOST_PER_BYTE * len(json.dumps(data)) + CONSTANT


EMPTY = {"struct": "e", "size": 0, "align": 1, "fields": []}
MANY = (1 << 31) - 1


def nested(depth: int) -> Any:
    element: Any = EMPTY
    for _ in range(depth):
        element = {"array": element, "count": MANY}
    return element


@pytest.mark.parametrize("element", [nested(1), nested(20)])
def test_elements_without_a_size_are_not_looped_over(element: Any) -> None:
    data = {"struct": "s", "size": 8, "align": 1, "fields": [["none", 0, element], ["at", 0, {"float": 64}]]}
    ctype = type_from_json(data)
    assert isinstance(ctype, Struct)
    assert size_of(ctype) == 8
    assert classify(ctype) == ("sse",)
    assert unpack(ctype, bytes(8))
    assert type_from_json({"array": EMPTY, "count": MANY}) == Array(Struct("e", 0, 1, ()), 0)


def test_a_field_without_a_type_has_no_class_and_nothing_is_passed() -> None:
    data = {"struct": "s", "size": 8, "align": 1, "fields": [["x", 0, "void"]]}
    assert classify(type_from_json(data)) == (NO_CLASS,)
    assert argument(type_from_json(data)).is_nothing
