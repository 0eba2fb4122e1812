"""Loads that a loop waits for, made faster by borrowing a register for the window's base.

On many CPUs an address with a segment base takes longer (two cycles on Intel's), which matters where each
iteration of a loop needs what the one before loaded: lists, trees, tables of states. There

    movq %gs:8(%ecx), %rax   becomes   movl %ecx, %eax; movq %gs:BASE, %r11; movq 8(%r11,%rax), %rax

with registers that hold nothing needed. Neither of the new instructions has to wait for anything that the
load did not wait for already: the copy costs no time, and the base's address never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tmebox.abi import CONTROL_WINDOW_BASE, R15_REACH
from tmebox.records import dataclass, replace
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.analysis.liveness import EVERYTHING, FlowGraph, resources
from tmebox.toolchain.rewrite.asm import Instruction, Memory, Operand, Register, constant
from tmebox.toolchain.rewrite.mnemonics import Kind, Mnemonic
from tmebox.toolchain.rewrite.replacement import Load, lines
from tmebox.toolchain.rewrite.stack import statement

LONGEST_LOOP = 256
"""Instructions. What a longer loop waits for is hardly one load."""

MOST_WAITING = 16
"""Loads of a loop that wait for each other. More of them, as in a cipher with tables, are on their way at the
same time, and then the instructions more cost what the base would have cost."""

_SCRATCH = tuple(name for name in ("r11", *registers.NAMES_64) if name != "rsp")
_INDEX_BITS = 16
_NARROW = {8: "movzbl", 16: "movzwl"}


def load_of(instruction: Instruction, facts: Mnemonic) -> Load | None:
    """The load that an instruction consists of, if it can go through a borrowed register."""
    if facts.kind not in (Kind.PLAIN, Kind.MOVE) or instruction.prefixes or len(instruction.operands) < 2:
        return None
    found = [place for place, item in enumerate(instruction.operands) if isinstance(item, Memory)]
    if len(found) != 1:
        return None
    place = found[0]
    memory = instruction.operands[place]
    assert isinstance(memory, Memory)
    is_last = place == len(instruction.operands) - 1
    if is_last and not facts.is_compare:
        return None
    names = [name for name in (memory.base, memory.index) if name is not None]
    if memory.segment is not None or not names or "@" in memory.displacement:
        return None
    if any(registers.WIDTH.get(name) != 64 or name == "rsp" for name in names):
        return None
    if any(
        isinstance(item, Register) and item.name in registers.NAMES_8_HIGH for item in instruction.operands
    ):
        return None  # beside r8 and the like they have no encoding
    rest = tuple(Memory() if item is memory else item for item in instruction.operands)
    other = effects.effects(replace(instruction, operands=rest), facts)
    if other.writes == effects.ALL:
        return None
    return Load(instruction, place, memory, other.reads, other.kills)


def waited_for(graph: FlowGraph, loads: Mapping[int, Load]) -> set[int]:
    """Those of the loads, by index in the graph, whose address depends on what they loaded before."""
    found: set[int] = set()
    for start, end in graph.loops(LONGEST_LOOP):
        waiting = {
            index
            for index in range(start, end + 1)
            if index in loads and _feeds_itself(graph, index, loads[index], start, end)
        }
        if len(waiting) <= MOST_WAITING:
            found |= waiting
    return found


def _feeds_itself(graph: FlowGraph, index: int, load: Load, start: int, end: int) -> bool:
    """Whether what is loaded reaches the load's own address within the loop. As if no branch skipped code."""
    flows = graph.flows
    carried = flows[index].writes
    for place in (*range(index + 1, end + 1), *range(start, index)):
        flow = flows[place]
        carried = carried | flow.writes if flow.reads & carried else carried & ~flow.kills
    return bool(_address(load) & carried)


def _address(load: Load) -> int:
    names = (name for name in (load.memory.base, load.memory.index) if name is not None)
    return resources(effects.mask(*names))


@dataclass(frozen=True)
class Borrowed:
    """text: the load through a borrowed register. after: the instruction that it has to follow at once."""

    text: str
    after: int | None = None


CanMove = Callable[[int, int], bool]
"""Whether an instruction may as well stand right before a later one."""


def borrowed(load: Load, index: int, graph: FlowGraph, can_move: CanMove) -> Borrowed | None:
    """None if no register is free for it, or it would be no faster."""
    live = graph.live_after(index, EVERYTHING) & ~resources(load.overwritten) | resources(load.others)
    free = [name for name in _SCRATCH if not resources(effects.mask(name)) & live]
    parts = _parts(load.memory, index, graph, can_move)
    if parts is None:
        return None
    # The copy comes first, so that a register of the address may hold the base.
    offset = parts.in_place or next(
        (name for name in free if not resources(effects.mask(name)) & _address(load)), None
    )
    base = next((name for name in reversed(free) if name != offset), None)
    if offset is None or base is None:
        return None
    operands: list[Operand] = list(load.instruction.operands)
    operands[load.place] = replace(parts.rest, base=base, index=offset)
    copy = () if parts.in_place else (f"{parts.copy}, %{registers.part(offset, 32)}",)
    text = lines(
        *copy,
        f"movq %gs:{CONTROL_WINDOW_BASE:#x}, %{base}",
        statement(replace(load.instruction, operands=tuple(operands))),
    )
    return Borrowed(text, parts.after)


@dataclass(frozen=True)
class _Parts:
    """copy: what puts the address, or a part of it, into a register that is to be named. in_place: the
    register that an instruction before has put it into, `after`. rest: the operand without its registers."""

    rest: Memory
    copy: str = ""
    in_place: str | None = None
    after: int | None = None


def _parts(memory: Memory, index: int, graph: FlowGraph, can_move: CanMove) -> _Parts | None:
    """None if it takes as long to get the address into a register as a segment base takes."""
    displacement = constant(memory.displacement)
    is_near = displacement is not None and abs(displacement) <= R15_REACH
    names = [name for name in (memory.base, memory.index) if name is not None]
    bits, made = graph.bits(index, names[0])
    is_short = len(names) == 1 and (displacement is None or displacement >= 0) and bits <= _INDEX_BITS
    rest = Memory(memory.displacement, scale=memory.scale)
    if is_short and made is not None:
        if made == index - 1:
            return _Parts(rest, in_place=names[0])
        if can_move(made, index):
            return _Parts(rest, in_place=names[0], after=made)
    if memory.index is None and is_near:
        return _Parts(Memory(memory.displacement), f"movl %{registers.part(names[0], 32)}")
    if is_short:
        width = 8 if bits <= 8 else 16
        return _Parts(rest, f"{_NARROW[width]} %{registers.part(names[0], width)}")
    return None  # a `leal` takes a cycle, and a base in gs no more where the address is a sum: decision 13
