"""Frames of every size against the guards: of the control stack, and of its twin in the window."""

from __future__ import annotations

import functools
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.hostile.scene import attack, hostile
from tests.hostile.test_control_stack import assembled
from tmebox import Module, Sandbox, abi
from tmebox.modulefile import codec
from tmebox.verify.depth import DEEPEST

SIZES = [0, 8, 40, 4000, 4096, 65536, (512 << 10) - 200, 512 << 10, 1 << 20, 8 << 20, 33 << 20, 60 << 20]
STACKS = ["16KiB", "8MiB", "48MiB"]


def recursion(size: int) -> str:
    """Functions with such a frame: one uses its lower end, one its upper one, one nothing of it."""
    return f"""
    __attribute__((noinline)) static void use(volatile char *at) {{ *at = 1; }}
    __attribute__((noinline)) static void none(volatile char *at) {{ __asm__ volatile("" : : "r"(at)); }}
    long low_{size}(long n) {{ char frame[{size} + 8]; use(frame); return low_{size}(n + 1) + frame[0]; }}
    long high_{size}(long n) {{
      char frame[{size} + 8];
      use(frame + {size} + 7);
      return high_{size}(n + 1) + frame[{size} + 7];
    }}
    long none_{size}(long n) {{ char frame[{size} + 8]; none(frame); long m = none_{size}(n + 1); none(frame);
      return m; }}
    """.replace("use(", f"use_{size}(").replace("none(", f"none_of_{size}(")


@functools.cache
def recursions() -> Module:
    source = "int alive(void) { return 42; }\n" + "".join(recursion(size) for size in SIZES)
    return tmebox.compile(source_text=source, flags=["-O1", "-fno-optimize-sibling-calls", "-w"])


@pytest.mark.parametrize("stack", STACKS)
def test_recursion_with_frames_of_every_size_runs_out_of_stack(stack: str) -> None:
    def act(sandbox: Sandbox) -> Any:
        ends = {}
        for size in SIZES:
            for kind in ("low", "high", "none"):
                sandbox.reset()
                try:
                    ends[kind, size] = sandbox.call(f"{kind}_{size}", 0)
                except tmebox.Trap as trap:
                    ends[kind, size] = trap.kind
        return ends

    ends = attack(recursions(), act, stack=stack).value
    assert set(ends.values()) == {"stack-overflow"}, ends


def with_code(text: str) -> Module:
    """A module with these instructions behind it, as a hostile toolchain would have put them there."""
    file = tmebox.compile(source_text="int alive(void) { return 42; }").file
    (code,) = assembled([f'.section .text.a0,"ax"\n{text}\nhlt\n'])
    at = -len(file.text) % 16
    place = np.uint32(file.text_address + len(file.text) + at)
    export = replace(file.exports[0], name="f", address=int(place), prototype=None)
    evil = replace(
        file,
        text=file.text + b"\xf4" * at + code,
        functions=np.sort(np.append(file.functions, place)),
        depth_places=np.append(file.depth_places, place),
        depths=np.append(file.depths, np.uint32(0)),
        exports=(*file.exports, export),
    )
    return Module.from_bytes(codec.encode(evil))


FRAMES = [0, 4096, 16 << 10, 1 << 20, 16 << 20, 48 << 20, DEEPEST - (16 << 10), DEEPEST - 4096, DEEPEST]
REACH = [-abi.STACK_REACH, -abi.STACK_REACH + 8, -4096, -8, 0, 8]


@pytest.mark.parametrize("frame", FRAMES, ids=hex)
def test_a_frame_without_any_probe_ends_in_the_guard(frame: int) -> None:
    """Machine code that the verifier accepts: the deepest frame, and the farthest access from there."""
    for reach in REACH:
        if reach + 8 > frame:
            continue
        module = with_code(f"subq ${frame}, %rsp\nmovq %rdi, {reach}(%rsp)\naddq ${frame}, %rsp\nret")
        for stack in (16 << 10, 8 << 20):
            ending = attack(module, lambda sandbox: sandbox.call_raw("f", 7), stack=stack)
            fits = frame - reach < stack - 8192
            allowed = (
                {None} if fits else {None, "StackOverflow"} if frame - reach < stack else {"StackOverflow"}
            )
            assert ending.exception in allowed, (frame, reach, stack, ending)


def test_calls_below_the_deepest_frame_end_in_the_guard() -> None:
    module = with_code(f"subq ${DEEPEST}, %rsp\ncall 1f\naddq ${DEEPEST}, %rsp\nret\n1: ret")
    ending = attack(module, lambda sandbox: sandbox.call_raw("f", 7))
    assert ending.exception == "StackOverflow", ending


def test_what_is_above_the_stack_is_read_up_to_its_guard_only() -> None:
    for reach in (64, 4096, 1 << 16, abi.STACK_REACH):
        module = with_code(f"movq {reach}(%rsp), %rax\nret")
        ending = attack(module, lambda sandbox: sandbox.call_raw("f", 7))
        assert ending.trap or ending.value in (None, 0), ending


# -- threads of snapshots ------------------------------------------------------------------------------------
def test_forged_threads_of_a_snapshot_are_refused_or_harmless() -> None:
    """The words of their stacks, changed, moved, cut, at any range."""

    def act(sandbox: Sandbox) -> Any:
        generator = random.Random(5)
        sandbox.begin(3)
        instance = sandbox._tenancy.instance
        right = instance.threads()
        assert len([row for row in right if row]) == 4  # and the keeper of turns
        refused = accepted = 0
        for _ in range(2000):
            rows = list(right)
            number = generator.randrange(4)
            low, top, words = rows[number] or (0, 0, b"")
            rows[number] = forged(generator, low, top, words)
            try:
                instance.begin_threads(tuple(rows))
            except (ValueError, tmebox.LimitError):
                refused += 1
                continue
            accepted += 1
            if accepted % 8 == 0:
                try:
                    sandbox.call("ask", timeout=0.02)
                except tmebox.TmeboxError:
                    sandbox.reset()
                    sandbox.begin(3)
                    right = instance.threads()
        return refused, accepted

    ending = attack(hostile("threads"), act, imports={"host_call": abs}, timeout=1.0)
    assert ending.exception is None, ending
    refused, accepted = ending.value
    assert refused > 200 and accepted > 20, ending


def forged(generator: random.Random, low: int, top: int, words: bytes) -> tuple[int, int, bytes]:
    row = bytearray(words)
    for _ in range(generator.choice((1, 1, 4))):
        place = generator.randrange(len(row) // 8) * 8
        other = generator.randrange(len(row) // 8) * 8
        match generator.randrange(6):
            case 0:
                row[place : place + 8] = generator.getrandbits(64).to_bytes(8, "little")
            case 1:
                row[place : place + 8] = row[other : other + 8]
            case 2:
                row[place] ^= 1 << generator.randrange(8)
            case 3:
                row = row[place:] or row
            case 4:
                row = (
                    bytearray(8 * generator.choice((1, 2, 1000, max(0, min(top - low, 1 << 20)) // 8))) + row
                )
            case _:
                low += generator.choice((8, -8, 4096, -(1 << 20), 1 << 40))
                top += generator.choice((0, 8, -4096, 1 << 30, -(1 << 63)))
    return low % (1 << 64), top % (1 << 64), bytes(row)


def test_a_stack_that_is_full_is_none_that_a_thread_can_leave() -> None:
    """Its lowest words have no page: a push would have found out."""

    def act(sandbox: Sandbox) -> Any:
        sandbox.begin(1)
        instance = sandbox._tenancy.instance
        low, top, words = instance.threads()[0] or (0, 0, b"")
        last = len(words) - (top - ((top & ~31) - 8))
        for count in range((top - low) // 8 - 520, (top - low) // 8 + 1):
            # One frame, of a function of any depth, from the lowest word to the last one.
            row = bytes(8 * count - len(words)) + words
            try:
                instance.begin_threads(((low, top, row),))
            except ValueError:
                continue
        return last > 0

    assert attack(hostile("threads"), act, imports={"host_call": abs}, timeout=1.0).value


def test_a_thread_that_trapped_is_in_no_snapshot() -> None:
    def act(sandbox: Sandbox) -> Any:
        with pytest.raises(tmebox.Trap):
            sandbox.trap_in_thread()
        with pytest.raises(tmebox.TmeboxError):
            sandbox.snapshot()
        return sandbox._tenancy.instance.threads()

    ending = attack(hostile("threads"), act, imports={"host_call": abs}, timeout=1.0)
    assert ending.exception is None, ending
    keeper, *others = ending.value
    assert keeper and all(row is None for row in others), ending


@pytest.mark.parametrize("depth", [1, 100, 300, 1000, 1800])
def test_a_thread_deep_in_calls_comes_up_again_in_snapshots(depth: int) -> None:
    """Its control stack holds more than what a new one can be touched of at first."""

    def act(sandbox: Sandbox) -> Any:
        assert sandbox.stand_deep(depth) == 0
        snapshot = sandbox.snapshot()
        found = [sandbox.come_up()]
        for _ in range(2):
            with tmebox.Sandbox(snapshot, imports={"host_call": abs}) as again:
                found.append(again.come_up())
        return found

    ending = attack(hostile("threads"), act, imports={"host_call": abs}, timeout=5.0)
    assert ending.value == [depth] * 3, ending
