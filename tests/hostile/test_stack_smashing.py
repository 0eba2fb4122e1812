"""Overwritten return addresses change nothing, even inside the sandbox: a function returns to its call.

All that a program can write of its stack is the twin of where return addresses are. So what textbooks do to a
stack damages a program's variables, as it may, and never where its control goes."""

from __future__ import annotations

from typing import Any

import pytest

import tmebox
from tests.hostile.scene import SOURCES, address_of_secret, attack, hostile
from tmebox import Sandbox, abi

WAYS = [
    "by_memcpy",
    "by_a_loop",
    "by_gets",
    "by_sprintf",
    "by_indexes",
    "by_frame_address",
    "by_va_list",
    "by_arguments",
    "by_painting",
    "by_the_host",
    "by_painting_before_longjmp",
    "reads_the_same",
]
WAYS_OF_ARRAYS = ["by_alloca", "by_variable_array", "by_frame_beside_an_array"]
SLACK = 128
"""What is left of the stack's end, where the host keeps random bytes."""


def host_write(sandbox: Sandbox, offset: int, count: int, value: int) -> int:
    """A careless function of the host, which writes where it is told."""
    sandbox.memory.write(offset, value.to_bytes(8, "little") * count)
    return 0


def attacked(act: Any, **options: Any) -> Any:
    return attack(hostile("smashing"), act, imports={"host_write": host_write}, timeout=20.0, **options)


def prepared(sandbox: Sandbox) -> None:
    layout = sandbox._tenancy.layout
    sandbox.stack_is(layout.stack_low, layout.stack_top - SLACK)


def visits(sandbox: Sandbox, way: str) -> tuple[list[int], int]:
    """What the attack returned for each target, and how often it got to the one that counts."""
    secret = sandbox.where_is_secret()
    targets = [secret, secret + 1, 0, abi.GATE_EXIT, abi.GATE_HOSTCALL, address_of_secret(), (1 << 64) - 1]
    function = sandbox.module.address_of(way)
    return [sandbox.below(function, target) for target in targets], sandbox.visited()


@pytest.mark.parametrize("way", WAYS)
def test_a_function_returns_to_its_call_whatever_it_has_written(way: str) -> None:
    """To a function that would count its visits, to hidden code, to nothing, to the host's memory."""

    def act(sandbox: Sandbox) -> Any:
        prepared(sandbox)
        return visits(sandbox, way)

    assert attacked(act).value == ([7] * 7, 0)


@pytest.mark.parametrize("way", WAYS_OF_ARRAYS)
def test_so_it_does_beside_arrays_of_variable_size(way: str) -> None:
    ending = attack(hostile("smashing_arrays"), lambda sandbox: visits(sandbox, way))
    assert ending.value == ([7] * 7, 0), ending


def test_what_compilers_keep_of_registers_is_out_of_reach_too() -> None:
    def act(sandbox: Sandbox) -> Any:
        prepared(sandbox)
        return sandbox.keeps_registers(sandbox.where_is_secret(), 11, 13, 17)

    assert attacked(act).value == 11 * 3 + 13 * 5 + 17 * 7


def test_the_twin_of_the_stack_holds_no_return_address() -> None:
    """Whatever a program reads of its window while it is a hundred calls deep."""
    source = """
    typedef unsigned long word;
    __attribute__((noinline)) static int count(word low, word top, word start, word end) {
      int found = 0;
      for (word at = low; at < top; at += 8) {
        word value = *(volatile word *)at;
        found += value >= start && value < end;
      }
      return found;
    }
    int look(int depth, word low, word top, word start, word end) {
      if (!depth) return count(low, top, start, end);
      volatile int here = look(depth - 1, low, top, start, end);
      return here;
    }"""
    module = tmebox.compile(source_text=source)

    def act(sandbox: Sandbox) -> Any:
        layout = sandbox._tenancy.layout
        text = sandbox.module.address, sandbox.module.address + len(sandbox.module.file.text)
        return sandbox.look(100, layout.stack_low, layout.stack_top, *text)

    assert attack(module, act).value == 0


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O3", "-Os"])
def test_it_holds_at_every_level_of_optimization(level: str) -> None:
    """A function may lose its variables, pointers among them; nobody ever arrives where the attack wants."""
    module = tmebox.compile(SOURCES / "smashing.c", flags=[level, "-w"])

    def act(sandbox: Sandbox) -> Any:
        ends = {}
        for way in WAYS:
            sandbox.reset()
            prepared(sandbox)
            try:
                attack = sandbox.module.address_of(way)
                sandbox.call("below", attack, sandbox.where_is_secret(), timeout=0.5)
                ends[way] = "returned"
            except tmebox.Trap as trap:
                ends[way] = trap.kind
                sandbox.reset()
            assert sandbox.visited() == 0, way
        return ends

    ends = attack(module, act, imports={"host_write": host_write}).value
    assert set(ends.values()) <= {"returned", "memory-fault", "timeout"}, ends
    assert list(ends.values()).count("returned") > len(WAYS) // 2
