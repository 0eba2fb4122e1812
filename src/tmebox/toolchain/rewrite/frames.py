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
from dataclasses import dataclass, field

from tmebox.abi import LABEL_DEPTHS, TWIN_DISTANCE
from tmebox.toolchain.rewrite.replacement import Refusal

FLAGS = (
    *("-Rpass-analysis=stack-frame-layout", "-fno-caret-diagnostics", "-fasynchronous-unwind-tables"),
    *("-mllvm", "-no-x86-call-frame-opt"),  # it stores arguments, and does not push them
    "-mstack-alignment=32",  # so that no frame has to be aligned for a vector register
    # A table's entry that is never used is a label of nothing, else, and the jump would need a check.
    *("-mllvm", "-trap-unreachable", "-mllvm", "-no-trap-after-noreturn"),
)
"""What makes clang say it."""
WITHOUT_VARIABLE_SIZES = ("-fsanitize=safe-stack",)
"""Arrays whose size is not constant go elsewhere."""
MACRO = "-D__tmebox_twin__"
_RETURN_ADDRESS = 8
_SLOT = re.compile(r"Offset: \[SP([+-]\d+)\], Type: (\w+), Align: \d+, Size: (\d+)")
_REMARK = re.compile(
    r"^[^\n]*remark: \nFunction: ([^\n\[]*?)( \[-Rpass[^\n]*)?\n((?:Offset: [^\n]*\n?)*)", re.MULTILINE
)
_STACK = re.compile(r"(-?\d+)?\(%rsp(,[^)]*)?\)")
_OBJECT = re.compile(r"^(\s*lea[lq]\s[^(#]*?)\s*([^\s(,]*)\((%[re]sp[^)]*)\)(,\s*%(?!rsp\b).*)$")
_IN_TWIN = re.compile(r"([^\s(,]*)\((%esp\b[^)]*)\)")
_COPIED = re.compile(r"^(\s*)mov([lq])?(\s+)%([re])sp,(\s*%(?!rsp\b)\w+.*)$")
_LABEL = re.compile(r'("[^"]+"|[\w.$@]+):')
_TYPE = re.compile(r'\t\.type\t("[^"]+"|[^,]+),\s*@function')
_OFFSET = re.compile(r"\t\.cfi_def_cfa_offset (\d+)")
_INDIRECT = re.compile(r"\tjmpq?\t\*(?!\.LJTI)(?!.*TAILCALL)")
_LEAVES = re.compile(r"\t(ret[ql]?\b|jmpq?\t.*# TAILCALL)")


@dataclass
class Layout:
    """Where a function's registers are kept: ascending starts and ends, from the return address."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def keeps_register(self, offset: int) -> bool:
        index = bisect_right(self.starts, offset) - 1
        return index >= 0 and offset < self.ends[index]


def layouts(messages: str) -> tuple[dict[str, Layout], str]:
    """What remarks say of each function, and the messages without them."""
    found = {}
    for name, _, slots in _REMARK.findall(messages):
        kept = sorted(
            (int(offset), int(offset) + int(size))
            for offset, kind, size in _SLOT.findall(slots)
            if kind == "Spill"
        )
        found[name] = Layout([start for start, _ in kept], [end for _, end in kept])
    return found, _REMARK.sub("", messages)


def with_twin(text: str, found: Mapping[str, Layout]) -> str:
    """`text`: clang's assembly. Raises Refusal for a frame whose size is not constant."""
    out, functions = list[str](), set[str]()
    lines = text.split("\n")
    pads = _pads(lines)
    name, layout, depth, pad = "", Layout(), 0, 0
    kept: list[int] = []
    for original in lines:
        line = original
        if line.startswith("\t.cfi_"):
            if match := _OFFSET.match(line):
                depth = int(match[1]) - _RETURN_ADDRESS
                line = f"\t.cfi_def_cfa_offset {int(match[1]) + pad}"
            elif line.startswith("\t.cfi_startproc") and pad:
                out += [line, f"\tleaq\t{-pad}(%rsp), %rsp", f"\t.cfi_adjust_cfa_offset {pad}"]
                continue
            elif line.startswith("\t.cfi_remember_state"):
                kept.append(depth)
            elif line.startswith("\t.cfi_restore_state"):
                depth = kept.pop()
            elif line.startswith(("\t.cfi_def_cfa_register", "\t.cfi_def_cfa %rbp")):
                raise Refusal(f"{name}: a frame whose size is not constant")
        elif match := _TYPE.match(line):
            functions.add(match[1])
        elif (match := _LABEL.match(line)) and match[1] in functions:
            name, depth, pad = match[1], 0, pads.get(match[1], 0)
            layout = found.get(name.strip('"'), Layout())
        elif "(%rsp" in line and line.startswith("\t") and not line.startswith("\t."):
            line = _placed(line, layout, depth, pad)
        if pad and _LEAVES.match(line):
            out.append(f"\tleaq\t{pad}(%rsp), %rsp")
        out.append(line)
    sections = [] if "\t.cfi_sections" in text else ["\t.cfi_sections .debug_frame"]
    return "\n".join([*sections, *out])


def at_distance(text: str) -> str:
    """Assembly whose objects are TWIN_DISTANCE below where rsp would have them in the window: accesses through
    esp, and the addresses that `lea` and `mov` make of rsp."""
    return "\n".join(_at_distance(line) if "sp" in line else line for line in text.split("\n"))


def _at_distance(line: str) -> str:
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
    moved = displacement + pad if offset >= _RETURN_ADDRESS else displacement
    keeps = not line.startswith("\tlea") and match[2] is None and (layout.keeps_register(offset) or 0 <= offset < _RETURN_ADDRESS)
    register = "%rsp" if keeps or line.startswith("\tlea") else "%esp"
    index = match[2] or ""
    if register == "%esp":
        index = _narrow(index)
    return f"{line[: match.start()]}{moved or ''}({register}{index}){line[match.end() :]}"


_NARROW = {f"%r{letters}": f"%e{letters}" for letters in ("ax", "bx", "cx", "dx", "si", "di", "bp")}


def _narrow(index: str) -> str:
    return re.sub(r"%r\w+", lambda match: _NARROW.get(match[0], f"{match[0]}d"), index)


def _pads(lines: list[str]) -> dict[str, int]:
    """What functions have to have more in their frames, so that their jumps to labels have a depth for which
    there is a mark."""
    pads: dict[str, int] = {}
    functions, name, depth = set[str](), "", 0
    kept: list[int] = []
    for line in lines:
        if match := _OFFSET.match(line):
            depth = int(match[1]) - _RETURN_ADDRESS
        elif line.startswith("\t.cfi_remember_state"):
            kept.append(depth)
        elif line.startswith("\t.cfi_restore_state"):
            depth = kept.pop()
        elif match := _TYPE.match(line):
            functions.add(match[1])
        elif (match := _LABEL.match(line)) and match[1] in functions:
            name, depth = match[1], 0
        elif _INDIRECT.match(line):
            step = 32 if depth % 32 == 24 else 8  # others hold nothing that is aligned, and call nobody
            wanted = next(
                (known for known in LABEL_DEPTHS if known >= depth and (known - depth) % step == 0), None
            )
            if wanted is None:
                raise Refusal(f"{name}: jumps to labels from a frame of {depth} bytes")
            if wanted != depth:
                pads[name] = wanted - depth
    return pads
