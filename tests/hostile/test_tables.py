"""Jumps through tables: with indexes outside of them, and tables that lead elsewhere."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import run_forked
from tests.hostile.scene import attack, hostile
from tmebox import Module, Sandbox, abi
from tmebox.modulefile import codec
from tmebox.modulefile.file import Export, ModuleFile

RESULTS = {
    "go": [1, 2, 3, 4],
    "promised": [7, 1, (1 << 32) - 9, 5, 64, 14],
    "compared": [1, 2, 3],
    "by_hand": [1, 2],
}
ENTRIES = {"go": 4, "promised": 8, "compared": 2, "by_hand": 2}
"""Of the tables, which are filled up for every index of so many bits."""
MESSAGE = "a jump through a table, with an index outside of it, was stopped; or the code stopped itself"
LOW_32 = (1 << 32) - 1
OUTSIDE = {
    "one-too-far": 0,
    "far": 1000,
    "as-32-bits-inside": (1 << 32) + 1,
    "largest-positive": (1 << 63) - 1,
    "smallest-negative": 1 << 63,
    "wraps-to-the-second-entry": (1 << 61) + 1,
    "minus-one": (1 << 64) - 1,
    "minus-two": (1 << 64) - 2,
    "a-table's-address": abi.TEXT_NOMINAL,
}


def file() -> ModuleFile:
    return hostile("tables").file


def numbers(file: ModuleFile) -> list[int]:
    return [number for (number,) in struct.iter_unpack("<Q", file.text[file.code_bytes :])]


def with_entry(file: ModuleFile, number: int, target: int) -> ModuleFile:
    """The module with another entry, which is what it says wherever it is loaded."""
    place = file.code_bytes + number * abi.TABLE_ENTRY
    text = file.text[:place] + struct.pack("<Q", target % (1 << 64)) + file.text[place + abi.TABLE_ENTRY :]
    kept = file.relocations.text_abs64[file.relocations.text_abs64 != place]
    return replace(file, text=text, relocations=replace(file.relocations, text_abs64=kept))


def test_the_program_jumps_through_tables() -> None:
    assert file().table_entries == sum(ENTRIES.values())

    def act(sandbox: Sandbox) -> list[list[int]]:
        return [[sandbox.call_raw(name, x) for x in range(len(found))] for name, found in RESULTS.items()]

    assert attack(hostile("tables"), act).value == list(RESULTS.values())


def result(function: str, index: int) -> int | None:
    """None: a trap. `compared` has a comparison of its own, the others a mask."""
    found = RESULTS[function]
    if function == "compared":
        return found[min(index & LOW_32, 2)]
    place = index & ENTRIES[function] - 1
    return found[place] if place < len(found) else None


@pytest.mark.parametrize("function", RESULTS)
@pytest.mark.parametrize("name", OUTSIDE)
def test_an_index_outside_the_table_leads_to_one_of_its_entries_or_a_trap(function: str, name: str) -> None:
    index = OUTSIDE[name] or len(RESULTS[function])
    expected = result(function, index)
    ending = attack(hostile("tables"), lambda sandbox: sandbox.call_raw(function, index))
    if expected is None:
        assert (ending.exception, ending.function) == ("ControlFlowViolation", function), ending
        assert MESSAGE in ending.message
    else:
        assert (ending.exception, ending.value) == (None, expected), ending


def test_indexes_of_both_kinds_are_tried() -> None:
    results = [
        result(function, index or len(found))
        for function, found in RESULTS.items()
        for index in OUTSIDE.values()
    ]
    assert None in results and results.count(None) < len(results) / 2


@pytest.mark.parametrize("function", [name for name in RESULTS if name != "compared"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_an_index_outside_the_table_is_stopped_with_the_base_in_r15(function: str, name: str) -> None:
    index = OUTSIDE[name] or len(RESULTS[function])
    ending = attack(hostile("tables", "r15"), lambda sandbox: sandbox.call_raw(function, index))
    assert (ending.exception, ending.kind) == ("ControlFlowViolation", "control-flow-violation"), ending
    assert MESSAGE in ending.message
    assert ending.function == function


def test_another_check_that_fails_still_says_where_it_would_have_gone() -> None:
    ending = attack(hostile("control"), lambda sandbox: sandbox.call_raw("call", 0x1234))
    assert "a return or indirect branch to 0x1234, where there is no code, was stopped" in ending.message


ELSEWHERE: dict[str, Callable[[ModuleFile], int]] = {
    "inside-an-instruction": lambda file: file.text_address + 1,
    "a-jump-behind-its-check": lambda file: file.text_address + file.text.index(b"\xff\x24"),
    "the-tables": lambda file: file.text_address + file.code_bytes,
    "behind-the-text": lambda file: file.text_address + len(file.text),
    "before-the-text": lambda file: file.text_address - 1,
    "a-gate": lambda _: abi.GATE_EXIT,
    "the-host-call-gate": lambda _: abi.GATE_HOSTCALL,
    "null": lambda _: 0,
    "the-window": lambda _: abi.IMAGE_START,
    "python": lambda _: id(ENTRIES),
    "with-an-upper-half": lambda file: numbers(file)[0] + (1 << 32),
    "negative": lambda file: numbers(file)[0] - (1 << 63),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_module_whose_table_leads_elsewhere_is_not_loaded(name: str) -> None:
    for number in (0, file().table_entries - 1):
        evil = with_entry(file(), number, ELSEWHERE[name](file()))
        with pytest.raises(tmebox.VerificationError) as caught:
            Module.from_bytes(codec.encode(evil))
        assert "table-leads-to-instructions" in {violation.rule for violation in caught.value.violations}


@pytest.mark.parametrize("entries", [0, 1, 5, 13, 1000])
def test_a_module_that_lies_about_its_tables_is_not_loaded(entries: int) -> None:
    with pytest.raises(tmebox.TmeboxError):
        Module.from_bytes(codec.encode(replace(file(), table_entries=entries)))


def test_an_export_in_the_tables_is_not_callable() -> None:
    for place in range(file().code_bytes, len(file().text), abi.TABLE_ENTRY):
        address = file().text_address + place
        export = Export("table", address)
        evil = replace(file(), exports=(*file().exports, export))
        with pytest.raises(tmebox.TmeboxError):
            Module.from_bytes(codec.encode(evil))
        functions = np.unique(np.append(file().functions, np.uint32(address)))
        with pytest.raises(tmebox.VerificationError):
            Module.from_bytes(codec.encode(replace(evil, functions=functions)))


def test_a_pointer_into_the_tables_is_no_target() -> None:
    module = hostile("control")
    tables = hostile("tables")

    def act(sandbox: Sandbox) -> Any:
        return sandbox.call_raw("call", tables.address + tables.file.code_bytes)

    assert attack(module, act).exception == "ControlFlowViolation"


def elsewhere(address: int) -> Module:
    """The module far below `address`, where none of what other tests have loaded is in the way."""
    for mebibytes in range(64, 1024, 64):
        try:
            return Module(file(), address=address - mebibytes * abi.MIB)
        except tmebox.LimitError:
            continue
    raise AssertionError("no room for code anywhere")


def test_a_text_with_tables_works_wherever_it_is_loaded() -> None:
    """Its entries move with it. Here it is at two other places, and at both at once."""

    def act() -> list[Any]:
        found: list[Any] = []
        usual = Module(file())
        moved = elsewhere(usual.address)
        with Sandbox(usual) as first, Sandbox(moved) as second:
            found.append(first.module.address != second.module.address)
            for sandbox in (first, second):
                found.append([sandbox.call_raw("go", x) for x in range(4)])
                text = sandbox.module._verified.code[sandbox.module.file.code_bytes :]
                entries = [number for (number,) in struct.iter_unpack("<Q", text)]
                slide = sandbox.module.address - file().text_address
                found.append(entries == [number + slide for number in numbers(file())])
            found.append(second.call_raw("go", 4))
            found.append(first.call_raw("go", 3))
        return found

    assert run_forked(act).result() == [True, [1, 2, 3, 4], True, [1, 2, 3, 4], True, 1, 4]
