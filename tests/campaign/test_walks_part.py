"""The part `walks`: it finds what a verifier forgets to ask, and its items are what it takes them to be."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from iced_x86 import Decoder, Instruction, InstructionInfoFactory, OpAccess, RegisterExt

from tests.campaign.facts_believed import MNEMONICS
from tests.campaign.one_instruction import execute
from tests.campaign.part import Tally
from tests.campaign.part_walks import PART, one_text
from tests.campaign.walk_items import BRANCHES, CALLS, ENDS, RSP, Item
from tests.campaign.walk_texts import MIXES, random_text
from tests.forked import ChildOutcome
from tmebox.verify import depth, depth_everywhere, facts_everywhere, reading
from tmebox.verify.verify import _Walk

pytestmark = pytest.mark.slow

SEED = 1
MOST_TEXTS = 800
"""In which a defect is found; a hundredth of a second each."""


def nothing(*_: Any) -> Iterator[Any]:
    return iter(())


def no_refusal(*_: Any) -> None:
    return None


def anything(_: Any, __: Any, indexes: Any) -> Any:
    return np.ones(len(indexes), bool)


def no_bits(_: Any, __: Any, ___: Any, positions: Any, ____: Any) -> Any:
    return np.zeros(len(positions), np.uint8)


DEFECTS: dict[str, tuple[Any, str, Callable[..., Any], str]] = {
    "writes through rsp": (depth.Depths, "writes", nothing, "touches a live return address"),
    "control that runs into a place": (depth.Depths, "runs", nothing, ""),
    "moves of rsp": (depth.Depths, "moves", nothing, "rsp leaves its frame"),
    "who needs a depth": (depth.Depths, "needing", nothing, ""),
    "depths behind tables": (depth_everywhere, "_through_tables", nothing, ""),
    "depths of checked jumps": (depth_everywhere.Text, "jumps", no_refusal, ""),
    "accesses": (facts_everywhere, "_ask_for_accesses", nothing, "an access at"),
    "neighbours of claims": (facts_everywhere, "_ask_for_neighbours", nothing, "an access at"),
    "branches to claims": (facts_everywhere, "_ask_for_branches", nothing, "an access at"),
    "tables that lead to claims": (facts_everywhere, "_ask_for_table_jumps", nothing, "an access at"),
    "indexes of tables": (facts_everywhere.Text, "known", no_bits, "it reads entry"),
    "branches into sequences": (_Walk, "target_refusal", no_refusal, ""),
    "the steps of sequences": (reading._Stepping, "can_be", anything, ""),
}
"""What the verifier asks about: where it does, what it does there instead, and what comes of it."""


@pytest.mark.parametrize("name", DEFECTS)
def test_it_finds_what_the_verifier_does_not_ask(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, function, instead, expected = DEFECTS[name]
    monkeypatch.setattr(place, function, instead)
    tally = Tally()
    for number in range(MOST_TEXTS):
        one_text(SEED, number, tally, Counter())
        if tally.findings:
            break
    assert tally.findings
    assert expected in tally.findings[0]
    assert f"seed {SEED}, text {number} " in tally.findings[0]


WALKED = frozenset(
    {
        *ENDS, *CALLS, *BRANCHES, "push", "pop", "move rsp", "store", "load", "truncate", "check function",
        "check label", "keep target", "compare", "compare half", "set", "load base", "move perhaps",
        "exchange and add", "access", "nop", "longjmp", "another text",
    }
)  # fmt: skip


def test_it_finds_nothing_and_walks_through_everything() -> None:
    tally, kinds = Tally(), Counter[str]()
    for number in range(240):
        one_text(SEED, number, tally, kinds)
    assert tally.findings == []
    assert tally.counts["texts accepted"] > 220
    assert tally.counts["texts of which only false claims were refused"] > 100
    assert kinds.keys() == WALKED


def test_the_same_seed_and_state_try_the_same() -> None:
    first, state = PART.run(SEED, 0.0, 17)
    again, _ = PART.run(SEED, 0.0, 17)
    assert state == 18
    assert first == again


# -- items -------------------------------------------------------------------------------------------------


def items() -> list[Item]:
    """Of many texts, each once but for where it branches."""
    found: dict[tuple[str, bytes], Item] = {}
    for number, mix in enumerate(list(MIXES) * 70):
        for item in random_text(random.Random(number), mix).items:
            found.setdefault((item.kind, item.encoding), item)
    return list(found.values())


NAMES = {
    "push": "push", "pop": "pop", "move rsp": "add sub lea", "store": "mov movups", "load": "mov",
    "nop": "nop", "stop": "hlt ud2", "return": "ret", "call": "call", "gate call": "call", "jump": "jmp",
    "gate jump": "jmp", "loop": "loop", "truncate": "mov", "check function": "test", "check label": "cmp",
    "unless found": "je jne", "call of register": "call", "jump to register": "jmp", "keep target": "mov",
    "jump to slot": "jmp", "compare": "cmp", "compare half": "cmp", "unless in bounds": "ja", "table": "jmp",
    "load base": "mov", "set": "mov movzx shr and", "move perhaps": "cmove", "exchange and add": "xadd",
    "access": "mov",
}  # fmt: skip
"""By the item's kind; a branch may be any."""


def decoded(item: Item) -> Instruction:
    return Decoder(64, item.encoding).decode()


def written(instruction: Instruction) -> set[int]:
    """General registers but rsp, by number."""
    used = InstructionInfoFactory().info(instruction).used_registers()
    reads = (OpAccess.READ, OpAccess.COND_READ, OpAccess.NONE, OpAccess.NO_MEM_ACCESS)
    changed = {one.register for one in used if one.access not in reads and RegisterExt.is_gpr(one.register)}
    return {RegisterExt.number(RegisterExt.full_register(register)) for register in changed} - {RSP}


def test_each_item_is_the_instruction_that_its_kind_says() -> None:
    found = items()
    assert {item.kind for item in found} == WALKED - {"nop", "longjmp", "another text"}
    for item in found:
        instruction = decoded(item)
        assert instruction.len == len(item.encoding), item
        name = MNEMONICS[instruction.mnemonic]
        assert item.kind == "branch" or name in NAMES[item.kind].split(), (item, name)
        if item.kind not in CALLS:
            assert written(instruction) == set(item.writes), item
            if item.kind in ("push", "pop"):
                assert instruction.stack_pointer_increment == -item.deepens, item


def test_each_item_computes_what_this_cpu_does(forked: Callable[..., ChildOutcome]) -> None:
    values = (0, 1, 0x55AA, 0x8000_0000, 0xFFFF_FFFF, 1 << 32, 0x1234_5678_9ABC_DEF0, (1 << 64) - 1)
    pure = [item for item in items() if item.kind in ("set", "truncate")]

    def run() -> list[tuple[bytes, int]]:
        wrong: list[tuple[bytes, int]] = []
        for item in pure:
            for shift in range(len(values)):
                registers = [values[(number + shift) % len(values)] for number in range(16)]
                after = execute(item.encoding, registers)[0][item.register]
                old = registers[item.register]
                source = registers[item.source] if item.source >= 0 else 0
                expected = item.compute(old, source) if item.compute else old & 0xFFFF_FFFF
                fits = item.leaves is None or after >> item.leaves == 0
                if after != expected or not fits:
                    wrong.append((item.encoding, shift))
        return wrong

    assert len(pure) > 100
    assert forked(run).result() == []
