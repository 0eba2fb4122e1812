"""Claims about the stack's depth: a changed one is refused or harmless, and the second opinion agrees."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.verify.changes import changeable, some, survivors_of, with_other_depths
from tests.verify.corpus import Example
from tests.verify.opinions import (
    ADDRESS,
    Text,
    disagreements,
    needs_objdump,
    objections,
)
from tests.verify.recheck import Claimed
from tmebox import abi

pytestmark = pytest.mark.slow


@needs_objdump
def test_a_changed_claim_about_the_stack_is_refused_or_harmless(
    examples: dict[Path, Example], tmp_path: Path
) -> None:
    survivors, refused = survivors_of(some(with_other_depths, changeable(examples, "gs")))
    assert len(survivors) > 50
    assert refused > 200
    problems = objections(survivors, "gs", tmp_path)
    assert not problems, "\n".join(problems[:50])


STACK_PIECES = [
    bytes.fromhex(text) for text in (
        "50",  # pushq %rax
        "58",  # popq %rax
        "48 83 ec 08",  # subq $8, %rsp
        "48 83 c4 10",  # addq $16, %rsp
        "48 8d 64 24 f8",  # leaq -8(%rsp), %rsp
        "48 89 04 24",  # movq %rax, (%rsp)
        "48 89 44 24 f8",  # movq %rax, -8(%rsp)
        "89 44 24 08",  # movl %eax, 8(%rsp)
        "0f 11 44 24 f0",  # movups %xmm0, -16(%rsp)
        "48 8b 44 24 10",  # movq 16(%rsp), %rax
        "48 87 04 24",  # xchgq %rax, (%rsp)
        "ff 34 24",  # pushq (%rsp)
        "54",  # pushq %rsp
        "48 89 e0",  # movq %rsp, %rax
        "c3",  # ret
        "c3",
        "f4",  # hlt
    )
]  # fmt: skip
"""They move rsp, write through it, and need to know where it is."""
FAR_BRANCHES = [b"\xe8", b"\xe9", b"\x0f\x84"]
"""call, jmp and je."""
LABEL_JUMP = bytes.fromhex("89 c0 80 b8") + abi.TARGET_MAP.to_bytes(4, "little") + b"%c\x75\xf5\xff\xe0"
"""movl %eax, %eax; cmpb $MARK, MAP(%rax); jne to itself; jmp *%rax"""
FUNCTION_JUMP = bytes.fromhex("89 c0 f6 80") + abi.TARGET_MAP.to_bytes(4, "little") + b"\x02\x74\xf5\xff\xe0"


@st.composite
def texts_with_depths(draw: st.DrawFn) -> Text:
    """Pieces, branches and calls between them, functions, labels, and claims, right as often as not."""
    pieces = [*STACK_PIECES, FUNCTION_JUMP, *(LABEL_JUMP % mark for mark in abi.LABEL_MARKS[:3])]
    chosen = draw(st.lists(st.integers(0, len(pieces) + 2 * len(FAR_BRANCHES) - 1), min_size=2, max_size=12))
    branches = [FAR_BRANCHES[(one - len(pieces)) // 2] if one >= len(pieces) else b"" for one in chosen]
    sizes = [
        len(branch) + 4 if branch else len(pieces[one]) for one, branch in zip(chosen, branches, strict=True)
    ]
    places = list(itertools.accumulate(sizes, initial=0))
    code = b""
    depth, right = 0, {0: 0}
    for one, branch, end in zip(chosen, branches, places[1:], strict=True):
        if branch:
            code += branch + (draw(st.sampled_from(places)) - end).to_bytes(4, "little", signed=True)
        else:
            code += pieces[one]
            depth += {0: 8, 1: -8, 2: 8, 3: -16, 4: 8, 11: 8, 12: 8}.get(one, 0)
        right[end] = max(depth, 0)
    wanted = draw(
        st.dictionaries(st.sampled_from(places), st.sampled_from([None, None, None, 0, 8, 24]), max_size=5)
    )
    depths = {place: right[place] if depth is None else depth for place, depth in wanted.items()}
    functions = [0, *draw(st.lists(st.sampled_from(places), max_size=2))]
    labels = draw(st.lists(st.sampled_from(places), max_size=2))
    return Text(
        code + b"\xf4",
        b"",
        Claimed(
            tuple(ADDRESS + place for place in functions),
            tuple(ADDRESS + place for place in labels),
            depths=tuple(sorted((ADDRESS + place, depth) for place, depth in depths.items())),
        ),
    )


@needs_objdump
def test_the_second_opinion_agrees_about_claims(tmp_path: Path) -> None:
    """On small texts that are made of nothing but what matters to the stack: neither accepts what the other
    objects to."""
    accepted_count, different = disagreements(texts_with_depths(), tmp_path)
    assert accepted_count > 50
    assert not different, "\n".join(different[:10])
