"""Which stack accesses of a compiler's functions go to the control stack, and which to its twin in the
window.

rsp points into the control stack, which nothing but rsp reaches. At the same offset in the window lies the
stack's twin. What only its own function can name, by a constant distance from rsp, stays where rsp points:
what registers were saved and spilled. Objects, whose addresses may be taken, and arguments are in the twin:
their addresses are the lower 32 bits of rsp plus a constant, as `lea` gives them anyway, and each access to
them goes there, too:

    movq %rax, 16(%rsp)   →   movq %rax, 16(%esp)     which becomes %gs:16(%esp)

What lies where in a frame the compiler says itself, in remarks (`stack-frame-layout`), by distance from the
return address; how far that is from rsp, its `.cfi_` directives do."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping

from tmebox.abi import CONTROL_GUARD, STACK_REACH, TWIN_DISTANCE
from tmebox.records import dataclass, field
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import alignment, debug, hand_written, label_frames
from tmebox.toolchain.rewrite.alignment import FRAME_ALIGNMENT
from tmebox.toolchain.rewrite.hand_written import Placing, narrow
from tmebox.toolchain.rewrite.label_frames import CFA_IN_RBP, CFA_OFFSET, RETURN_ADDRESS
from tmebox.toolchain.rewrite.label_search import INDIRECT, LABEL, TYPE
from tmebox.toolchain.rewrite.replacement import Refusal

FLAGS = (
    *("-Rpass-analysis=stack-frame-layout", "-fasynchronous-unwind-tables"),
    *("-mllvm", "-no-x86-call-frame-opt"),  # it stores arguments, and does not push them
    "-fno-stack-clash-protection",  # the guard below a control stack is as wide as any frame
    # A table's entry that is never used is a label of nothing, else, and the jump would need a check.
    *("-mllvm", "-trap-unreachable", "-mllvm", "-no-trap-after-noreturn"),
)
"""What makes clang say it."""
WITHOUT_VARIABLE_SIZES = ("-fsanitize=safe-stack",)
"""Objects that others may know the address of go elsewhere: those whose size is not constant, large ones, and
those that need more alignment than frames have."""
LARGEST_FRAME = CONTROL_GUARD - 2 * STACK_REACH
"""Below a control stack is a guard, and a function's first access may be to its frame's end."""
REMARKS_MAX = 256 << 20
"""Bytes of messages, most of which are remarks."""
MACRO = "-D__tmebox_twin__"
_SLOT = regex(r"^Offset: \[SP([+-]\d+)\], Type: (\w+), Align: (\d+), Size: (\d+)", re.MULTILINE)
_REMARK = regex(
    r"^(?:In file included from [^\n]*\n)*[^\n]*remark: \nFunction: ([^\n\[]*?)( \[-Rpass[^\n]*)?\n"
    r"((?:(?:Offset: | |\d+ \| )[^\n]*\n?)*)",
    re.MULTILINE,
)
"""As far as the next message: names of variables, which may be empty or any text, and an excerpt of the
source, which errors need, too, begin with a space or a line's number."""
_STACK = regex(r"(-?\d+)?\(%rsp(,[^)]*)?\)")
_OBJECT = regex(r"^(\s*lea[lq]\s[^(#]*?)\s*([^\s(,]*)\((%[re]sp[^)]*)\)(,\s*%(?!rsp\b).*)$")
_IN_TWIN = regex(r"([^\s(,]*)\((%esp\b[^)]*)\)")
_COPIED = regex(r"^(\s*)mov([lq])?(\s+)%([re])sp,(\s*%(?!rsp\b)\w+.*)$")
_STRING = regex(r"[^\"#]*\.(?:ascii|asciz|string\d*)\b")
"""Text, whatever it looks like."""
_MOVES = regex(
    r"\t(pushq|popq|(?!cmp|test)\w+)\t((?:(?<=pushq\t)|(?<=popq\t)|.*,\s*(?=%rsp\b\s*(?:#.*)?$)).*)$"
)
_PUSHES = ("\tpush", "\tpop")
_CONSTANT = regex(r"\$-?\w+,\s*%rsp")
_FROM_POINTER = regex(r"(-?\d+)?\(%rbp\),\s*%rsp")
_IS_POINTER = regex(r"%rbp,\s*%rsp")
_FROM_REGISTER = regex(r"%r\w+,\s*%rsp")
_FROM_ITSELF = regex(r"(-?\d+)?\(%rsp\),\s*%rsp")
_RETURNS_TO = regex(r"(?<![\w-])8\(%rbp\)")
_TOUCH = "\tcmpl\t%eax, (%rsp)"
"""A frame as large as the guards in the window ends above the stack's end."""
_LEAVES = regex(r"\t(ret[ql]?\b|jmpq?\t.*# TAILCALL)")


@dataclass
class Layout:
    """Where a function's registers are kept: ascending starts and ends, from the return address. is_wide:
    objects want more alignment than frames have."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    is_wide: bool = False

    def keeps_register(self, offset: int) -> bool:
        index = bisect_right(self.starts, offset) - 1
        return index >= 0 and offset < self.ends[index]


def layouts(messages: str) -> tuple[dict[str, Layout], str]:
    """What remarks say of each function, and the messages without them."""
    found = {}
    for name, _, slots in _REMARK.findall(messages):
        listed = _SLOT.findall(slots)
        kept = sorted(
            (int(offset), int(offset) + int(size)) for offset, kind, _, size in listed if kind == "Spill"
        )
        is_wide = any(int(align) > FRAME_ALIGNMENT for _, kind, align, _ in listed if kind != "Spill")
        found[name] = Layout([start for start, _ in kept], [end for _, end in kept], is_wide)
    return found, _REMARK.sub("", messages)


def with_twin(text: str, found: Mapping[str, Layout], *, elsewhere: bool = False) -> str:
    """`text`: clang's assembly. elsewhere: it is one WITHOUT_VARIABLE_SIZES, whose objects are in the frame
    only if nobody knows their addresses: they need no alignment. Raises Refusal for a frame whose size is
    not constant."""
    writer = _Frames(found, elsewhere)
    code, about = debug.apart(text)
    lines = code.removesuffix("\n").split("\n")
    lines, pads = label_frames.prepared(lines) if INDIRECT.search(code) else (lines, {})
    for line in lines:
        writer.line(line, pads)
    return "\n".join([*writer.out, about])


def with_debug_frames(text: str, *, unwinds: bool) -> str:
    """What clang says with -g and without FLAGS, which ask for tables that nobody reads, unless exceptions
    pass through its functions."""
    sections = ".eh_frame, .debug_frame" if unwinds else ".debug_frame"
    return text if "\t.cfi_sections" in text else f"\t.cfi_sections {sections}\n{text}"


class _Frames:
    """Reads a file line by line. depth: how far rsp is below the return address, as directives say; where rbp
    points into the frame they say it no more, and `pushed` counts it. pad: what the frame has more than
    clang gave it. has_pointer: rbp points into the frame, at depth 8, and what has no other name is in the
    twin. aligned: how many bytes clang means to align such a frame to; it names what lies there by rsp.
    by_hand: of the source's own functions, which are in no procedure of clang's, as is_clangs says."""

    def __init__(self, found: Mapping[str, Layout], elsewhere: bool) -> None:
        self.out = list[str]()
        self._found = found
        self._elsewhere = elsewhere
        self._functions = set[str]()
        self._kept: list[int] = []
        self._inline: Placing | None = None
        self._by_hand = hand_written.placing()
        self._is_clangs = False
        self._begin("", {})

    def _begin(self, name: str, pads: Mapping[str, int]) -> None:
        self._name = name
        self._pad, self._has_labels = pads.get(name, 0), name in pads
        self._layout = self._found.get(name.strip('"'), Layout())
        self._depth = 0
        self._pushed = self._deepest = self._pad
        self._has_pointer = False
        self._aligned = self._above = self._listed = 0
        self._has_room = False

    def line(self, line: str, pads: Mapping[str, int]) -> None:
        if line.startswith(("\t.loc\t", ".Ltmp")):
            self.out.append(line)
        elif line.startswith("\t.cfi_"):
            self._directive(line)
        elif match := TYPE.match(line):
            self._functions.add(match[1])
            self.out.append(line)
        elif (match := LABEL.match(line)) and match[1] in self._functions:
            self._begin(match[1], pads)
            self.out.append(line if self._is_clangs else self._by_hand.line(line))
        elif line.startswith("\t#"):
            if line.startswith("\t#APP"):
                self._inline = self._placing()
            elif line.startswith("\t#NO_APP"):
                self._inline = None
            self.out.append(line)
        elif self._inline is not None:
            self._need_alignment(self._aligned and ("%rsp" in line or "%rbp" in line))
            self.out.append(alignment.unaligned(self._inline.line(line)))
        elif not self._is_clangs and (not line.startswith("\t.") or ";" in line or "\t.set" in line):
            self.out.append(self._by_hand.line(line))
        elif line.startswith("\t") and not line.startswith("\t."):
            self._instruction(line)
        else:
            self.out.append(line)

    def _directive(self, line: str) -> None:
        pad = self._pad
        if line.endswith("proc"):
            self._is_clangs = line.startswith("\t.cfi_startproc")
        if match := CFA_OFFSET.match(line):
            self._depth = int(match[1]) - RETURN_ADDRESS
            line = f"\t.cfi_def_cfa_offset {int(match[1]) + pad}"
        elif line.startswith("\t.cfi_startproc") and self._has_labels:
            # A function is no label, even where it begins with one.
            move = [f"\tleaq\t{-pad}(%rsp), %rsp", f"\t.cfi_adjust_cfa_offset {pad}"] if pad else ["\tnop"]
            self.out += [line, *move]
            return
        elif line.startswith("\t.cfi_remember_state"):
            self._kept.append(self._depth)
        elif line.startswith("\t.cfi_restore_state"):
            self._depth = self._kept.pop()
        elif CFA_IN_RBP.match(line):
            self._has_pointer = True
        self.out.append(line)

    def _instruction(self, line: str) -> None:
        is_pointed = self._pad or self._has_pointer or self._aligned
        if not (is_pointed or "sp" in line or line.startswith(_PUSHES)):
            self.out.append(line)
            return
        if match := _MOVES.match(line):
            self.out += self._moving(line, match)
            return
        self._need_alignment(self._layout.is_wide and alignment.takes_address(line))
        self._need_alignment(self._aligned and alignment.takes_address_of_argument(line))
        line = alignment.unaligned(line, anywhere=self._elsewhere and self._aligned > 0)
        if "(%rsp" in line:
            line = _placed(line, *self._lies(), self._pad)
        elif self._has_pointer and _RETURNS_TO.search(line):
            line = _RETURNS_TO.sub(f"{self._deepest}(%rsp)", line)
        if self._pad and _LEAVES.match(line):
            self.out.append(f"\tleaq\t{self._pad}(%rsp), %rsp")
        self.out.append(line)

    def _lies(self) -> tuple[Layout, int]:
        """What lies where, and how deep rsp is by that list."""
        if self._aligned:
            return self._layout, self._listed
        return (Layout(), self._deepest) if self._has_pointer else (self._layout, self._depth)

    def _need_alignment(self, is_needed: object) -> None:
        """Others may know the address of what wants to be aligned, and it is not where that can be."""
        if is_needed and not self._elsewhere:
            raise Refusal(f"{self._name}: an object with an alignment of more than {FRAME_ALIGNMENT} bytes")

    def _placing(self) -> Placing:
        """For inline assembly, which may push."""
        layout, depth = self._lies()
        return Placing(
            lambda offset: layout.keeps_register(offset - depth) or 0 <= offset - depth < RETURN_ADDRESS,
            lambda offset: self._pad if offset - depth >= RETURN_ADDRESS else 0,
        )

    def _moving(self, line: str, match: re.Match[str]) -> list[str]:
        """What moves rsp: by a constant, or from and to what is known to be one from it."""
        mnemonic, operands = match[1].removesuffix("q"), match[2].partition("#")[0].strip()
        if mnemonic in ("push", "pop"):
            self._count(8 if mnemonic == "push" else -8)
            return [_placed(line, Layout(), self._depth, self._pad) if "(%rsp" in line else line]
        if _CONSTANT.fullmatch(operands):
            amount = int(operands.split(",")[0].lstrip("$"), 0)
            if mnemonic in ("add", "sub"):
                deeper = amount if mnemonic == "sub" else -amount
                self._count(deeper)
                if self._aligned and deeper > 0 and not self._has_room:
                    self._has_room = True
                    self._listed = alignment.size_to_listed(self._aligned, self._above, deeper)
                if self._deepest > LARGEST_FRAME:
                    raise Refusal(
                        f"{self._name}: a frame of {self._deepest:,} bytes; it can have {LARGEST_FRAME:,}: "
                        "make its arrays static, or allocate them"
                    )
                return [line, _TOUCH] if mnemonic == "sub" and amount > STACK_REACH else [line]
            is_wide = -amount > FRAME_ALIGNMENT
            is_understood = self._has_pointer or self._elsewhere or not is_wide
            if mnemonic == "and" and amount < 0 and -amount & (-amount - 1) == 0 and is_understood:
                if is_wide:
                    self._aligned, self._above = -amount, self._pushed
                    self._listed = alignment.size_to_listed(-amount, self._above, 0)
                step = min(-amount, FRAME_ALIGNMENT)
                return self._to(self._pushed + -(self._pushed + RETURN_ADDRESS) % step)
        found = _FROM_POINTER.fullmatch(operands) if mnemonic == "lea" else _IS_POINTER.fullmatch(operands)
        if found and self._has_pointer and mnemonic in ("lea", "mov"):
            self._pushed = self._deepest
            return self._to(8 - int(found[1] or 0) if mnemonic == "lea" else 8)
        if mnemonic == "lea" and (found := _FROM_ITSELF.fullmatch(operands)):
            self._count(-int(found[1] or 0))
            return [line]
        if self._elsewhere and mnemonic in ("mov", "sub") and _FROM_REGISTER.fullmatch(operands):
            return []  # for what nobody uses, and to give it back
        raise Refusal(f"{self._name}: a frame whose size is not constant")

    def _count(self, amount: int) -> None:
        self._pushed += amount
        self._deepest = max(self._deepest, self._pushed)

    def _to(self, depth: int) -> list[str]:
        amount = depth - self._pushed
        self._count(amount)
        return [f"\tleaq\t{-amount}(%rsp), %rsp"] if amount else []


def at_distance(text: str) -> str:
    """Assembly whose objects are TWIN_DISTANCE below where rsp would have them in the window: accesses
    through esp, and the addresses that `lea` and `mov` make of rsp."""
    code, about = debug.apart(text)
    return "\n".join(_at_distance(line) if "sp" in line else line for line in code.split("\n")) + about


def _at_distance(line: str) -> str:
    if '"' in line and _STRING.match(line):
        return line
    if ";" in line and '"' not in line:
        return ";".join(map(_at_distance, line.split(";")))
    if match := _COPIED.match(line):
        indent, width, gap, part, rest = match.groups()
        return f"{indent}lea{width or ('q' if part == 'r' else 'l')}{gap}{-TWIN_DISTANCE}(%rsp),{rest}"
    if match := _OBJECT.match(line):
        start, displacement, inside, rest = match.groups()
        return f"{start} {_lowered(displacement)}({inside}){rest}"
    return _IN_TWIN.sub(lambda match: f"{_lowered(match[1])}({match[2]})", line)


def _lowered(displacement: str) -> str:
    try:
        return str(int(displacement or "0", 0) - TWIN_DISTANCE)
    except ValueError:
        return f"{displacement}-{TWIN_DISTANCE}"


def _placed(line: str, layout: Layout, depth: int, pad: int) -> str:
    match = _STACK.search(line)
    if match is None:
        return line
    displacement = int(match[1] or 0)
    offset = displacement - depth
    moved = displacement + pad if offset >= RETURN_ADDRESS else displacement
    is_kept = layout.keeps_register(offset) or 0 <= offset < RETURN_ADDRESS
    is_near = abs(moved) <= STACK_REACH
    keeps = not line.startswith("\tlea") and match[2] is None and is_kept and is_near
    register = "%rsp" if keeps or line.startswith("\tlea") else "%esp"
    index = match[2] or ""
    if register == "%esp":
        index = narrow(index)
    return f"{line[: match.start()]}{moved or ''}({register}{index}){line[match.end() :]}"
