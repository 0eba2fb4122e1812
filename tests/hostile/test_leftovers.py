"""What a sandbox could learn from registers and memory that somebody else used before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.hostile.scene import attack, hostile
from tmebox import Sandbox, abi

INTEGER_SLOTS = {0: "rax", 1: "rbx", 2: "rcx", 3: "rdx", 4: "rsi", 6: "rbp", 7: "r8", 8: "r9", 9: "r10",
                 12: "r12", 13: "r13", 14: "r14"}  # fmt: skip
CALLER_SAVED = {0: "rax", 2: "rcx", 3: "rdx", 4: "rsi", 7: "r8", 8: "r9", 9: "r10", 10: "r11"}
VECTOR_SLOTS = range(16, 48)
IMPORTS = {"host_nothing": lambda: None}


def busy_host_call() -> None:
    """Leaves values in as many registers as Python can."""
    values = [float(i) * 1.0000001 for i in range(1000)]
    assert np.sqrt(np.arange(4096.0)).sum() > 0  # in vectors as wide as the CPU has
    text = "a secret of the host" * 1000
    assert sum(values) > 0
    assert text.count("secret") == 1000
    assert bytes(bytearray(text, "ascii")).find(b"host") > 0


def dump(sandbox: Sandbox, function: str) -> list[int]:
    sandbox.call_raw(function, sandbox.where_is_dump())
    return [sandbox.dump_word(index) for index in range(48)]


def test_registers_are_zero_at_entry() -> None:
    def act(sandbox: Sandbox) -> list[int]:
        busy_host_call()
        sandbox.call_raw("load_registers")
        return dump(sandbox, "dump_at_entry")

    words = attack(hostile("registers"), act, imports=IMPORTS).value
    left = {name: hex(words[slot]) for slot, name in INTEGER_SLOTS.items() if words[slot]}
    assert not left
    assert abi.CODE_BASE <= words[10] < abi.CODE_END or words[10] == 0, (
        "r11 holds at most the entry's own address"
    )
    assert not [hex(words[slot]) for slot in VECTOR_SLOTS if words[slot]]


def test_registers_are_zero_after_a_host_call() -> None:
    words = attack(
        hostile("registers"),
        lambda s: dump(s, "dump_after_host_call"),
        imports={"host_nothing": busy_host_call},
    ).value
    left = {name: hex(words[slot]) for slot, name in CALLER_SAVED.items() if words[slot]}
    left = {
        name: value
        for name, value in left.items()
        if not (name == "r11" and abi.CODE_BASE <= int(value, 16) < abi.CODE_END)
    }
    assert not left
    assert not [hex(words[slot]) for slot in VECTOR_SLOTS if words[slot]]


AVX_DUMP = """
unsigned long upper[32];
void host_nothing(void);
unsigned long upper_word(int index) { return upper[index]; }
unsigned long where(void) { return (unsigned long)upper; }
__attribute__((naked)) void dump(unsigned long to) { __asm__(STORES "ret"); }
__attribute__((naked)) void dump_after_host_call(unsigned long to) {
  __asm__("pushq %rbx\\n movq %rdi, %rbx\\n callq host_nothing\\n movq %rbx, %rdi\\n"
          STORES "popq %rbx\\n ret");
}
"""


@pytest.mark.parametrize("function", ["dump", "dump_after_host_call"])
def test_upper_halves_of_vector_registers_are_zero(function: str) -> None:
    if "avx" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has no AVX")
    stores = "".join(f'"vextractf128 $1, %ymm{n}, {16 * n}(%rdi)\\n"' for n in range(16))
    module = tmebox.compile(source_text=f"#define STORES {stores}\n{AVX_DUMP}", flags=("-mavx",))

    def act(sandbox: Sandbox) -> list[int]:
        busy_host_call()
        sandbox.call_raw(function, sandbox.where())
        return [sandbox.upper_word(index) for index in range(32)]

    assert attack(module, act, imports={"host_nothing": busy_host_call}).value == [0] * 32


def test_a_recycled_window_holds_nothing_of_its_last_sandbox() -> None:
    """Fill stack and heap, close, and look from a new sandbox in the same window."""

    def act(sandbox: Sandbox) -> Any:
        module = sandbox.module
        first = Sandbox(module, imports=IMPORTS)
        base = first.base
        assert first.paint(8 << 20) == 2 * 0xA5
        first.close()
        second = Sandbox(module, imports=IMPORTS)
        return base == second.base, second.dirt_below_stack(2 << 20), second.dirt_in_heap(16 << 20)

    assert attack(hostile("registers"), act, imports=IMPORTS).value == (True, 0, 0)


def test_a_view_of_a_closed_sandbox_shows_zeros_and_never_its_successor() -> None:
    def act(sandbox: Sandbox) -> Any:
        module = sandbox.module
        first = Sandbox(module, imports=IMPORTS)
        array = first.array(4096)
        array[:] = 77
        array_view = memoryview(array)  # type: ignore[arg-type]
        view = first.memory.view(first.where_is_dump(), 64)
        assert view.readonly, "the host must not write where the sandbox's stack may be"
        base = first.base
        first.close()
        seen = int(array.sum()), bytes(view[:4])
        others = [Sandbox(module, imports=IMPORTS) for _ in range(3)]
        for other in others:
            other.paint(1 << 20)
        array[:] = 1
        array_view[:4] = b"over"
        words = [other.dump_word(0) for other in others]
        return seen, base in [other.base for other in others], words

    assert attack(hostile("registers"), act, imports=IMPORTS).value == ((0, bytes(4)), False, [0, 0, 0])


def test_no_host_data_is_below_the_stack_pointer_after_a_host_call() -> None:
    def act(sandbox: Sandbox) -> int:
        sandbox.call_raw("dump_after_host_call", sandbox.where_is_dump())
        return int(sandbox.dirt_below_stack(1 << 20))

    assert attack(hostile("registers"), act, imports={"host_nothing": busy_host_call}).value == 0
