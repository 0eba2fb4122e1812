"""Nothing grows and nobody is disturbed: a little of it in every run, all of it with `make soak`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

import tmebox
from tests.forked import ChildOutcome
from tests.soak.soaking import SOAK_C, TRAPS, Amounts, Footprint, footprint, soak

LITTLE = Amounts(cycles=1_000, traps=220, timeouts=20, steps=150)
ALL = Amounts(cycles=1_000_000, traps=100_000, timeouts=10_000, steps=20_000)
ALL_TIMEOUT_S = 3600.0
GROWTH_BYTES = 12 << 20
"""The allocators' and interpreter's own noise. A leak of 16 bytes a life would be more, in a million."""
GROWTH_MAPPINGS = 24
"""Arenas that malloc makes for threads, and control stacks that are kept for the next sandbox."""

Forked = Callable[..., ChildOutcome]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOAK_C, defines={"CONTROL": hex(tmebox.abi.CONTROL_PAGE)})


def soak_twice(module: tmebox.Module, amounts: Amounts) -> tuple[Footprint, Footprint]:
    """Before and after, once everything is as large as it gets: the first round is for that. It is not less
    than LITTLE, or what most sandboxes that live at once need is not reached in it."""

    def say(what: str) -> None:
        os.write(2, f"soak: {what}\n".encode())

    names = ("cycles", "traps", "timeouts", "steps")
    first = {name: max(getattr(LITTLE, name), getattr(amounts, name) // 10) for name in names}
    soak(module, replace(amounts, **first))
    before = footprint()
    soak(module, amounts, say)
    return before, footprint()


def require_no_growth(before: Footprint, after: Footprint) -> None:
    assert after.windows == before.windows == 0
    assert after.descriptors == before.descriptors
    assert after.threads == before.threads
    assert after.mappings <= before.mappings + GROWTH_MAPPINGS
    assert after.memory_bytes <= before.memory_bytes + GROWTH_BYTES


def test_a_little_of_everything_leaves_nothing_behind(module: tmebox.Module, forked: Forked) -> None:
    require_no_growth(*forked(lambda: soak_twice(module, LITTLE), timeout_s=300.0).result())


@pytest.mark.soak
def test_a_million_lives_and_all_kinds_of_deaths_leave_nothing_behind(
    module: tmebox.Module, forked: Forked
) -> None:
    require_no_growth(*forked(lambda: soak_twice(module, ALL), timeout_s=ALL_TIMEOUT_S).result())


@pytest.mark.parametrize("name", TRAPS)
def test_every_kind_of_trap_is_the_kind_it_is_taken_for(module: tmebox.Module, name: str) -> None:
    wanted, arguments = TRAPS[name]
    with tmebox.Sandbox(module, memory="4MiB", stack="64KiB") as sandbox:
        with pytest.raises(wanted):
            sandbox.call(name, *arguments)
        sandbox.reset()
        assert sandbox.pristine() == 1


def test_growth_of_any_kind_is_noticed() -> None:
    start = Footprint(100 << 20, 500, 10, 3, 0)
    require_no_growth(start, start)
    for name in ("memory_bytes", "mappings", "descriptors", "threads", "windows"):
        more = {"memory_bytes": GROWTH_BYTES + 1, "mappings": GROWTH_MAPPINGS + 1}.get(name, 1)
        with pytest.raises(AssertionError):
            require_no_growth(start, replace(start, **{name: getattr(start, name) + more}))
