"""A verified text with changed bytes is refused, or harmless: it may trap, not reach out."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tmebox.abi import Base

sys.path.append(str(Path(__file__).parents[1] / "hostile"))

import tmebox
from tests.hostile.scene import SOURCES, attack
from tests.properties.compilers import needs
from tmebox import Module, ModuleError, Sandbox, VerificationError, abi
from tmebox.modulefile.file import ModuleFile

pytestmark = pytest.mark.slow

SMALL = """
typedef struct node { struct node *next; long value; char name[12]; } node;
static node nodes[16];
static int (*operations[3])(int);
static int twice(int x) { return x * 2; }
static int square(int x) { return x * x; }
static int less(int x) { return x - 1; }
int setup(int n) {
  operations[0] = twice; operations[1] = square; operations[2] = less;
  for (int i = 0; i < 16; i++) nodes[i] = (node){&nodes[(i + n) & 15], i * n, "x"};
  return n;
}
long walk(int steps) {
  long sum = 0;
  for (node *at = nodes; steps-- > 0; at = at->next) sum += at->value + at->name[steps & 7];
  return sum;
}
int apply(int which, int x) { return operations[(unsigned)which % 3](x) + which; }
int choose(int x) {
  switch (x) {
    case 0: return 5;
    case 1: return walk(3);
    case 2: return apply(1, x);
    case 3: return 9;
    case 4: return setup(x);
    default: return -1;
  }
}
int fill(int n) {
  volatile char room[300];
  for (int i = 0; i < 300; i++) room[i] = (char)n;
  return room[n & 255];
}
void copy(int n) { __builtin_memcpy(&nodes[n & 3], &nodes[8], sizeof(node) * 4); }
long deep(int n) { return n <= 0 ? 1 : deep(n - 1) + n; }
double real(int n) { double x = n; for (int i = 1; i < 5; i++) x = x / i + nodes[i].value; return x; }
"""
INTERESTING = bytes.fromhex("0f05262e363e41484c646566678b898d90c3c9cccde8e9ebf0f2f3f4ff0024250405e45c54")
"""Prefixes, opcodes and addressing bytes that turn one instruction into another."""
MUTATION = st.tuples(
    st.sampled_from(["flip", "replace", "interesting", "zero", "swap"]),
    st.integers(0, 1 << 30),
    st.integers(1, 255),
)
SETTINGS = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@functools.cache
def small(base: Base) -> ModuleFile:
    needs(base)
    return tmebox.compile(source_text=SMALL, base=base).file


@functools.cache
def memory_attacks(base: Base) -> ModuleFile:
    """A text full of string instructions, atomics, vectors and stack tricks; no `alive`."""
    needs(base)
    file = tmebox.compile(SOURCES / "memory.c", base=base).file
    return replace(file, exports=tuple(export for export in file.exports if export.name != "alive"))


def mutate(text: bytes, mutations: list[tuple[str, int, int]]) -> bytes:
    changed = bytearray(text)
    for kind, place, value in mutations:
        at = place % (len(changed) - 1)
        if kind == "flip":
            changed[at] ^= 1 << (value & 7)
        elif kind == "replace":
            changed[at] = value
        elif kind == "interesting":
            changed[at] = INTERESTING[value % len(INTERESTING)]
        elif kind == "zero":
            changed[at] = 0
        else:
            changed[at], changed[at + 1] = changed[at + 1], changed[at]
    return bytes(changed)


def run_everything(sandbox: Sandbox) -> int:
    """Call every export until one traps. Only traps are caught: the host must see nothing else."""
    calls = 0
    for name in sorted(sandbox.module.exports):
        for number in (3, 1 << 33):
            try:
                sandbox.call_raw(name, number, 5, 64)
                calls += 1
            except tmebox.Trap:
                return calls
    return calls


def is_refused_or_harmless(file: ModuleFile, mutations: list[tuple[str, int, int]]) -> None:
    changed = mutate(file.text, mutations)
    if changed == file.text:
        return
    try:
        module = Module(replace(file, text=changed))
    except (VerificationError, ModuleError):
        event("refused")
        return
    event("accepted and run")
    ending = attack(module, run_everything, timeout=0.1)
    assert ending.exception is None, ending


@pytest.mark.parametrize("file", [small, memory_attacks], ids=["program", "attacks"])
@pytest.mark.parametrize("base", abi.BASES)
@SETTINGS
@given(mutations=st.lists(MUTATION, min_size=1, max_size=1))
def test_a_changed_byte_is_refused_or_harmless(
    file: Callable[[str], ModuleFile], base: Base, mutations: list[tuple[str, int, int]]
) -> None:
    is_refused_or_harmless(file(base), mutations)


@pytest.mark.parametrize("file", [small, memory_attacks], ids=["program", "attacks"])
@pytest.mark.parametrize("base", abi.BASES)
@SETTINGS
@given(mutations=st.lists(MUTATION, min_size=2, max_size=4))
def test_several_changed_bytes_are_refused_or_harmless(
    file: Callable[[str], ModuleFile], base: Base, mutations: list[tuple[str, int, int]]
) -> None:
    is_refused_or_harmless(file(base), mutations)


@pytest.mark.parametrize(
    ("base", "sequence"),
    [
        ("gs", rb"(\x41?)\xf6[\x80-\x87]\0\0\xff\x7f\x02\x74.\1\xff[\xd0-\xd7]"),  # up to call *%reg
        ("r15", rb"\x44\x8b\x1c\x24\x41\xf6\x83\0\0\xff\x7f\x08\x74.\x4c\x89\x1c\x24\xc3"),  # up to ret
    ],
)
def test_every_single_bit_of_a_sequence_matters(base: Base, sequence: bytes) -> None:
    """Flipping any bit of a check is refused: none of their bytes is free but the branch's displacement,
    which may only lead to other instructions. The last byte may make an instruction that is no branch."""
    file = small(base)
    found = re.search(sequence, file.text, re.DOTALL)
    assert found
    survivors: list[Any] = []
    for place in range(found.start(), found.end()):
        for bit in range(8):
            changed = bytearray(file.text)
            changed[place] ^= 1 << bit
            try:
                Module(replace(file, text=bytes(changed)))
            except (VerificationError, ModuleError):
                continue
            is_branch = changed[place - 1] == 0xFF and changed[place] >> 3 & 7 in (2, 3, 4, 5)
            if place < found.end() - 1 or is_branch:
                survivors.append(place)
    branch = found.start() + found[0].index(b"\x7f", 2) + 3  # the je's 8-bit displacement
    assert {place for place in survivors if place != branch} == set(), survivors


CLAIM_CHANGES = st.tuples(
    st.sampled_from(["drop", "move", "change", "add", "twice", "swap"]),
    st.integers(0, 1 << 30),
    st.sampled_from([-24, -16, -8, -4, -1, 1, 2, 5, 8, 16, 24, 64, 1 << 20, 68 << 20]),
)


def with_other_claims(file: ModuleFile, changes: list[tuple[str, int, int]]) -> ModuleFile:
    claims = list(zip(file.depth_places.tolist(), file.depths.tolist(), strict=True))
    for kind, number, by in changes:
        if not claims:
            break
        at = number % len(claims)
        place, depth = claims[at]
        if kind == "drop":
            del claims[at]
        elif kind == "move":
            claims[at] = place + by % 64 - 32, depth
        elif kind == "change":
            claims[at] = place, max(depth + by, 0)
        elif kind == "add":
            claims.insert(at + 1, (place + 1 + number % 40, max(depth + by, 0)))
        elif kind == "twice":
            claims.insert(at, (place, max(depth + by, 0)))
        else:
            other = (at + 1) % len(claims)
            claims[at], claims[other] = (place, claims[other][1]), (claims[other][0], depth)
    table = np.array(claims, np.uint32).reshape(-1, 2)
    return replace(file, depth_places=table[:, 0], depths=table[:, 1])


@SETTINGS
@given(changes=st.lists(CLAIM_CHANGES, min_size=1, max_size=3))
def test_a_changed_claim_about_the_stack_is_refused_or_harmless(changes: list[tuple[str, int, int]]) -> None:
    file = small("gs")
    try:
        module = Module(with_other_claims(file, changes))
    except (VerificationError, ModuleError):
        event("refused")
        return
    event("accepted and run")
    ending = attack(module, run_everything, timeout=0.1)
    assert ending.exception is None, ending
