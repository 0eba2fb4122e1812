"""Loads that lead to the target of a call."""

from __future__ import annotations

from pathlib import Path

import pytest

import tmebox
from tmebox.abi import CONTROL_WINDOW_BASE, R15_REACH, TARGET_MAP
from tmebox.toolchain.build import CompileOptions, build
from tmebox.toolchain.rewrite.speed.call_targets import with_quick_targets
from tmebox.toolchain.rewrite.speed.listing import read

BASE = f"movq %gs:{CONTROL_WINDOW_BASE:#x}, %"
CHECK = (f"testb $2, {TARGET_MAP:#x}(%r11)", "je .Ltrap", "callq *%r11")
TABLE = "movq %gs:(%edi), %rax"
TARGET = "movl %gs:16(%eax), %r11d"
QUICK = {0: f"movl %gs:(%edi), %eax; {BASE}r11", 1: "movl 16(%r11,%rax), %r11d"}


def changes(*code: str, taken: frozenset[int] = frozenset()) -> dict[int, str]:
    text = "\n".join(
        ["\t.text", "\t.type\tf,@function", "f:", *map(written, code), "\tretq", ".Ltrap:", "\thlt"]
    )
    listing = read(text + "\n\t.size\tf, .-f\n")
    assert listing is not None
    found = with_quick_targets(listing, listing.graph.live_everywhere(), set(taken))
    return {
        index: "; ".join(map(str.strip, text.strip().split("\n"))).replace("\t", " ")
        for index, text in found.items()
    }


def written(statement: str) -> str:
    return statement if statement.endswith(":") else "\t" + statement.replace(" ", "\t", 1)


CASES: dict[str, tuple[tuple[str, ...], dict[int, str]]] = {
    "a table of an object": ((TABLE, TARGET, *CHECK), QUICK),
    "an object of an object": (
        ("movq %gs:8(%edi), %rdi", TABLE, TARGET, *CHECK),
        {
            0: f"movl %gs:8(%edi), %edi; {BASE}r11",
            1: "movl (%r11,%rdi), %eax",
            2: "movl 16(%r11,%rax), %r11d",
        },
    ),
    "other instructions between": (
        (TABLE, "movq %rbx, %rsi", TARGET, *CHECK),
        {0: QUICK[0], 2: QUICK[1]},
    ),
    "a target that is copied": (
        (TABLE, "movq %gs:16(%eax), %rax", "movl %eax, %r11d", *CHECK),
        {0: QUICK[0], 1: "movl 16(%r11,%rax), %eax"},
    ),
    "a table that is needed afterwards": (
        ("movq %gs:(%edi), %rbx", "movl %gs:16(%ebx), %r11d", *CHECK, "movq %rbx, %rax"),
        {0: f"movl %gs:(%edi), %ebx; {BASE}r11", 1: "movl 16(%r11,%rbx), %r11d"},
    ),
    "no register for the base: r11 is the table's, and others may hold something": (
        ("movq %gs:(%edi), %r11", "movl %gs:16(%r11d), %r11d", *CHECK),
        {},
    ),
    "one load": ((TARGET, *CHECK), {}),
    "no check": ((TABLE, TARGET, "movq %r11, %rsi"), {}),
    "the check of another register": ((TABLE, "movl %gs:16(%eax), %r10d", *CHECK), {}),
    "a branch between": ((TABLE, "testq %rax, %rax", "je .Ltrap", TARGET, *CHECK), {}),
    "an arrival between": (("jmp .La", ".Lb:", TABLE, ".La:", TARGET, *CHECK, "jmp .Lb"), {}),
    "an arrival at a number between": ((TABLE, "1:", TARGET, *CHECK), {}),
    "a call between": ((TABLE, "callq g", TARGET, *CHECK), {}),
    "half of the table's address is something else": (
        ("movq %gs:(%edi), %rbx", "movl %gs:-16(%ebx), %r11d", *CHECK, "movq %rbx, %rax"),
        {},
    ),
    "as far as the first page": (
        ("movq %gs:(%edi), %rbx", "movl %gs:4096(%ebx), %r11d", *CHECK, "movq %rbx, %rax"),
        {},
    ),
    "an address without an end": ((TABLE, "movl %gs:table(%eax), %r11d", *CHECK), {}),
    "an address too far away": ((TABLE, f"movl %gs:{R15_REACH + 8}(%eax), %r11d", *CHECK), {}),
    "a table that is computed": (("movq %gs:(%edi), %rax", "addq $8, %rax", TARGET, *CHECK), {}),
    "an index": (("movq %gs:(%edi,%esi,8), %rax", TARGET, *CHECK), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_loads_that_lead_to_a_target_go_through_a_register(case: str) -> None:
    code, expected = CASES[case]
    assert changes(*code) == expected


def test_a_base_takes_a_register_that_holds_nothing() -> None:
    """r11 is an argument of a `preserve_none` function: it is kept, and rbx is free in what follows."""
    kept = ("movq %rsi, %r11", TABLE, "movl %gs:16(%eax), %r10d", f"testb $2, {TARGET_MAP:#x}(%r10)")
    found = changes(*kept, "je .Ltrap", "movq %r11, %rbx", "callq *%r10", "movq %rbx, %rax")
    assert found[1] == f"movl %gs:(%edi), %eax; {BASE}rbx"
    assert found[2] == "movl 16(%rbx,%rax), %r10d"


def test_what_is_taken_stays() -> None:
    assert changes(TABLE, TARGET, *CHECK, taken=frozenset([0])) == {}
    assert changes(TABLE, TARGET, *CHECK, taken=frozenset([1])) == {}


OBJECTS = """
struct kind { unsigned long (*first)(void *), (*second)(void *); };
struct object { const struct kind *kind; struct object *next; unsigned long value; };
static unsigned long own(void *self) { return ((struct object *)self)->value; }
static unsigned long sum(void *self)
{
	struct object *object = self;
	return object->value + (object->next ? object->next->kind->second(object->next) : 0);
}
static const struct kind plain = {own, own}, adding = {sum, sum};
unsigned long all(unsigned count)
{
	struct object objects[16] = {0};
	for (unsigned i = 0; i < 16; i++) {
		objects[i].kind = i % 3 ? &adding : &plain;
		objects[i].value = (1ul << 40) + i;
		objects[i].next = i + 1 < 16 ? &objects[i + 1] : 0;
	}
	unsigned long total = 0;
	for (unsigned i = 0; i < count; i++) total += objects[i % 16].kind->first(&objects[i % 16]);
	return total;
}
__attribute__((noinline)) static unsigned long call(struct object *object)
{
	return object->next->kind->first(object->next);
}
unsigned long at(unsigned long address, int depth)
{
	struct object last = {(struct kind *)address}, one = {0, depth ? &last : (struct object *)address};
	return call(depth > 1 ? (struct object *)address : &one);
}
"""


def sandbox(folder: Path) -> tmebox.Sandbox:
    source = folder / "objects.c"
    source.write_text(OBJECTS)
    return tmebox.Sandbox(
        tmebox.Module(build([source], CompileOptions(optimize="-O2", exports=("all", "at"))))
    )


def test_calls_through_tables_give_the_same_results(tmp_path: Path) -> None:
    def sum_of(i: int) -> int:
        own = (1 << 40) + i
        return own + sum_of(i + 1) if i % 3 and i + 1 < 16 else own

    with sandbox(tmp_path) as box:
        assert box.all(64) == 4 * sum(map(sum_of, range(16)))


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("address", [0, 8, (1 << 32) - 8, (1 << 32) - 4])
def test_addresses_at_the_edges_of_the_window_are_traps(address: int, depth: int, tmp_path: Path) -> None:
    """Of the object, of the next one, of its table."""
    with sandbox(tmp_path) as box, pytest.raises(tmebox.Trap):
        box.at(address, depth)
