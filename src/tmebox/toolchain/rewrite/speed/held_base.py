"""Loops that hold the window's base in a register which nothing else needs there.

On Intel's CPUs a segment base that is not 0 makes a load two cycles longer, and lets the CPU do one store a
cycle instead of two. Where a register is free all over a loop, the base is loaded before it, and accesses
become

    movl %eax, %gs:COUNT        →   movl %eax, COUNT(%r11)
    movq %gs:8(%ecx), %rax      →   movq 8(%r11,%rcx), %rax     where rcx is known to have 32 bits
    movq %gs:BASE, %rdx; movq 8(%rdx,%rax), %rax  →  movq 8(%r11,%rax), %rax   (see `borrow`)

What is known at labels goes into a list of claims, for the verifier: docs/design.md, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from tmebox.abi import CONTROL_WINDOW_BASE, HOLDS_BASE, R15_REACH
from tmebox.records import dataclass, field, replace
from tmebox.toolchain import steps
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.analysis import effects
from tmebox.toolchain.rewrite.analysis.liveness import registers_of, resources
from tmebox.toolchain.rewrite.analysis.register_facts import UNKNOWN, made
from tmebox.toolchain.rewrite.asm import Instruction, Memory, constant
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS
from tmebox.toolchain.rewrite.replacement import lines
from tmebox.toolchain.rewrite.speed.base_reuse import without_repeated_bases
from tmebox.toolchain.rewrite.speed.call_targets import with_quick_targets
from tmebox.toolchain.rewrite.speed.listing import Listing, memory_of
from tmebox.toolchain.rewrite.stack import statement
from tmebox.toolchain.sections import fact_claims

LONGEST = 256
"""Instructions of a loop, at most."""
_MOST_WAYS, _FEW_WAYS = 16, 10_000
"""From a file's jumps through tables: for each instruction, and in any case."""
_MOST_ENTERING = 256
"""Ways into a loop."""
_BASE = f"{CONTROL_WINDOW_BASE:#x}"
_HOLDERS = tuple(name for name in ("r11", *reversed(registers.NAMES_64)) if name != "rsp")
_BELOW_BITS = 31
_LOAD = f"movq %gs:{_BASE}, %"
_OTHERS = ("call", "jmp", "push", "pop", "prefetch", "bt")
"""Beginnings of mnemonics that do more than access their operand, or less."""
WORTHWHILE = 2
"""What is to be won in a loop: 1 for an access, 2 for a store or for a load that the loop waits for."""
_Bits = tuple[int, ...]
_NOTHING: _Bits = (UNKNOWN,) * 16


def with_held_bases(listing: Listing) -> tuple[str, list[str]]:
    """`listing`: instrumented assembly of a compiler, with the base in gs. Returns its text, and the labels
    that it claims something of."""
    holding = _Holding(listing)
    for start, end in holding.loops():
        steps.look()
        holding.try_loop(start, end)
    holding.reuse()
    return holding.text()


@dataclass(frozen=True)
class _Entering:
    """A way into a loop. source: the instruction outside, which branches to the target or is right above."""

    source: int
    target: int
    branches: bool


@dataclass
class _Region:
    """Instructions start to end. sources: an instruction → those within that branch to it."""

    start: int
    end: int
    entering: list[_Entering] = field(default_factory=list)
    sources: dict[int, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Load:
    """Where a load of the base goes: a line, and whether after it. passing: what it is put before."""

    place: tuple[int, bool]
    passing: range


@dataclass(frozen=True)
class _Change:
    """needs: registers that something must be known of. gain: how much is won, roughly."""

    text: str
    needs: frozenset[int]
    gain: int


class _Holding:
    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._graph = listing.graph
        self._instructions = listing.instructions
        self._live = listing.graph.live_everywhere()
        self._changed: dict[int, str] = {}
        self._added: dict[tuple[int, bool], tuple[str, ...]] = {}
        """Line, whether after it, and what."""
        self._claims: dict[tuple[int, int], int] = {}
        self._taken: set[int] = set()
        """Instructions in loops that hold the base already."""
        self._labels: dict[int, list[str]] = {}
        for name, index in listing.labels.items():
            self._labels.setdefault(index, []).append(name)
        self._branching: dict[int, list[int]] = {}
        if self._ways() > _MOST_WAYS * len(self._instructions) + _FEW_WAYS:
            return  # what branches is not known then, and there are no loops
        for index, flow in enumerate(self._graph.flows[: len(self._instructions)]):
            if flow.target is not None and (target := self._graph.resolve(flow.target, index)) is not None:
                self._branching.setdefault(target, []).append(index)
            for name in listing.tables.get(listing.through.get(index, ""), ()):
                if name in listing.labels:
                    self._branching.setdefault(listing.labels[name], []).append(index)

    def _ways(self) -> int:
        """From jumps through tables to labels: many jumps through one table have their product."""
        listing = self._listing
        return sum(len(listing.tables.get(name, ())) for name in listing.through.values())

    def text(self) -> tuple[str, list[str]]:
        listing = self._listing
        out = list(listing.lines)
        for index, text in self._changed.items():
            out[listing.places[index]] = text
        for (place, is_after), texts in self._added.items():
            parts = [out[place], *texts] if is_after else [*texts, out[place]]
            out[place] = "\n".join(filter(None, parts))
        # Of several labels before an instruction, padding may stand between some.
        arrivals = listing.graph.arrivals() | {name for labels in listing.tables.values() for name in labels}
        named = [
            (name, register << 8 | fact)
            for (index, register), fact in sorted(self._claims.items())
            for name in self._labels[index]
            if name in arrivals
        ]
        text = "\n".join(line for line in out if line) + "\n"
        return text + fact_claims(named) if named else text, [name for name, _ in named]

    def loops(self) -> list[tuple[int, int]]:
        """First and last instruction of each, the longest first: from where branches and jumps through tables
        lead back to the last one that does."""
        ends: dict[int, int] = {}
        for index in range(len(self._instructions) if self._branching else 0):
            for target in self._targets(index):
                if index - LONGEST < target <= index:
                    ends[target] = index
        return sorted(ends.items(), key=lambda loop: loop[0] - loop[1])

    def try_loop(self, start: int, end: int) -> None:
        if start in self._taken or end in self._taken:
            return
        region = self._region(start, end)
        if region is None:
            return
        known = self._known(region)
        for holder in _HOLDERS:
            if not self._busy(range(start, end + 1)) & resources(effects.mask(holder)):
                self._try_holder(region, known, holder)
                return

    def _try_holder(self, region: _Region, known: dict[int, _Bits], holder: str) -> None:
        changes = dict(self._changes(region, holder, known))
        if sum(change.gain for change in changes.values()) < WORTHWHILE:
            return
        wanted = self._wanted(region, changes)
        number = registers.NUMBER[holder]
        loads = [self._place_of_load(way) for way in region.entering if number in wanted.get(way.target, ())]
        if any(self._busy(load.passing) & resources(effects.mask(holder)) for load in loads):
            return
        text = lines(f"movq %gs:{_BASE}, %{holder}")
        if any({*self._added.get(load.place, ())} - {text} for load in loads):
            return
        self._taken.update(range(region.start, region.end + 1))
        self._changed.update({index: change.text for index, change in changes.items()})
        for load in loads:
            self._added[load.place] = (text,)
        for index, needed in wanted.items():
            for register in needed if self._branching.get(index) else ():
                fact = HOLDS_BASE if register == number else known[index][register]
                self._claims[index, register] = fact

    def reuse(self) -> None:
        """Outside of the loops that hold it: where targets of calls are loaded, and where straight-line code
        can use a base that is there already."""
        for improving in (with_quick_targets, without_repeated_bases):
            busy = self._taken | self._changed.keys()
            self._changed.update(improving(self._listing, self._live, busy))

    # -- the loop --

    def _region(self, start: int, end: int) -> _Region | None:
        """None if control may come into it from where nothing is known."""
        region = _Region(start, end)
        for index in range(start, end + 1):
            names = self._labels.get(index, ())
            if any(not name.startswith(".") or name in self._listing.open for name in names):
                return None
            is_elsewhere = self._graph.function_at(start) != self._graph.function_at(index)
            if is_elsewhere or self._graph.flows[index].calls:
                return None
            for source in self._branching.get(index, ()):
                if start <= source <= end:
                    region.sources.setdefault(index, []).append(source)
                else:
                    region.entering.append(_Entering(source, index, branches=True))
            if len(region.entering) > _MOST_ENTERING:
                return None
        if self._graph.runs_into(start - 1, start):
            region.entering.append(_Entering(start - 1, start, branches=False))
        return region

    def _place_of_load(self, way: _Entering) -> _Load:
        """Between two instructions; or else before the branch, and not between a jump through a table and the
        comparison that bounds its index."""
        if not way.branches:
            return _Load((self._listing.places[way.source], True), range(0))
        before = next((before for before in (2, 1) if self._is_bounded_jump(way.source - before)), 0)
        first = way.source - before
        return _Load((self._listing.places[first], False), range(first, way.source + 1))

    def _is_bounded_jump(self, first: int) -> bool:
        """Whether a comparison stands there, its branch behind it, and behind that the jump: perhaps one that
        the comparison bounds."""
        if first < 0 or first + 2 not in self._listing.through:
            return False
        compare, branch = self._instructions[first : first + 2]
        alone = self._branching.keys().isdisjoint((first + 1, first + 2))
        return compare.mnemonic in ("cmpl", "cmpq") and branch.mnemonic == "ja" and alone

    def _busy(self, indexes: range) -> int:
        """Resources that hold something there, or get it."""
        busy = 0
        for index in indexes:
            flow = self._graph.flows[index]
            busy |= self._live[index] | flow.reads | flow.writes | self._graph.live_out(index, self._live)
        return busy

    # -- what is known --

    def _known(self, region: _Region) -> dict[int, _Bits]:
        """The bits of registers before each instruction of the loop, on every way there."""
        joined: dict[int, _Bits] = {}
        for way in region.entering:
            _join(joined, way.target, self._known_after(way.source))
        while True:
            known, changed = dict[int, _Bits](), False
            current: _Bits | None = None
            for index in range(region.start, region.end + 1):
                if index in region.sources or index in joined:
                    if current is not None:
                        changed |= _join(joined, index, current)
                    current = joined.get(index)
                if current is None:
                    continue
                known[index] = current
                current = self._after(index, current)
                for target in self._targets(index):
                    if region.start <= target <= region.end:
                        changed |= _join(joined, target, current)
                if not self._graph.runs_into(index, index + 1):
                    current = None
            if not changed:
                return known

    def _targets(self, index: int) -> Iterator[int]:
        flow = self._graph.flows[index]
        if flow.target is not None and (target := self._graph.resolve(flow.target, index)) is not None:
            yield target
        for name in self._listing.tables.get(self._listing.through.get(index, ""), ()):
            if name in self._listing.labels:
                yield self._listing.labels[name]

    def _known_after(self, index: int) -> _Bits:
        """By the straight-line code that ends there."""
        first = index
        while first > 0 and index - first < LONGEST and first not in self._labels:
            if not self._graph.runs_into(first - 1, first) or self._graph.flows[first - 1].calls:
                break
            first -= 1
        known = _NOTHING
        for place in range(first, index + 1):
            known = self._after(place, known)
        return known

    def _after(self, index: int, known: _Bits) -> _Bits:
        written = registers_of(self._graph.flows[index].writes)
        if not written:
            return known
        found = made(self._instructions[index])
        bits = [UNKNOWN if written >> number & 1 else old for number, old in enumerate(known)]
        if found is not None:
            bits[found[0]] = found[1]
        return tuple(bits)

    # -- what becomes of accesses --

    def _changes(
        self, region: _Region, holder: str, known: dict[int, _Bits]
    ) -> Iterator[tuple[int, _Change]]:
        index = region.start
        while index <= region.end:
            if index in known:
                through = self._through_own_load(region, index, holder, known)
                if through is not None:
                    yield index, _Change("", frozenset(), 0)
                    index += 1
                else:
                    through = _through_gs(self._instructions[index], holder, known[index])
                if through is not None:
                    yield index, through
            index += 1

    def _through_own_load(
        self, region: _Region, index: int, holder: str, known: dict[int, _Bits]
    ) -> _Change | None:
        """An access that comes right after a load of the base for nothing else."""
        access = index + 1
        if access > region.end or access in self._labels or access not in known:
            return None
        loading, instruction = statement(self._instructions[index]), self._instructions[access]
        found = memory_of(instruction)
        if not loading.startswith(_LOAD) or found is None or found[1].index is None:
            return None
        own, place, memory = loading[len(_LOAD) :], *found
        if memory.base != own or memory.index not in registers.NAMES_64:
            return None
        offset = registers.NUMBER[memory.index]
        rest = replace(
            instruction, operands=(*instruction.operands[:place], *instruction.operands[place + 1 :])
        )
        reads_own = effects.effects(rest, MNEMONICS[rest.mnemonic]).reads & effects.mask(own)
        after = self._graph.live_out(access, self._live) & ~self._graph.flows[access].writes
        most = _most_bits(memory)
        if reads_own or after & resources(effects.mask(own)) or most is None or known[access][offset] > most:
            return None
        text = _with(instruction, place, replace(memory, base=holder))
        return _Change(text, frozenset({registers.NUMBER[holder], offset}), WORTHWHILE)

    # -- claims --

    def _wanted(self, region: _Region, changes: dict[int, _Change]) -> dict[int, frozenset[int]]:
        """Where control arrives in the loop by branches or from above → registers that something must be
        known of there."""
        met = {*region.sources, *(way.target for way in region.entering)}
        wanted = dict.fromkeys(met, frozenset[int]())
        is_changed = True
        while is_changed:
            is_changed = False
            needed = frozenset[int]()
            for index in range(region.end, region.start - 1, -1):
                if not self._graph.runs_into(index, index + 1):
                    needed = frozenset()
                for target in self._targets(index):
                    needed |= wanted.get(target, frozenset())
                written = registers_of(self._graph.flows[index].writes)
                needed = frozenset(register for register in needed if not written >> register & 1)
                if index in changes:
                    needed |= changes[index].needs
                if index in met and wanted[index] != needed:
                    wanted[index] = needed
                    is_changed = True
        return wanted


def _join(joined: dict[int, _Bits], index: int, bits: _Bits) -> bool:
    """Whether that makes less known."""
    old = joined.get(index)
    new = bits if old is None else tuple(map(max, old, bits))
    joined[index] = new
    return new != old


def _with(instruction: Instruction, place: int, memory: Memory) -> str:
    operands = list(instruction.operands)
    operands[place] = memory
    return lines(statement(replace(instruction, operands=tuple(operands))))


def _most_bits(memory: Memory) -> int | None:
    """How many bits an index beside the base may have, whatever segment the operand has; None: there may be
    none with that displacement."""
    displacement = constant(memory.displacement) if memory.displacement else 0
    scale = memory.scale if memory.index is not None else 1
    if displacement is not None and displacement < -R15_REACH:
        return None
    is_near = displacement is not None and abs(displacement) <= R15_REACH
    return 32 if scale == 1 and is_near else _BELOW_BITS - (scale.bit_length() - 1)


def _through_gs(instruction: Instruction, holder: str, known: _Bits) -> _Change | None:
    """What becomes of an access through gs, if it can go through the register that holds the base."""
    found = memory_of(instruction)
    if found is None or found[1].segment != "gs" or instruction.mnemonic.startswith(_OTHERS):
        return None
    place, memory = found
    if memory.displacement == _BASE or any(map(_has_no_place, instruction.operands)):
        return None
    number = registers.NUMBER[holder]
    gain = 1 + (place == len(instruction.operands) - 1)
    names = [name for name in (memory.base, memory.index) if name not in (None, "rip")]
    if not names:
        displacement = constant(memory.displacement)
        if displacement is not None and displacement < 0:
            return None
        text = _with(instruction, place, Memory(memory.displacement, holder))
        return _Change(text, frozenset({number}), gain)
    most = _most_bits(memory)
    if len(names) != 1 or names[0] not in registers.NAMES_32 or names[0] == "esp" or most is None:
        return None
    offset = registers.NUMBER[names[0]]
    if known[offset] > most:
        return None
    scale = memory.scale if memory.index is not None else 1
    whole = Memory(memory.displacement, holder, registers.part(names[0], 64), scale)
    return _Change(_with(instruction, place, whole), frozenset({number, offset}), gain)


def _has_no_place(operand: object) -> bool:
    """Operands with which it stays: rsp, and what has no encoding beside r11 and the like."""
    name = getattr(operand, "name", "")
    return registers.NUMBER.get(name) == registers.RSP or name in registers.NAMES_8_HIGH
