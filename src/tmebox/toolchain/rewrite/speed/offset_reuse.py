"""Leaving out loads of r14 that load what is there already.

A compiler goes through one pointer many times, and each access becomes a load of r14 and the access. Within a
stretch of code that control enters only at its top, a load whose registers have not changed is not repeated.
Only a matter of speed: r14 is in the window whatever it holds.
"""

from __future__ import annotations

from collections.abc import Set
from functools import lru_cache

from tmebox.records import dataclass
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import registers
from tmebox.toolchain.rewrite.asm import (
    AsmSyntaxError,
    Immediate,
    Memory,
    Operand,
    Register,
    parse_instruction,
)
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS, Kind
from tmebox.toolchain.rewrite.vector_mnemonics import VECTOR_MNEMONICS

_LOAD = regex(r"\t(?:movl|leal)\t(.+), %r14d\Z")
_LABEL = regex(r"\s*(\S+):\Z")
_REGISTER = regex(r"%(\w+)")

_WRITERS = """
    mov movabs movbe lea add sub and or xor neg adc sbb inc dec not shl sal shr sar shld shrd rol ror rcl rcr
    bswap bsf bsr popcnt lzcnt tzcnt andn bextr blsi blsmsk blsr bzhi pdep pext rorx sarx shlx shrx crc32 bt
    bts btr btc movzbw movzbl movzbq movzwl movzwq movsbw movsbl movsbq movswl movswq movslq movsxd movzb
    movzw movzx movsx cmp test nop pause prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw
"""
_WRITES_LAST = frozenset(_WRITERS.split())
"""Base mnemonics that write their last operand at most."""
_VECTOR_WRITES_LAST = frozenset(
    name
    for name in VECTOR_MNEMONICS.plain | VECTOR_MNEMONICS.flag_writers
    if "pcmpestri" not in name and "pcmpistri" not in name
)
"""Likewise; the two left out write ecx."""


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a line does to general-purpose registers. load: the source, if it only loads r14; reads: the
    numbers of the source's registers. writes: numbers that it may write; None: any."""

    load: str | None = None
    reads: frozenset[int] = frozenset()
    writes: frozenset[int] | None = frozenset()


_NOTHING = _Effect()
_ANYTHING = _Effect(writes=None)


def without_repeated_loads(text: str, arrivals: Set[str]) -> str:
    """`text`: instrumented assembly. `arrivals`: the file's labels that code or data refer to."""
    kept: list[str] = []
    held: _Effect | None = None
    for line in text.split("\n"):
        label = _LABEL.match(line)
        if label:
            if label[1] in arrivals or not label[1].startswith(".L") or label[1].startswith(".Ltmebox"):
                held = None
            kept.append(line)
            continue
        effect = _effect(line)
        if effect.load is not None:
            if held is not None and held.load == effect.load:
                continue
            held = effect
        elif held is not None and (effect.writes is None or effect.writes & held.reads):
            held = None
        kept.append(line)
    return "\n".join(kept)


@lru_cache(maxsize=1 << 15)
def _effect(line: str) -> _Effect:
    load = _LOAD.match(line)
    if load:
        return _Effect(load[1], frozenset(registers.NUMBER[name] for name in _REGISTER.findall(load[1])))
    stripped = line.strip()
    if not stripped or stripped.startswith((".loc", ".file", ".cfi_", ".p2align", ".align", ".balign", "#")):
        return _NOTHING
    try:
        instruction = parse_instruction(stripped.replace("\t", " "))
    except AsmSyntaxError:
        return _ANYTHING
    facts = MNEMONICS.get(instruction.mnemonic)
    if facts is None or any(not _is_known(operand) for operand in instruction.operands):
        return _ANYTHING
    if facts.kind is Kind.CONDITIONAL and facts.condition is not None:
        return _NOTHING
    base = facts.base
    is_short = base == "imul" and len(instruction.operands) > 1
    conditional = facts.condition is not None and base.startswith(("set", "cmov"))
    if base in _WRITES_LAST or is_short or conditional or instruction.mnemonic in _VECTOR_WRITES_LAST:
        last = instruction.operands[-1] if instruction.operands else None
        return _Effect(writes=_parts(last))
    if base in ("xchg", "xadd"):
        return _Effect(writes=frozenset().union(*map(_parts, instruction.operands)))
    return _ANYTHING


def _is_known(operand: Operand) -> bool:
    return isinstance(operand, (Register, Memory, Immediate))


def _parts(operand: Operand | None) -> frozenset[int]:
    number = registers.NUMBER.get(operand.name) if isinstance(operand, Register) else None
    return frozenset() if number is None else frozenset([number])
