"""What stats() and limits() say, beside what is so."""

from __future__ import annotations

import gc
import os
from dataclasses import fields
from pathlib import Path

import pytest

import tmebox
from tmebox import abi
from tmebox.memory.windows import WINDOWS
from tmebox.runtime.resources import Limit

SOURCE = """
static volatile char room[24 << 20];
const char table[1 << 20] = {1};
void touch(unsigned long step) { for (unsigned long i = 0; i < sizeof room; i += step) room[i] = 1; }
long total(void)
{
    long sum = 0;
    for (unsigned long i = 0; i < sizeof table; i += 4096) sum += table[i];
    return sum;
}
void crash(void) { *(volatile int *)8 = 1; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture
def before() -> tmebox.Stats:
    gc.collect()
    return tmebox.stats()


def own_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * abi.PAGE_SIZE


def test_windows_are_counted_as_they_come_and_go(module: tmebox.Module, before: tmebox.Stats) -> None:
    sandboxes = [tmebox.Sandbox(module) for _ in range(3)]
    during = tmebox.stats()
    assert during.windows_live == before.windows_live + 3
    assert during.windows_reserved >= during.windows_live + during.windows_recycled
    for sandbox in sandboxes:
        sandbox.close()
    after = tmebox.stats()
    assert after.windows_live == before.windows_live
    if WINDOWS.substrate.name == "userfault":
        assert after.windows_recycled == during.windows_recycled + 3


@pytest.mark.parametrize("step", [4096, 1 << 16])
def test_memory_in_use_is_counted_however_scattered_and_shared_data_once(
    module: tmebox.Module, before: tmebox.Stats, step: int
) -> None:
    if before.resident_bytes is None:
        pytest.skip("only the system knows")
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.total() == 1
        own_before, start = own_bytes(), tmebox.stats()
        assert start.resident_bytes is not None
        sandbox.touch(step)
        during = tmebox.stats()
        assert during.resident_bytes is not None
        grown = during.resident_bytes - start.resident_bytes
        assert grown >= (24 << 20) // step * abi.PAGE_SIZE
        assert abs(grown - (own_bytes() - own_before)) < 2 << 20
        assert start.resident_bytes - before.resident_bytes < 1 << 20
        # An estimate, by the number of pages: where these lie is not known.
        assert during.page_table_bytes > start.page_table_bytes or step > abi.PAGE_SIZE
    after = tmebox.stats()
    assert after.resident_bytes is not None
    assert after.resident_bytes - before.resident_bytes < 1 << 20


def test_traps_are_counted(module: tmebox.Module, before: tmebox.Stats) -> None:
    with tmebox.Sandbox(module) as sandbox, pytest.raises(tmebox.MemoryFault):
        sandbox.crash()
    assert tmebox.stats().traps == before.traps + 1


def test_limits_say_what_is_used_of_what_and_how_to_have_more(module: tmebox.Module) -> None:
    before = tmebox.limits()
    with tmebox.Sandbox(module), Path(os.devnull).open():
        during = tmebox.limits()
    assert during.substrate == WINDOWS.substrate.name
    assert during.windows.used == before.windows.used + 1
    assert during.descriptors.used == before.descriptors.used + 1
    for field in fields(tmebox.Limits):
        limit = getattr(during, field.name)
        if isinstance(limit, Limit):
            assert 0 < limit.used <= limit.most, field.name
            assert limit.advice, field.name
