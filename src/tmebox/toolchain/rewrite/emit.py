"""Placing replacements one after the other: what depends on the neighbours.

Stack discipline: rsp adjustments are pending until an anchor; where none comes in time, a probe is put right
after the adjustment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set

from tmebox.abi import RESERVED, SPILL_REGISTER, STACK_REACH, TARGET_FUNCTION, TARGET_SHIFTS
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.analysis.liveness import EVERYTHING, R11_BIT, FlowGraph, resources
from tmebox.toolchain.rewrite.control import (
    TRAP,
    checked_branch,
    checked_jump_keeping,
    checked_return,
    unchecked_branch,
)
from tmebox.toolchain.rewrite.depths import to_label
from tmebox.toolchain.rewrite.failed_checks import Traps, trap
from tmebox.toolchain.rewrite.flags import carried
from tmebox.toolchain.rewrite.mnemonics import FLAGS
from tmebox.toolchain.rewrite.replacement import LOCAL_LABEL, Refusal, Replacement, Shape, lines, spilled
from tmebox.toolchain.rewrite.speed.borrow import borrowed
from tmebox.toolchain.rewrite.speed.jump_tables import (
    can_have,
    checked_table_jump,
    is_compared,
    masked_table_jump,
    placed,
    table_jump,
)

_PROBE = lines("cmpl %eax, (%rsp)")
_PROBE_KEEPING_FLAGS = lines(f"movq %rax, {SPILL_REGISTER}(%rsp)")
LABEL_PREFIX = ".Ltmebox"
_NOT_CONSTANT = "moves the stack pointer by what is not a constant"
FLAGS_OVER_JUMP = "an indirect jump while the flags are in use"
"""A refusal that clang's code can avoid: without jump tables it has no such jumps."""
FULL_RED_ZONE = "an indirect jump with no register free, in a function that fills its red zone"
"""Another: compiled with -mno-red-zone it has none."""
_NEAR = 8
"""Texts among which the last two instructions are, if only source places and labels are between them."""
_TARGET_SLOT = regex(r"-(?:12[1-8]|0x7[9a-fA-F]|0x80)\(%rsp")
"""Where a checked target is kept for such a jump: SPILL_TARGET, of 8 bytes. Nothing wide begins below it."""


class Emitter:
    """Feed it a file's text and replacements in order, then take `text()`."""

    def __init__(self, graph: FlowGraph, isolation: str, base: str, *, has_depth: bool = False) -> None:
        self._graph = graph
        self._shift = TARGET_SHIFTS[base]
        self._scratch = [
            name for name in registers.NAMES_64 if name != "rsp" and (base != "r15" or name not in RESERVED)
        ]
        self._has_depth = has_depth
        """The stack is the control stack: it needs no probes, and returns no checks."""
        self._is_checked = isolation == "code+data"
        self._out: list[str] = []
        self._pending = 0
        self._adjusted = (0, 0)
        self._traps = Traps()
        self._labels = 0
        self._keeps_targets = self._fills_red_zone = False
        """Of the function so far."""
        self._ends_in_call = False
        self._waited_for: Set[int] = frozenset()
        self._tables: Mapping[str, tuple[str, ...]] = {}
        self._groups: Callable[[str], str] = str
        self._placed: dict[str, str] = {}
        """The tables that jumps go through, and what they are called behind the text."""
        self._filled: dict[str, tuple[int, str]] = {}
        """Those that have more entries than their own: how many, and the trap that the others lead to."""
        self._movable: dict[int, int] = {}
        """Instructions that were placed as they are, by their index in the graph, and where their text is."""
        self._compare: int | None = None
        """Where the instruction before this one stands, if a rebase may go before it."""

    def hurry(self, loads: Set[int]) -> None:
        """Loads, by their index in the graph, to make faster at the price of more instructions."""
        self._waited_for = loads

    def use_tables(self, tables: Mapping[str, tuple[str, ...]], group: Callable[[str], str]) -> None:
        """Tables that jumps may go through: their labels, in order. `group`: of a table, see `JumpTables`."""
        self._tables, self._groups = tables, group

    def verbatim(self, text: str) -> None:
        if not text.startswith("\t.loc\t"):
            self._compare = None
        self._out.append(text)

    def change_section(self, text: str) -> None:
        self._resolve_traps()
        self._out.append(text)

    def end_function(self, text: str) -> None:
        """A `.size`: a function that ends in a call does not expect it to return."""
        self._stop_after_call()
        self._keeps_targets = self._fills_red_zone = False
        self._out.append(text)

    def text(self) -> str:
        self._stop_after_call()
        self._resolve_traps()
        tables = (
            placed(number, label, self._entries(name), self._groups(name))
            for number, (name, label) in enumerate(self._placed.items())
        )
        return "\n".join([*filter(None, self._out), *tables])

    def instruction(self, replacement: Replacement, index: int, mask: int) -> None:
        """`index`: in the flow graph; `mask`: what an indirect jump may reach. Raises Refusal."""
        shape = replacement.shape
        self._ends_in_call = shape is Shape.CALL
        if _TARGET_SLOT.search(replacement.text):
            self._fills_red_zone = True
            self._separate_targets()
        if shape is Shape.PLAIN and replacement.is_fixed:
            if self._pending and replacement.anchor:
                self._pending = 0
            elif self._pending and not replacement.flow.falls_through:
                self._probe()
            self._compare = len(self._out) if replacement.is_compare else None
            if replacement.load is not None and index in self._waited_for:
                self._load_hurriedly(replacement, index)
            else:
                self._movable[index] = len(self._out)
                self._out.append(replacement.text)
        else:
            if shape not in (Shape.REBASE, Shape.CHECKED):
                self._compare = None
            _PLACE[shape](self, replacement, index, mask)
        if not replacement.flow.falls_through:
            self._traps.possible.append(len(self._out))
            self._out.append("")

    def _load_hurriedly(self, replacement: Replacement, index: int) -> None:
        assert replacement.load is not None
        loaded = borrowed(replacement.load, index, self._graph, self._can_move)
        if loaded is not None and loaded.after is not None:
            place = self._movable.pop(loaded.after)
            self._out.append(self._out[place])
            self._out[place] = ""
        self._out.append(replacement.text if loaded is None else loaded.text)

    def _can_move(self, index: int, to: int) -> bool:
        """It works on registers only, and nothing from there on has needed a register that is not named."""
        if not all(place in self._movable for place in range(index, to)):
            return False
        text = self._out[self._movable[index]]
        return "(" not in text and ":" not in text and self._graph.can_move_down(index, to)

    # -- by shape --

    def _plain(self, replacement: Replacement, index: int, mask: int) -> None:
        text = replacement.text
        if replacement.clobbers_flags:
            self._settle()
            if self._graph.live_after(index) & FLAGS:
                raise Refusal("calls a function while the flags are in use")
        if LOCAL_LABEL in text:
            self._settle()
            text = self._with_label(text)
        if self._graph.live_after(index) & R11_BIT and "%r11" in text:
            if not replacement.can_spill:
                raise Refusal("needs r11, which is in use here")
            text = spilled(text, "r11")
            self._pending = 0
        if replacement.anchor:
            self._pending = 0
        self._out.append(text)

    def _adjust(self, replacement: Replacement, index: int, mask: int) -> None:
        if self._has_depth:
            if replacement.text.startswith("\tand"):
                raise Refusal(_NOT_CONSTANT)
            self._out.append(replacement.text)
            return
        if self._pending + replacement.reach > STACK_REACH:
            self._probe()
        self._pending += replacement.reach
        self._out.append(replacement.text)
        self._adjusted = (len(self._out), index)
        self._out.append("")

    def _rebase(self, replacement: Replacement, index: int, mask: int) -> None:
        if self._has_depth and replacement.constant:
            self._out.append(lines(replacement.constant))
            return
        if self._has_depth:
            raise Refusal(_NOT_CONSTANT)
        compare, self._compare = self._compare, None
        live = self._graph.live_after(index)
        if live & R11_BIT and replacement.scratch:
            raise Refusal("moves the stack pointer through r11, which is in use here")
        self._settle()
        text = self._with_label(replacement.text)
        if not live & FLAGS:
            self._out.append(text)
        elif compare is not None and not replacement.scratch:
            self._out[compare] = f"{text}\n{self._out[compare]}"
        else:
            self._out.append(self._keeping_condition(replacement, index, text))

    def _behind_check(self, replacement: Replacement, index: int, mask: int) -> None:
        compare, self._compare = self._compare, None
        self._settle()
        check = self._with_label(replacement.before)
        if not self._graph.live_after(index) & FLAGS:
            self._out.append(check)
        elif compare is not None:
            self._out[compare] = f"{check}\n{self._out[compare]}"
        else:
            self._out.append(self._keeping_condition(replacement, index, check))
        self._out.append(replacement.text)

    def _with_label(self, text: str) -> str:
        return text.replace(LOCAL_LABEL, self._new_label()) if LOCAL_LABEL in text else text

    def _keeping_condition(self, replacement: Replacement, index: int, text: str) -> str:
        conditions = self._graph.conditions_after(index)
        around = carried(conditions) if conditions else None
        needs_r11 = replacement.scratch or (replacement.flow.reads | self._graph.live_after(index)) & R11_BIT
        if around is None or needs_r11:
            raise Refusal("moves a stack pointer while the flags are in use")
        return f"{lines(around[0])}\n{text}\n{lines(around[1])}"

    def _branch(self, replacement: Replacement, index: int, mask: int) -> None:
        self._settle()
        self._out.append(replacement.text)

    def _call(self, replacement: Replacement, index: int, mask: int) -> None:
        self._pending = 0
        self._out.append(replacement.text)

    def _return(self, replacement: Replacement, index: int, mask: int) -> None:
        self._pending = 0
        if not self._is_checked or self._has_depth:
            self._out.append(lines("retq"))
            return
        label = self._new_label()
        self._out.append(checked_return(self._shift).replace(TRAP, label))
        self._place_trap(label)

    def _indirect(self, replacement: Replacement, index: int, mask: int) -> None:
        if replacement.anchor:
            self._pending = 0
        is_call = replacement.text == "callq"
        if not self._is_checked:
            if not is_call:
                self._settle()
            self._pending = 0
            self._put_before(replacement)
            self._out.append(unchecked_branch(replacement.text, replacement))
            self._ends_in_call = is_call
            return
        self._settle()
        if replacement.through is not None and replacement.through[0] in self._tables:
            self._through_table(*replacement.through, index)
            return
        self._put_before(replacement)
        self._traps.wanted.append(len(self._out))
        self._out.append(self._checked(replacement, index, mask << self._shift, is_call))
        if is_call:
            self._traps.beside[len(self._out) - 1] = len(self._out)
            self._out.append("")
            self._ends_in_call = True

    def _through_table(self, name: str, register: str, index: int) -> None:
        label = self._placed.setdefault(name, f"{LABEL_PREFIX}_table{len(self._placed)}")
        targets = self._tables[name]
        alone = self._graph.comes_from_above(index) and self._graph.comes_from_above(index - 1)
        if alone and is_compared(self._out[-_NEAR:], register, len(targets)):
            self._out.append(table_jump(label, register))
            return
        bits, _ = self._graph.bits(index, register)
        if self._has_depth and can_have(1 << bits, targets):
            self._out.append(table_jump(label, register))
            self._fill_up(name, 1 << bits)
            return
        if self._graph.live_after(index, FLAGS):
            raise Refusal(FLAGS_OVER_JUMP)
        bits = (len(targets) - 1).bit_length()
        if self._has_depth:
            self._out.append(masked_table_jump(label, register, bits))
            self._fill_up(name, 1 << bits)
            return
        self._traps.wanted.append(len(self._out))
        self._out.append(checked_table_jump(label, register, len(targets), TRAP))

    def _fill_up(self, name: str, entries: int) -> None:
        """A jump reads so many entries of a table. Those that are not its own lead to a trap behind it."""
        known, outside = self._filled.get(name, (0, ""))
        if entries > len(self._tables[name]) and not outside:
            outside = self._new_label()
            self._place_trap(outside)
        self._filled[name] = max(known, entries), outside

    def _entries(self, name: str) -> list[str]:
        targets = self._tables[name]
        entries, outside = self._filled.get(name, (0, ""))
        return [*targets, *[outside] * (entries - len(targets))]

    def _put_before(self, replacement: Replacement) -> None:
        if replacement.before:
            self._out.append(replacement.before)

    def _checked(self, replacement: Replacement, index: int, mask: int, is_call: bool) -> str:
        in_r11 = replacement.register == "r11" or "%r11" in replacement.operand  # the target, or its address
        passed = 0 if in_r11 else self._graph.flows[index].reads & R11_BIT
        if (
            is_call and passed
        ):  # no convention has an argument in r10 as well, but the one for nested functions
            return self._branch_checked(replacement, "r10", mask)
        live = passed if is_call else passed | self._graph.live_after(index, EVERYTHING)
        if live & FLAGS:
            raise Refusal(FLAGS_OVER_JUMP)
        if not live & R11_BIT:
            return self._branch_checked(replacement, "r11", mask)
        if replacement.register is not None:
            return self._branch_checked(replacement, replacement.register, mask)
        used = re.findall(r"%\w+", replacement.operand)
        free = next((name for name in self._scratch if not live & resources(effects.mask(name))), None)
        if free is not None:
            return self._branch_checked(replacement, free, mask)
        # A register that the address is made of: what comes next hardly waits for its value.
        kept = next((name for name in self._scratch if f"%{registers.part(name, 32)}" in used), "r11")
        self._keeps_targets = True
        self._separate_targets()
        text = checked_jump_keeping(kept, replacement.operand, mask)
        return text if mask == TARGET_FUNCTION or not self._has_depth else to_label(text, mask, kept)

    def _separate_targets(self) -> None:
        if self._keeps_targets and self._fills_red_zone:
            raise Refusal(f"{FULL_RED_ZONE}: it can be compiled with -mno-red-zone")

    def _branch_checked(self, replacement: Replacement, register: str, mask: int) -> str:
        text = checked_branch(replacement.text, replacement.operand, register, mask)
        return text if mask == TARGET_FUNCTION or not self._has_depth else to_label(text, mask, register)

    # -- stack --

    def _settle(self) -> None:
        if self._pending:
            self._probe()

    def _probe(self) -> None:
        position, index = self._adjusted
        live = self._graph.live_after(index) & FLAGS
        self._out[position] = _PROBE_KEEPING_FLAGS if live else _PROBE
        self._pending = 0

    # -- traps --

    def _stop_after_call(self) -> None:
        if self._ends_in_call:
            self._place_trap(self._new_label())
            self._ends_in_call = False

    def _place_trap(self, label: str) -> None:
        self._traps.add(len(self._out), label)
        self._out.append(trap(label))

    def _new_label(self) -> str:
        self._labels += 1
        return f"{LABEL_PREFIX}{self._labels}"

    def _resolve_traps(self) -> None:
        self._traps.resolve(self._out, self._new_label)
        self._traps = Traps()


_PLACE = {
    Shape.PLAIN: Emitter._plain,
    Shape.ADJUST: Emitter._adjust,
    Shape.REBASE: Emitter._rebase,
    Shape.BRANCH: Emitter._branch,
    Shape.CALL: Emitter._call,
    Shape.RETURN: Emitter._return,
    Shape.INDIRECT: Emitter._indirect,
    Shape.CHECKED: Emitter._behind_check,
}
