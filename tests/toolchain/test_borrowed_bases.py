"""Loads that a loop waits for go through a borrowed register; many at once do not wait for each other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tmebox.toolchain.rewrite import rewrite
from tmebox.toolchain.rewrite.analysis.liveness import FlowGraph
from tmebox.toolchain.rewrite.replacement import Load
from tmebox.toolchain.rewrite.speed.borrow import MOST_WAITING, waited_for


def waiting(monkeypatch: pytest.MonkeyPatch, *lookups: int) -> int:
    """How many loads of loops with so many lookups in a table, each the next one's index, are made faster."""
    lines = ["# clang version 19", "\t.text", "\t.type\tf,@function", "f:"]
    for loop, count in enumerate(lookups):
        lines += [f".Lloop{loop}:", *["\tmovzbl\t%al, %ecx", "\txorl\ttable(,%rcx,4), %eax"] * count]
        lines += ["\tdecl\t%esi", f"\tjne\t.Lloop{loop}"]
    lines += ["\tretq", "\t.size\tf, .-f", ""]
    found: list[int] = []

    def counted(graph: FlowGraph, loads: Mapping[int, Load]) -> set[int]:
        result = waited_for(graph, loads)
        found.append(len(result))
        return result

    monkeypatch.setattr(rewrite, "waited_for", counted)
    rewrite.rewrite("\n".join(lines), file="it.s")
    return found[0]


def test_a_few_loads_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting(monkeypatch, 1) == 1
    assert waiting(monkeypatch, MOST_WAITING) == MOST_WAITING


def test_a_loop_with_many_keeps_the_segment_base(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waiting(monkeypatch, MOST_WAITING + 1) == 0
    assert waiting(monkeypatch, MOST_WAITING + 1, 3) == 3


def loop_with(load: str, *before: str) -> str:
    """The rewritten text of a loop in which a load waits for itself."""
    lines = ["# clang version 19", "\t.text", "\t.type\tf,@function", "f:", ".Lloop:"]
    lines += [*(f"\t{line}" for line in before), f"\t{load}", "\tdecl\t%esi", "\tjne\t.Lloop", "\tretq"]
    return rewrite.rewrite("\n".join([*lines, "\t.size\tf, .-f", ""]), file="it.s")


@pytest.mark.parametrize(
    "load",
    [
        "movq\t(%rdi,%rdi), %rdi",
        "movq\t8(%rdi,%rdx), %rdi",
        "movq\t8(%rdi,%rdx,4), %rdi",
        "movq\ttable(,%rdi,8), %rdi",
        "movq\ttable(%rdi), %rdi",
    ],
)
def test_a_sum_keeps_the_segment_base(load: str) -> None:
    """A `leal` takes a cycle, and the base in gs no more than that where an address is a sum."""
    text = loop_with(load)
    assert text.count("%gs:") == 1 and "leal" not in text


@pytest.mark.parametrize(
    "before, copy",
    [
        ((), "movl\t%edi, %r11d"),
        (("movzbl\t%dil, %edi", "nop"), None),
    ],
)
def test_one_register_costs_no_cycle(before: tuple[str, ...], copy: str | None) -> None:
    """It is used where it is, or copied: extending it takes a cycle."""
    text = loop_with("movq\t8(%rdi), %rdi", *before)
    assert "8(%r1" in text and text.count("movzbl") == len([line for line in before if "movzbl" in line])
    assert copy is None or copy in text
