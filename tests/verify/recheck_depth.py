"""The second opinion on the stack: one walk over a disassembly, with the depth in hand.

The verifier has arrays of all instructions at once; this has one number, which is how many bytes rsp is below
the return address, or what is known instead. It reads the disassembler's text, and has its own list of what
stores how many bytes.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from tests.verify.recheck_lines import Line
from tmebox import abi
from tmebox.verify import VerifiedText

MOST = 68 << 20
"""How deep a stack may be: the guard of 69 MiB is wider than this and what one access reaches."""
ANY, NOWHERE = "not known", "never reached"
Depth = int | str

MOVES = re.compile(r"(?P<by>add|sub) \$(?P<number>0x[0-9a-f]+),%rsp|lea (?P<lea>-?0x[0-9a-f]+|)\(%rsp\),%rsp")
IS_RSP = re.compile(r"%(rsp|esp|sp|spl)$")
NEAR = re.compile(r"(?<![:\w])(?P<displacement>-?0x[0-9a-f]+)?\(%rsp\)")
ENDS = re.compile(r"(jmp|ret|hlt|ud2)\b")
STOPS = re.compile(r"(hlt|ud2)\b")

READS_LAST = re.compile(r"(cmp|test|bt|nop|prefetch\w*|v?p?test|v?u?comis|lea)[bwlqsd]?$|cmp[bwlq]$|prefetch")
READS_ONLY_OPERAND = re.compile(
    r"(push|call|jmp|i?mul|i?div|nop|prefetch\w*|v?ldmxcsr|fldcw|fi?ld|fi?(add|subr?|mul|divr?|comp?))[bwlqst]*$"
)
EXCHANGES = re.compile(r"(xchg|xadd|cmpxchg)[bwlq]?$")
SIZES = {
    r"set\w+": 1, r"f(n)?st(cw|sw)": 2, r"v?stmxcsr": 4, r"f(st|stp)s": 4, r"f(st|stp)l": 8, r"fstpt": 10,
    r"fi(st|stp|sttp)s?": 2, r"fi(st|stp|sttp)l": 4, r"fi(stp|sttp)(ll|q)": 8,
    r"cmpxchg8b": 8, r"cmpxchg16b": 16, r"v?movss": 4, r"v?movsd": 8, r"v?movd": 4, r"v?movq": 8,
    r"v?mov[lh]p[sd]": 8, r"v?extractps": 4, r"v?pextrb": 1, r"v?pextrw": 2, r"v?pextrd": 4, r"v?pextrq": 8,
    r"vextract[fi]128": 16, r"push.*|call.*": 0,
}  # fmt: skip
"""Bytes that are stored, by mnemonic; for all others a register or the mnemonic's last letter says it."""
REGISTER_BYTES = (
    (re.compile(r"%ymm\d+$"), 32),
    (re.compile(r"%xmm\d+$"), 16),
    (re.compile(r"%r([a-d]x|[sd]i|[sb]p|\d+)$"), 8),
    (re.compile(r"%(e([a-d]x|[sd]i|[sb]p)|r\d+d)$"), 4),
    (re.compile(r"%([a-d]x|[sd]i|[sb]p|r\d+w)$"), 2),
    (re.compile(r"%([a-d][lh]|[sd]il|[sb]pl|r\d+b)$"), 1),
)
SUFFIX_BYTES = {"b": 1, "w": 2, "l": 4, "q": 8}
UNKNOWN_BYTES = 1 << 20


def as_signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def operands_of(line: Line) -> list[str]:
    return re.split(r",(?![^(]*\))", line.operands)


def moved_by(line: Line) -> int | None:
    """By how much rsp goes down; None if that is no number."""
    if re.fullmatch(r"pushq?", line.mnemonic):
        return 8
    if re.fullmatch(r"popq?", line.mnemonic):
        return None if line.operands == "%rsp" else -8
    if re.match(r"(push|pop)[fwa]|enter|leave|iret|ret[fw]|lret|ret .", line.text):
        return None
    if re.match(r"call|ret$|j|loop", line.mnemonic):
        return 0
    moves = MOVES.fullmatch(line.text)
    if moves and moves["by"]:
        number = as_signed(int(moves["number"], 16))
        return number if moves["by"] == "sub" else -number
    if moves:
        return -int(moves["lea"] or "0", 16)
    operands = operands_of(line)
    if len(operands) == 1 and re.fullmatch(r"(i?mul|i?div)[bwlq]?", line.mnemonic):
        return 0  # its operand is read only
    written = operands if re.match(r"xchg|xadd|cmpxchg|mulx", line.mnemonic) else operands[-1:]
    if any(map(IS_RSP.match, written)) and not re.match(
        r"(cmp|test|bt|nop|push|v?ptest)[bwlq]?$", line.mnemonic
    ):
        return None
    return 0


def stored_up_to(line: Line) -> int | None:
    """Where a store through rsp ends, counted from rsp before the instruction; None if it is none."""
    if re.match(r"push|call", line.mnemonic):
        return 0
    operands = operands_of(line)
    places = [number for number, operand in enumerate(operands) if NEAR.fullmatch(operand)]
    if not places:
        return None
    if len(operands) == 1:
        if READS_ONLY_OPERAND.fullmatch(line.mnemonic):
            return None
    elif EXCHANGES.match(line.mnemonic):
        pass
    elif places[0] != len(operands) - 1 or READS_LAST.match(line.mnemonic):
        return None
    found = NEAR.fullmatch(operands[places[0]])
    displacement = int(found["displacement"] or "0", 16) if found else 0
    others = [operand for number, operand in enumerate(operands) if number != places[0]]
    return displacement + stored_bytes(line, others)


def stored_bytes(line: Line, others: Sequence[str]) -> int:
    for name, size in SIZES.items():
        if re.fullmatch(name, line.mnemonic):
            return size
    if line.mnemonic == "vcvtps2ph":
        return 16 if any("ymm" in other for other in others) else 8
    shifts_by_cl = re.match(r"(sh|sa|ro|rc)[lr]", line.mnemonic)
    for other in () if shifts_by_cl else reversed(others):
        for pattern, size in REGISTER_BYTES:
            if pattern.match(other):
                return size
    return SUFFIX_BYTES.get(line.mnemonic[-1], UNKNOWN_BYTES)


class Stack:
    """What is known of a text's stack. returns: each place that a call returns to, and the depth there.

    claims: places and depths, in order; each holds up to the next. needs: addresses of jumps to computed
    targets, and the depth that their check asks for. reads: of jumps through tables, what they may read.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        tables: bytes,
        claims: Iterable[tuple[int, int]],
        functions: Iterable[int],
        labels: Iterable[int],
        needs: Mapping[int, int],
        reads: Mapping[int, tuple[int, int]],
    ) -> None:
        self.lines = lines
        self.entries = [target for (target,) in struct.iter_unpack("<Q", tables)]
        self.claims = list(claims)
        self._places = [place for place, _ in self.claims]
        self.functions, self.labels = set(functions), set(labels)
        self.called = {place for line in lines if line.mnemonic.startswith("call") for place in branch(line)}
        self.needs, self.reads = needs, reads
        self.returns: dict[int, int] = {}
        self.found: list[str] = []
        self._check_claims()
        self.arrivals = self._arrivals()
        self._check_labels()
        self._walk()

    def claimed(self, place: int) -> Depth:
        index = bisect_right(self._places, place)
        return self.claims[index - 1][1] if index else ANY

    def _check_claims(self) -> None:
        last = None
        for place, depth in self.claims:
            if (last is not None and place <= last) or not 0 <= depth <= MOST:
                self.found.append(f"{place:#x}: the claim {depth}")
            last = place

    def _arrivals(self) -> dict[int, Depth]:
        """The depth that is wanted of whoever arrives at a place."""
        met = set(self.entries) | self.labels | set(self._places)
        for line in self.lines:
            met.update(branch(line))
        wanted = {place: self.claimed(place) for place in met}
        wanted.update(dict.fromkeys(self.functions | self.called, 0))
        for line in self.lines:
            if STOPS.match(line.text) and line.address in wanted:
                wanted[line.address] = ANY
        starts = {line.address for line in self.lines}
        return {place: depth for place, depth in wanted.items() if place in starts}

    def _check_labels(self) -> None:
        for label in self.labels:
            depth = self.claimed(label)
            if depth == ANY:
                self.found.append(f"{label:#x}: a label without a depth")
            if label in self.functions or (label in self.called and depth != 0):
                self.found.append(f"{label:#x}: a label that is a function as well")

    def mark_of(self, label: int) -> int:
        """What the target map has to say of it."""
        depth = self.claimed(label)
        return abi.LABEL_MARKS[abi.LABEL_DEPTHS.index(depth)] if depth in abi.LABEL_DEPTHS else 0

    def _walk(self) -> None:
        depth: Depth = NOWHERE
        before: Line | None = None
        for line in self.lines:
            if line.address in self.arrivals:
                wanted = self.arrivals[line.address]
                if before is not None and depth != NOWHERE and wanted not in (ANY, depth):
                    self.found.append(f"{before}: depth {depth}, and it runs on to depth {wanted}")
                depth = wanted
            self._look(line, depth)
            if line.mnemonic.startswith("call") and isinstance(depth, int):
                self.returns[line.address + len(line.encoding)] = depth
            down = moved_by(line)
            if isinstance(depth, int) and down is not None:
                depth += down
                if not 0 <= depth <= MOST:
                    self.found.append(f"{line}: depth {depth}")
            if ENDS.match(line.text):
                depth = NOWHERE
            before = line
        self.returns.pop(self.lines[-1].address + len(self.lines[-1].encoding), None)

    def _look(self, line: Line, depth: Depth) -> None:
        """What one instruction needs of the depth before it."""
        down, end = moved_by(line), stored_up_to(line)
        if down is None or (down and not isinstance(depth, int)):
            self.found.append(f"{line}: depth {depth}, and it moves rsp by {down}")
        if end is not None and not (isinstance(depth, int) and end <= depth):
            self.found.append(f"{line}: depth {depth}, and it stores up to {end} from rsp")
        if line.mnemonic.startswith("call") and not isinstance(depth, int):
            self.found.append(f"{line}: depth {depth} at a call")
        if depth == NOWHERE:
            return
        for wanted in self._wanted_where_it_goes(line):
            if wanted not in (ANY, depth):
                self.found.append(f"{line}: depth {depth}, not {wanted}")

    def _wanted_where_it_goes(self, line: Line) -> Iterator[Depth]:
        if line.mnemonic == "ret":
            yield 0
        if line.address in self.needs:
            yield self.needs[line.address]
        if line.address in self.reads:
            first, last = self.reads[line.address]
            yield from (self.arrivals.get(entry, ANY) for entry in self.entries[first : last + 1])
        if not line.mnemonic.startswith("call"):
            inside = self.lines[0].address, self.lines[-1].address
            for target in branch(line):
                yield self.arrivals.get(target, ANY) if inside[0] <= target <= inside[1] else 0


def branch(line: Line) -> list[int]:
    """Where a direct branch goes."""
    is_direct = re.match(r"j|call|loop", line.mnemonic) and re.fullmatch(r"0x[0-9a-f]+", line.operands)
    return [int(line.operands, 16)] if is_direct else []


def differences(stack: Stack, verdict: VerifiedText) -> Iterator[str]:
    """What the verifier tells the core about the places that the core leads to, and should not."""
    start = verdict.address
    places, depths = (np.frombuffer(part, "<u4").tolist() for part in verdict.returns)
    theirs = {start + place: depth for place, depth in zip(places, depths, strict=True)}
    ours: dict[int, Depth] = {label: stack.claimed(label) for label in stack.labels}
    ours.update(
        stack.returns
    )  # at an hlt a label may say what it likes: who returns there comes with its own
    for place in sorted(theirs.keys() | ours.keys()):
        if theirs.get(place) != ours.get(place):
            yield f"{place:#x}: the core is told {theirs.get(place)}, and should be told {ours.get(place)}"
    marks = dict.fromkeys(stack.functions, abi.TARGET_FUNCTION) | {
        label: stack.mark_of(label) for label in stack.labels
    }
    for offset, byte in enumerate(verdict.target_map):
        if byte != marks.get(start + offset, 0):
            yield f"{start + offset:#x}: {byte:#x} in the target map"
