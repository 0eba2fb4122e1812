"""The core's help with stacks, asked for with forged numbers: jumps, words of the stack, threads.

It walks a stack that the sandbox cannot write, by depths that the verifier found. So it leads to live frames
of this very call, to where a thread stands, or nowhere."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

import tmebox
from tests.forked import run_forked
from tests.hostile.scene import Ending, attack, hostile
from tmebox import Sandbox, abi

CONFINED = {None, "ControlFlowViolation", "MemoryFault", "StackOverflow", "IllegalInstruction", "Timeout",
            "ArithmeticTrap", "SandboxClosed"}  # fmt: skip
MASK = (1 << 64) - 1


def attacked(act: Any, host: Any = lambda number: number, **options: Any) -> Ending:
    ending = attack(hostile("core"), act, imports={"host_call": host}, timeout=2.0, **options)
    assert ending.exception in CONFINED, ending
    return ending


# -- jumps ---------------------------------------------------------------------------------------------------
WORDS = [0, 1, 8, MASK, 1 << 31, 1 << 32, 1 << 47, abi.GATE_EXIT << 32, abi.CODE_BASE << 32,
         abi.TARGET_MAP << 32, abi.GATE_HOSTCALL << 32 | abi.STACK_TOP - 64,
         abi.TEXT_NOMINAL << 32 | abi.STACK_TOP - 8]  # fmt: skip


@pytest.mark.parametrize("word", WORDS, ids=hex)
def test_a_jump_to_what_is_no_frame_is_a_violation(word: int) -> None:
    ending = attacked(lambda sandbox: sandbox.jump(word, 1, 2))
    assert ending.exception == "ControlFlowViolation"
    assert ending.function == "jump"


POINTERS = [0, 8, abi.GUARD, abi.STACK_TOP - 8, abi.PRIVATE_END - 8, abi.WINDOW_SIZE - 8,
            abi.WINDOW_SIZE - 24, abi.SHARED_START, 1 << 47]  # fmt: skip


@pytest.mark.parametrize("pointer", POINTERS, ids=hex)
def test_what_a_jump_goes_by_is_read_from_the_window_only(pointer: int) -> None:
    ending = attacked(lambda sandbox: sandbox.jump_by(pointer))
    assert ending.exception in ("MemoryFault", "ControlFlowViolation"), ending


def test_every_word_of_a_jump_buffer_can_be_anything() -> None:
    """One word after the other, with single bits changed and all of it: it jumps, or traps."""

    def act(sandbox: Sandbox) -> Any:
        found: Counter[str] = Counter()
        changes = [(MASK, 1 << bit) for bit in range(0, 64, 3)]
        changes += [(0, word) for word in (0, 8, MASK, 1 << 32, 1 << 47, abi.GATE_EXIT, 0x4242_4242_4242)]
        for index in range(sandbox.words_of_buffer()):
            for kept, flipped in changes:
                sandbox.reset()
                try:
                    found[str(sandbox.jump_forged(index, kept, flipped))] += 1
                except tmebox.Trap as trap:
                    found[trap.kind] += 1
        return found

    found = attacked(act).value
    assert set(found) <= {"7", "8", "control-flow-violation", "memory-fault", "stack-overflow", "timeout"}, (
        found
    )
    assert found["7"] and found["control-flow-violation"], found


def test_every_byte_of_the_text_as_where_a_jump_goes_on() -> None:
    """The middle of functions, instructions and sequences: only where calls return to, at live depths."""

    def act(sandbox: Sandbox) -> Any:
        found: Counter[str] = Counter()
        start = sandbox.module.address
        rsp = 6  # the buffer's word with both
        for offset in range(0, len(sandbox.module.file.text), 3):
            sandbox.reset()
            try:
                forged = (start + offset) << 32
                found[str(sandbox.call("jump_forged", rsp, 0xFFFF_FFFF, forged, timeout=0.2))] += 1
            except tmebox.Trap as trap:
                found[trap.kind] += 1
        return found

    found = attacked(act).value
    others = sum(found.values()) - found["control-flow-violation"]
    assert found["control-flow-violation"] > 0 and others < found["control-flow-violation"] / 4, found


def test_a_jump_to_a_frame_that_has_returned_is_confined() -> None:
    attacked(lambda sandbox: sandbox.jump_to_the_dead())
    attacked(lambda sandbox: sandbox.jump_down())


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_no_jump_leads_over_a_function_of_the_host(depth: int) -> None:
    inside: list[Sandbox] = []
    went_on: list[int] = []

    def host(number: int) -> int:
        result = inside[0].goes_deeper(number) if number > 0 else inside[0].inner_jumps()
        went_on.append(result)
        return result

    def act(sandbox: Sandbox) -> Any:
        inside.append(sandbox)
        with pytest.raises(tmebox.ControlFlowViolation, match="has returned, or never was"):
            sandbox.jump_over_the_host(depth)
        return went_on

    assert attacked(act, host).value == []


# -- words of the stack --------------------------------------------------------------------------------------
def test_a_program_reads_words_of_its_own_stack_and_no_others() -> None:
    def act(sandbox: Sandbox) -> Any:
        top = abi.STACK_TOP
        places = [0, 8, abi.STACK_LOWEST, top, top + 8, top + abi.GIB, abi.WINDOW_SIZE, MASK, MASK - 7,
                  1 << 63, top - 8 - abi.TWIN_DISTANCE, -abi.TWIN_DISTANCE, top - 4096, top - 7]  # fmt: skip
        return [sandbox.read_word(place & MASK) == MASK for place in places], sandbox.read_word(top - 8)

    refused, last = attacked(act).value
    assert all(refused)
    assert last in (0, MASK)  # above the first function's frame nothing was ever written


def painter(words: int, below: int) -> str:
    """paint(word) fills so many words, so many bytes below its return address; count(word) says how many
    are that now."""
    pushes, size = "pushq %rdi\\n" * words, 8 * words
    pops = "popq %rdx\\n cmpq %rdx, %rdi\\n sete %cl\\n movzbl %cl, %ecx\\n addq %rcx, %rax\\n" * words
    return f"""
    int alive(void) {{ return 42; }}
    __attribute__((naked)) void paint(unsigned long word) {{
      __asm__("subq ${below}, %rsp\\n {pushes} addq ${size + below}, %rsp\\n ret");
    }}
    __attribute__((naked)) long count(unsigned long word) {{
      __asm__("xorl %eax, %eax\\n subq ${size + below}, %rsp\\n {pops} addq ${below}, %rsp\\n ret");
    }}"""


@pytest.mark.parametrize("below", [0, 15_000, 60_000, 300_000, 1_200_000])
def test_nothing_of_who_had_the_control_stack_before_is_seen(below: int) -> None:
    """Another sandbox, one that was closed, and the same before its reset; between two calls it may be."""
    module = tmebox.compile(source_text=painter(200, below))
    word = 0x1122_3344_5566_7788

    def act(sandbox: Sandbox) -> Any:
        found = []
        sandbox.call_raw("paint", word)
        found.append(sandbox.call_raw("count", word))
        with tmebox.Sandbox(module) as other:
            found.append(other.call_raw("count", word))
            other.call_raw("paint", word)
        with tmebox.Sandbox(module) as another:
            found.append(another.call_raw("count", word))
        sandbox.call_raw("paint", word)
        sandbox.reset()
        found.append(sandbox.call_raw("count", word))
        return found

    ending = attack(module, act)
    assert ending.exception is None, ending
    own, *foreign = ending.value
    assert own >= 199
    assert foreign == [0, 0, 0]


# -- threads -------------------------------------------------------------------------------------------------
RANGES = [(0, 0), (0, 4096), (8, 1 << 20), (abi.GUARD, abi.STACK_LOWEST), (1 << 24, 1 << 20), (1 << 26, MASK),
          (1 << 26, (1 << 26) + 56), (1 << 26, (1 << 26) + 4097), (abi.SHARED_END, abi.SHARED_END + 4096),
          (1 << 26, 1 << 30), (1 << 32, (1 << 32) + 65536), (MASK - 4095, MASK), (1 << 63, (1 << 63) + 65536),
          (abi.STACK_LOWEST, abi.PRIVATE_END)]  # fmt: skip


@pytest.mark.parametrize(("low", "top"), RANGES)
def test_a_thread_with_an_impossible_stack_is_not_begun(low: int, top: int) -> None:
    assert attacked(lambda sandbox: sandbox.begin(low, top)).value < 0


def test_a_thread_begins_in_a_function_only() -> None:
    def act(sandbox: Sandbox) -> Any:
        found: Counter[bool] = Counter()
        start = sandbox.module.address
        low = abi.IMAGE_START + (8 << 20)
        for offset in range(len(sandbox.module.file.text)):
            result = sandbox.ask(abi.SYS_BEGIN_THREAD, start + offset, low, low + 65536)
            found[result > 0] += 1
        for place in (0, abi.GATE_EXIT, abi.GATE_HOSTCALL, abi.CODE_BASE, abi.TARGET_MAP, 1 << 46, MASK):
            assert sandbox.ask(abi.SYS_BEGIN_THREAD, place, low, low + 65536) < 0
        return found

    found = attacked(act).value
    assert 0 < found[True] < 64 < found[False]


def test_a_threads_first_function_returns_nowhere() -> None:
    low = abi.IMAGE_START + (4 << 20)
    ending = attacked(lambda sandbox: sandbox.begin_what_returns(low, low + 65536))
    assert ending.exception == "ControlFlowViolation", ending


@pytest.mark.parametrize("number", [1, 2, 1023, 1024, 1025, 1 << 32, MASK, -1 % (1 << 32)])
def test_a_turn_for_a_thread_that_is_not_there_is_refused(number: int) -> None:
    assert attacked(lambda sandbox: sandbox.go(number, 0)).value == -1
    assert attacked(lambda sandbox: sandbox.go(number, 1)).value == -1


def test_nobody_goes_on_where_nobody_stands() -> None:
    """Its own number, the first one's from the first, and one that has ended."""

    def act(sandbox: Sandbox) -> Any:
        low = abi.IMAGE_START + (4 << 20)
        number = sandbox.begin(low, low + 65536)
        return sandbox.go(0, 0), sandbox.go(0, 1), sandbox.go(number, 0), sandbox.go(number, 0)

    assert attacked(act).value == (-1, -1, 0, 0)


def test_a_thread_that_is_said_to_end_with_another_stands_nowhere() -> None:
    """Not the one that is to go on, nor the first, nor one that is not there. Its number is given again."""

    def act(sandbox: Sandbox) -> Any:
        low = abi.IMAGE_START + (4 << 20)
        first, second = (sandbox.begin(low + at, low + at + 65536) for at in (0, 65536))
        ends = [sandbox.go(first, 1 + number) for number in (first, 0, 1000, 1 << 40, MASK - 1)]
        before = sandbox.go(second, 0)
        return (
            ends,
            before,
            sandbox.go(first, 1 + second),
            sandbox.go(second, 0),
            sandbox.begin(low, low + 65536) == second,
        )

    assert attacked(act).value == ([0] * 5, 0, 0, -1, True)


def test_all_stacks_of_a_sandboxs_threads_have_a_limit() -> None:
    def act(sandbox: Sandbox) -> Any:
        low = abi.IMAGE_START + (1 << 20)
        begun = 0
        while sandbox.begin(low, low + (8 << 20)) > 0:
            begun += 1
        return begun

    assert 0 < attacked(act, memory=64 << 20).value <= 8


def mappings() -> int:
    with open("/proc/self/maps") as maps:
        return sum(1 for _ in maps)


def test_sandboxes_with_all_threads_that_they_get_leave_some_to_others() -> None:
    """And what they had goes back to the system, so that the same can happen again and again."""
    module, low = hostile("core"), abi.IMAGE_START + (4 << 20)

    def threads_of(sandbox: Sandbox) -> int:
        begun = 0
        while sandbox.begin(low, low + 4096) > 0:
            begun += 1
        return begun

    def play() -> tuple[list[list[int]], list[int]]:
        found, left = [], [mappings()]
        for _ in range(3):
            boxes = [Sandbox(module, imports={"host_call": abs}) for _ in range(8)]
            found.append([threads_of(sandbox) for sandbox in boxes])
            for sandbox in boxes:
                sandbox.close()
            left.append(mappings())
        return found, left

    found, left = run_forked(play, timeout_s=60).result()
    assert found[0] == found[1] == found[2]
    assert found[0][0] == abi.MOST_FIBERS and min(found[0]) > 100, found
    assert max(left) < left[0] + 1000, left


LATE = [("go", (0, 0)), ("go", (0, 1)), ("inner_jumps", ()), ("step", ())]


@pytest.mark.parametrize(("function", "arguments"), LATE)
def test_a_call_from_a_thread_ends_where_it_began(function: str, arguments: tuple[int, ...]) -> None:
    """A thread calls the host, which calls again, which gives the first thread its turn: that returns from
    the outer call, in the middle of the inner one."""
    inside: list[Sandbox] = []
    low = abi.IMAGE_START + (4 << 20)

    def act(sandbox: Sandbox) -> Any:
        inside.append(sandbox)
        return sandbox.call_in_thread(low, low + 65536, 3)

    ending = attacked(act, lambda _: inside[0].call(function, *arguments))
    if function == "go":
        assert ending.exception in ("ControlFlowViolation", "SandboxClosed"), ending


# -- all of it at random -------------------------------------------------------------------------------------
STEPS = 5_000
ENOUGH = 25_000
"""Of each seed: 10^5 together."""


def host(inside: list[Sandbox], number: int) -> int:
    if number == 4:
        return int(inside[0].alive())
    if number == 5:
        return int(inside[0].step()) & 0xFF
    if number == 6:
        raise LookupError("no")
    return number


def fuzz(sandbox: Sandbox, seed: int) -> tuple[int, Counter[str]]:
    generator = random.Random(seed)
    calls, ends, made = 0, Counter[str](), sandbox.where_made()
    while calls < ENOUGH:
        sandbox.reset()
        try:
            sandbox.fuzz(generator.getrandbits(60), generator.randint(1, STEPS))
            ends["returned"] += 1
        except tmebox.Trap as trap:
            ends[trap.kind] += 1
        except (RecursionError, tmebox.SandboxClosed, LookupError) as error:
            ends[type(error).__name__] += 1
        calls += max(1, int.from_bytes(sandbox.memory.read(made, 8), "little"))
    return calls, ends


@pytest.mark.parametrize("seed", range(4))
def test_random_requests_lead_nowhere(seed: int) -> None:
    inside: list[Sandbox] = []

    def act(sandbox: Sandbox) -> Any:
        inside.append(sandbox)
        return fuzz(sandbox, seed)

    imports = {"host_call": lambda number: host(inside, number)}
    ending = attack(hostile("core"), act, imports=imports, memory=64 << 20, timeout=1.0)
    assert ending.exception is None, ending
    calls, ends = ending.value
    assert calls >= ENOUGH
    assert ends["returned"] and ends["control-flow-violation"], ends
