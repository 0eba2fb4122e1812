"""Call-frame information: as another reader reads it, and within bounds whatever it says."""

from __future__ import annotations

import io
import itertools
import struct
import tracemalloc
from collections.abc import Iterator

import pytest
from elftools.dwarf.callframe import FDE, CallFrameInfo
from elftools.dwarf.structs import DWARFStructs
from hypothesis import given, settings
from hypothesis import strategies as st

import tmebox
from tests.frame_sections import START, section, uleb
from tmebox import abi
from tmebox.runtime import call_frames
from tmebox.runtime.call_frames import CallFrames, Row


def others(data: bytes) -> Iterator[tuple[int, int, Row]]:
    """Address, end and row, as pyelftools has them."""
    structs = DWARFStructs(little_endian=True, dwarf_format=32, address_size=8)
    for entry in CallFrameInfo(io.BytesIO(data), len(data), 0, structs).get_entries():
        if not isinstance(entry, FDE):
            continue
        rows = entry.get_decoded().table
        end = entry.header["initial_location"] + entry.header["address_range"]
        for row, after in itertools.zip_longest(rows, rows[1:]):
            saved = {
                number: rule.arg
                for number, rule in row.items()
                if isinstance(number, int) and rule.type == "OFFSET"
            }
            if row["cfa"].expr is None:
                yield row["pc"], after["pc"] if after else end, Row(row["cfa"].reg, row["cfa"].offset, saved)


PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
double work(int n) {
    int sorted[n];
    for (int i = 0; i < n; i++) sorted[i] = rand();
    qsort(sorted, n, sizeof *sorted, compare);
    char text[100];
    snprintf(text, sizeof text, "%d %g", sorted[0], (double)sorted[n - 1]);
    sscanf(text, "%d", &n);
    return strtod(text, NULL);
}
"""


def test_every_row_of_a_program_with_the_c_library_is_read_as_another_reader_reads_it() -> None:
    data = tmebox.compile(source_text=PROGRAM).file.debug_frame
    frames = CallFrames(data)
    compared = 0
    for address, end, row in others(data):
        if abi.CODE_BASE <= address < end:  # the linker puts what it drops at 0
            assert frames.row(address) == frames.row(end - 1) == row, hex(address)
            compared += 1
    assert compared > 500


def test_addresses_outside_all_functions_have_no_row() -> None:
    frames = CallFrames(section(b""))
    assert frames.row(START - 1) is None
    assert frames.row(START) == Row(7, 8, {16: -8})
    assert frames.row(START + (1 << 20)) is None
    assert CallFrames(b"").row(START) is None


@pytest.mark.parametrize(
    "instructions",
    [
        b"".join(b"\x05" + uleb(100 + number) + b"\0" for number in range(4000)) + b"\x41" * 12000,
        b"".join(b"\x05" + uleb(1 << 60 | number) + b"\0" for number in range(4000)) + b"\x41" * 12000,
        b"\x0a" * 100_000,
        b"\x0a\x0b" * 100_000,
        b"\x0a\x42" * 100_000 + b"\x0b" * 100_000,
        b"\0" * 1_000_000,
        b"\x0e" + b"\xff" * 1_000_000,
        b"\x0f" + uleb(1 << 40) + b"\0" * 100,
        b"\x04" * 1000,
    ],
)
def test_whatever_a_function_says_a_row_costs_a_bounded_amount(
    instructions: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows used to be made for each address and register: 100 KB of a file took 14 GiB."""
    steps = itertools.count()
    unsigned = call_frames._unsigned
    monkeypatch.setattr(call_frames, "_unsigned", lambda *given: (next(steps), unsigned(*given))[1])
    frames = CallFrames(section(instructions))
    tracemalloc.start()
    try:
        for address in (START, START + 11_999, START + (1 << 20) - 1):
            frames.row(address)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert next(steps) <= 3 * 2 * call_frames.MAX_STEPS


def test_more_entries_than_a_program_has_take_less_than_twice_their_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_frames, "MAX_ENTRIES", 1000)
    entry = struct.pack("<IIQQ", 20, 0, START, 1)
    data = entry * 100_000
    tracemalloc.start()
    try:
        frames = CallFrames(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert len(frames._starts) == 1000


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_random_bytes_have_rows_or_none(instructions: bytes, common: bytes) -> None:
    for data in (section(instructions), section(instructions, common), instructions):
        frames = CallFrames(data)
        for address in (START, START + 100, 0, (1 << 64) - 1):
            assert frames.row(address) is None or isinstance(frames.row(address), Row)
