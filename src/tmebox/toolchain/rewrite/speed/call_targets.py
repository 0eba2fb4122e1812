"""Loads that lead to the target of a call, through a register that holds the window's base.

A virtual call loads its table out of an object and its target out of the table. Where the target was not
predicted, the CPU stands still until both are there, and a base in gs makes each load longer. So

    movq %gs:(%edi), %rax                     movq %gs:BASE, %r11; movl %gs:(%edi), %eax
    movl %gs:16(%eax), %r11d     becomes      movl 16(%r11,%rax), %r11d
    testb $2, MAP(%r11)                       testb $2, MAP(%r11)

The base is there before the first load is, which would wait for it if it went that way, too. Of an address
that is loaded, 32 bits are loaded: in a sandbox it has no others, for what has others cannot be accessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from tmebox.abi import CONTROL_WINDOW_BASE, PAGE_SIZE, R15_REACH, TARGET_MAP
from tmebox.records import dataclass
from tmebox.toolchain import steps
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.analysis.liveness import resources
from tmebox.toolchain.rewrite.asm import Memory, Operand, Register, constant
from tmebox.toolchain.rewrite.replacement import lines
from tmebox.toolchain.rewrite.speed.listing import Listing, memory_of

MOST_LOADS = 4
"""Of those that lead to a target, at most so many: one more would be waited for elsewhere, too."""
FARTHEST = 24
"""Instructions from the first of them to the call."""
_BASE = f"%gs:{CONTROL_WINDOW_BASE:#x}"
_MAP = f"{TARGET_MAP:#x}"
_HOLDERS = ("r11", *(name for name in registers.NAMES_64 if name not in ("rsp", "r11")))
_NAMES_32 = frozenset(registers.NAMES_32) - {"esp"}
_WIDTHS = {"movl": 32, "movq": 64}


@dataclass(frozen=True)
class _Load:
    """`movq %gs:displacement(%address), %into`, registers by their 64-bit names. Or what comes last: a movl
    for a target, or a target's copy from `address`."""

    index: int
    displacement: str
    address: str
    into: str
    is_copy: bool = False


def with_quick_targets(listing: Listing, live: list[int], taken: set[int]) -> dict[int, str]:
    """What becomes of instructions, by index. live: see `FlowGraph.live_everywhere`. taken: those that stay,
    by index."""
    finding, changed = _Finding(listing, live, taken), dict[int, str]()
    for index in steps.watched(range(len(listing.instructions))):
        if (target := finding.target(index)) is not None:
            changed |= finding.changes(target)
    return changed


class _Finding:
    def __init__(self, listing: Listing, live: list[int], taken: set[int]) -> None:
        self._listing = listing
        self._graph = listing.graph
        self._live = live
        self._taken = taken
        self._arriving = listing.arriving()

    def target(self, index: int) -> _Load | None:
        """The load of a target, or its copy, if the map of targets is asked next."""
        load = self._copy(index) or self._load(index, "movl")
        if load is None or index + 1 == len(self._listing.instructions) or not self._follows(index + 1):
            return None
        check = self._listing.instructions[index + 1]
        memory = memory_of(check) if check.mnemonic == "testb" else None
        is_checked = memory is not None and (memory[1].base, memory[1].displacement) == (load.into, _MAP)
        return load if is_checked else None

    def changes(self, target: _Load) -> dict[int, str]:
        """Those of the loads that lead to a target; none where no register is free."""
        loads = self._leading_to(target)
        while len(loads) > 1 + target.is_copy:
            if (holder := self._holder(loads)) is not None:
                return dict(_through(holder, loads))
            loads = loads[1:]
        return {}

    def _leading_to(self, target: _Load) -> list[_Load]:
        """Loads of which each has the address from the one before, the last that of a target."""
        loads, reads = [target], 0
        place = target.index
        while target.index - place < FARTHEST and len(loads) < MOST_LOADS and self._follows(place):
            place -= 1
            flow = self._graph.flows[place]
            if place in self._taken or flow.calls or flow.target is not None:
                break  # past a branch, nothing is accessed at what was loaded
            wanted = resources(effects.mask(loads[0].address))
            if flow.writes & wanted:
                load = self._load(place, "movq")
                if load is None or load.into != loads[0].address:
                    break
                if (reads & wanted or self._lives_after(loads[0], wanted)) and not _has_32_bits(loads[0]):
                    break
                loads.insert(0, load)
                reads = 0
            else:
                reads |= flow.reads
        return loads

    def _lives_after(self, load: _Load, wanted: int) -> bool:
        """Whether a register that a load reads is needed after it."""
        after = self._graph.live_out(load.index, self._live) & ~self._graph.flows[load.index].writes
        return bool(after & wanted)

    def _holder(self, loads: list[_Load]) -> str | None:
        """A register for the base, from the first of the loads to the last."""
        used = {name for load in loads for name in (load.address, load.into)} - {loads[-1].into}
        between = range(loads[0].index, loads[-1].index)
        free = (name for name in _HOLDERS if name not in used and self._is_free(name, between))
        return next(free, None)

    def _is_free(self, name: str, indexes: range) -> bool:
        """Whether a register holds nothing before these instructions, and they do not touch it."""
        wanted = resources(effects.mask(name))
        flows = self._graph.flows
        return not any(wanted & (self._live[i] | flows[i].reads | flows[i].writes) for i in indexes)

    def _copy(self, index: int) -> _Load | None:
        instruction = self._listing.instructions[index]
        if index in self._taken or instruction.mnemonic != "movl":
            return None
        source, into = instruction.operands
        if not isinstance(source, Register) or not isinstance(into, Register):
            return None
        if not {source.name, into.name} <= _NAMES_32:
            return None
        address, copy = (registers.part(operand.name, 64) for operand in (source, into))
        return _Load(index, "", address, copy, is_copy=True)

    def _load(self, index: int, mnemonic: str) -> _Load | None:
        instruction = self._listing.instructions[index]
        if index in self._taken or instruction.mnemonic != mnemonic or len(instruction.operands) != 2:
            return None
        source, into = instruction.operands
        found = _near(source)
        if found is None or not isinstance(into, Register):
            return None
        whole = (
            registers.part(into.name, 64) if registers.WIDTH.get(into.name) == _WIDTHS[mnemonic] else "rsp"
        )
        return _Load(index, *found, whole) if whole != "rsp" else None

    def _follows(self, index: int) -> bool:
        """Whether control comes to an instruction from the one above, and from nowhere else."""
        return index not in self._arriving and self._graph.runs_into(index - 1, index)


def _through(holder: str, loads: list[_Load]) -> Iterator[tuple[int, str]]:
    first, *others = loads
    place = f"%gs:{first.displacement}(%{registers.part(first.address, 32)})"
    base = f"movq {_BASE}, %{holder}"
    yield first.index, lines(f"movl {place}, %{registers.part(first.into, 32)}", base)
    for load in others:
        if not load.is_copy:
            place = f"{load.displacement}(%{holder},%{load.address})"
            yield load.index, lines(f"movl {place}, %{registers.part(load.into, 32)}")


def _has_32_bits(load: _Load) -> bool:
    """Whether a load's address cannot have more, unless the access fails: there is nothing below the first
    page. Nor can a target have more."""
    if load.is_copy:
        return True
    displacement = constant(load.displacement) if load.displacement else 0
    return displacement is not None and 0 <= displacement < PAGE_SIZE


def _near(operand: Operand) -> tuple[str, str] | None:
    """Displacement and register of an address in gs, if that is one register and a small displacement."""
    if not isinstance(operand, Memory) or operand.segment != "gs" or operand.index is not None:
        return None
    displacement = constant(operand.displacement) if operand.displacement else 0
    if displacement is None or abs(displacement) > R15_REACH:
        return None
    if operand.base not in _NAMES_32:
        return None
    return operand.displacement, registers.part(operand.base, 64)
