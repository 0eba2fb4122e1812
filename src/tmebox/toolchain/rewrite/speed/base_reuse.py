"""Loads of the window's base that an earlier one makes needless.

`borrow` loads the base before each access that a loop waits for. In straight-line code the register of one
load often holds the base until the next. Then

    movq %gs:BASE, %r14; xorl 8(%r14,%rdx,4), %eax; movq %gs:BASE, %rsi; xorl 4(%rsi,%rcx,4), %eax

loses its second load, and the access goes through %r14. Ciphers look up tables many times in a row: such
loads were a third of their instructions.
"""

from __future__ import annotations

from tmebox.abi import CONTROL_WINDOW_BASE
from tmebox.records import replace
from tmebox.toolchain import steps
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.analysis.liveness import registers_of, resources
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS
from tmebox.toolchain.rewrite.replacement import lines
from tmebox.toolchain.rewrite.speed.listing import Listing, memory_of
from tmebox.toolchain.rewrite.stack import statement

_LOAD = f"movq %gs:{CONTROL_WINDOW_BASE:#x}, %"
_SEQUENCE = "leaq"
"""What follows the load in the sequence of a string instruction, which stays whole."""


def without_repeated_bases(listing: Listing, live: list[int], taken: set[int]) -> dict[int, str]:
    """What becomes of instructions, by index; "" for nothing. taken: those that are not to be touched."""
    graph, changed = listing.graph, dict[int, str]()
    arriving = listing.arriving()
    holder: str | None = None
    for index, instruction in enumerate(steps.watched(listing.instructions)):
        if index in taken or index in changed:
            holder = None if index in taken else _kept(listing, index, holder)
            continue
        if index in arriving or not graph.runs_into(index - 1, index) or graph.flows[index - 1].calls:
            holder = None
        if not (instruction.mnemonic == "movq" and (text := statement(instruction)).startswith(_LOAD)):
            holder = _kept(listing, index, holder)
            continue
        own, access = text[len(_LOAD) :], index + 1
        if access >= len(listing.instructions) or listing.instructions[access].mnemonic == _SEQUENCE:
            holder = own
        elif holder == own:
            changed[index] = ""
        elif holder is None or access in arriving or access in taken:
            holder = own
        elif (through := _through(listing, live, access, own, holder)) is not None:
            changed[index], changed[access] = "", through
        else:
            holder = own
    return changed


def _kept(listing: Listing, index: int, holder: str | None) -> str | None:
    if holder is None or registers_of(listing.graph.flows[index].writes) >> registers.NUMBER[holder] & 1:
        return None
    return holder


def _through(listing: Listing, live: list[int], access: int, own: str, holder: str) -> str | None:
    """The access through `holder`, if it went through `own`, which nothing else needs."""
    instruction, graph = listing.instructions[access], listing.graph
    found = memory_of(instruction)
    if (
        found is None
        or found[1].segment is not None
        or found[1].base != own
        or found[1].index in (own, holder)
    ):
        return None
    place, memory = found
    others = (*instruction.operands[:place], *instruction.operands[place + 1 :])
    if any(getattr(operand, "name", "") in registers.NAMES_8_HIGH for operand in others):
        return None  # beside r8 and the like they have no encoding
    rest = replace(instruction, operands=others)
    reads_own = effects.effects(rest, MNEMONICS[rest.mnemonic]).reads & effects.mask(own)
    after = graph.live_out(access, live) & ~graph.flows[access].writes
    if reads_own or after & resources(effects.mask(own)):
        return None
    operands = list(instruction.operands)
    operands[place] = replace(memory, base=holder)
    return lines(statement(replace(instruction, operands=tuple(operands))))
