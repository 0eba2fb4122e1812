"""Frames and arrays that are larger than the stack end as StackOverflow, and never wrap into the heap."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

import tmebox
from tests.hostile.scene import SOURCES, attack
from tmebox import CompileError, abi
from tmebox.abi import Base
from tmebox.toolchain.compile.gcc import gcc

FIXED = [
    "frame_of_80_mebibytes",
    "frame_of_200_mebibytes",
    "frame_of_1000_mebibytes",
    "frame_of_1023_mebibytes",
    "frame_of_1_gibibyte",
    "frame_of_1100_mebibytes",
    "frame_of_1900_mebibytes",
]
DYNAMIC = ["array", "array_at_its_end", "allocate", "allocate_twice", "scoped"]
ASSEMBLED = ["lower_by_lea", "lower_by_add", "lower_by_memory"]
"""With the base in gs they are refused: see test_control_stack."""
SIZES = [
    65 << 20,
    200 << 20,
    1000 << 20,
    0x3FF7_5F00,
    1 << 30,
    (1 << 30) + (100 << 20),
    (1 << 32) - (1 << 20),
    1 << 32,
    (1 << 32) + 4096,
    1 << 40,
    (1 << 62) + 4096,
]
"""From what is larger than all below the stack, to what is 0 modulo the window or the private part."""


@functools.cache
def program(base: Base, level: str) -> tmebox.Module:
    if base == "r15":
        try:
            gcc()
        except CompileError as error:
            pytest.skip(str(error))
    flags = [level, "-Wno-frame-larger-than", "-w"]
    return tmebox.compile(Path(SOURCES) / "frames.c", flags=flags, base=base)


def outcomes(sandbox: tmebox.Sandbox, calls: list[tuple[str, tuple[int, ...]]]) -> list[str]:
    """What each call ended in, and whether it changed the block, if it is not a stack overflow."""
    found = []
    for function, arguments in calls:
        sandbox.reset()
        sandbox.prepare()
        try:
            sandbox.call_raw(function, *arguments)
            found.append(f"{function}{arguments} returned, byte {sandbox.changed()}")
        except tmebox.StackOverflow:
            continue
        except tmebox.Trap as error:
            found.append(f"{function}{arguments}: {error}")
    return found


@pytest.mark.parametrize("level", ["-O0", "-O2", "-Os"])
@pytest.mark.parametrize("base", abi.BASES)
def test_a_frame_larger_than_the_stack_overflows_it(base: Base, level: str) -> None:
    module = program(base, level)
    moving = [*DYNAMIC, *ASSEMBLED] if base == "r15" else DYNAMIC
    calls = [(name, ()) for name in FIXED] + [(name, (size,)) for name in moving for size in SIZES]
    assert attack(module, lambda sandbox: outcomes(sandbox, calls)).value == []  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("base", abi.BASES)
def test_what_fits_is_given_and_given_back(base: Base, level: str) -> None:
    def act(sandbox: tmebox.Sandbox) -> object:
        sandbox.prepare()
        for function in [*DYNAMIC, *ASSEMBLED] if base == "r15" else DYNAMIC:
            for size in (16, 4096, 1 << 19, (1 << 19) + 16, 4 << 20):
                sandbox.call_raw(function, size)
        for count in (-64, -(1 << 20), -(4 << 20)) if base == "r15" else ():
            sandbox.call_raw("lower_and_raise", count % (1 << 64))
        return sandbox.changed()

    assert attack(program(base, level), act, stack="16MiB").value == -1
