"""Every mnemonic the rewriter lets through, and what it needs to know of each.

Default deny: an instruction that is not in `MNEMONICS` is refused. The verifier decides from the bytes
whether an instruction is safe; this table only says how to rewrite it.

Flags are two resources, since `inc` and `bt` write one and leave the other: CARRY, and STATUS for the rest.
`kills` must never claim too much: what it claims, liveness takes for dead before the instruction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from tmebox.records import dataclass, replace
from tmebox.toolchain.rewrite.vector_mnemonics import VECTOR_MNEMONICS

CARRY = 1
STATUS = 2
FLAGS = CARRY | STATUS


class Kind(Enum):
    """How the rewriter treats an instruction."""

    PLAIN = "plain"
    SHIFT = "shift"
    """May do nothing at all, if its count is zero: leaves the flags alone then."""
    MOVE = "move"
    LEA = "lea"
    PUSH = "push"
    POP = "pop"
    JUMP = "jump"
    CONDITIONAL = "conditional jump"
    CALL = "call"
    RETURN = "return"
    LEAVE = "leave"
    STRING = "string"
    BIT_TEST = "bit test"
    NO_ACCESS = "no access"
    """A memory operand that is not, or not surely, accessed."""
    PUSH_FLAGS = "push flags"
    POP_FLAGS = "pop flags"
    QUESTION = "question"
    """Asks the processor what it is, or has."""
    STOP = "stop"
    """Never goes on to the next instruction."""


@dataclass(frozen=True, slots=True)
class Mnemonic:
    """`width` is the operand size in bits its suffix names, or None; `pure`: the last operand is written, not
    read; `condition`: the condition code it depends on; `is_compare`: writes all flags and nothing else;
    `anchor`: surely accesses its memory operand, or faults, as the verifier understands it; `most_operands`:
    with more, an assembler would choose an encoding that no sandbox may use."""

    base: str = ""
    kind: Kind = Kind.PLAIN
    width: int | None = None
    reads: int = 0
    kills: int = 0
    pure: bool = False
    lockable: bool = False
    condition: str | None = None
    is_compare: bool = False
    anchor: bool = False
    most_operands: int = 4


_SUFFIX_WIDTH = {"b": 8, "w": 16, "l": 32, "q": 64}

CONDITIONS = {
    **dict.fromkeys(("o", "no", "s", "ns", "e", "z", "ne", "nz", "p", "pe", "np", "po"), STATUS),
    **dict.fromkeys(("l", "nge", "ge", "nl", "le", "ng", "g", "nle"), STATUS),
    **dict.fromkeys(("b", "c", "nae", "ae", "nb", "nc"), CARRY),
    **dict.fromkeys(("be", "na", "a", "nbe"), FLAGS),
}
"""Condition code → the flags it reads."""

_SUFFIXED: tuple[tuple[str, str, Mnemonic], ...] = (
    ("mov", "bwlq", Mnemonic(kind=Kind.MOVE, pure=True, anchor=True)),
    ("movabs", "bwlq", Mnemonic(pure=True)),
    ("movbe", "wlq", Mnemonic(pure=True)),
    ("lea", "wlq", Mnemonic(kind=Kind.LEA, pure=True)),
    ("push", "q", Mnemonic(kind=Kind.PUSH)),
    ("pop", "q", Mnemonic(kind=Kind.POP, pure=True)),
    ("pushf", "q", Mnemonic(kind=Kind.PUSH_FLAGS, reads=FLAGS)),
    ("popf", "q", Mnemonic(kind=Kind.POP_FLAGS, kills=FLAGS)),
    ("add sub and or xor neg", "bwlq", Mnemonic(kills=FLAGS, lockable=True, anchor=True)),
    ("cmp test", "bwlq", Mnemonic(kills=FLAGS, is_compare=True, anchor=True)),
    ("adc sbb", "bwlq", Mnemonic(reads=CARRY, kills=FLAGS, lockable=True, anchor=True)),
    ("inc dec", "bwlq", Mnemonic(kills=STATUS, lockable=True, anchor=True)),
    ("not", "bwlq", Mnemonic(lockable=True, anchor=True)),
    ("xchg", "bwlq", Mnemonic(lockable=True)),
    ("xadd cmpxchg", "bwlq", Mnemonic(kills=FLAGS, lockable=True)),
    ("shl sal shr sar", "bwlq", Mnemonic(kind=Kind.SHIFT, kills=FLAGS)),
    ("shld shrd", "wlq", Mnemonic(kind=Kind.SHIFT, kills=FLAGS)),
    ("rol ror", "bwlq", Mnemonic(kind=Kind.SHIFT)),
    ("rcl rcr", "bwlq", Mnemonic(kind=Kind.SHIFT, reads=CARRY)),
    ("mul imul div idiv", "bwlq", Mnemonic(kills=FLAGS)),
    ("bt", "wlq", Mnemonic(kind=Kind.BIT_TEST, kills=CARRY)),
    ("bts btr btc", "wlq", Mnemonic(kind=Kind.BIT_TEST, kills=CARRY, lockable=True)),
    ("bsf bsr popcnt lzcnt tzcnt", "wlq", Mnemonic(kills=FLAGS)),
    ("bswap", "lq", Mnemonic()),
    ("andn bextr blsi blsmsk blsr bzhi", "lq", Mnemonic(kills=FLAGS)),
    ("mulx pdep pext rorx sarx shlx shrx", "lq", Mnemonic()),
    ("adcx", "lq", Mnemonic(reads=CARRY, kills=CARRY)),
    ("adox", "lq", Mnemonic(reads=STATUS)),
    ("crc32", "bwlq", Mnemonic()),
    ("rdrand rdseed", "wlq", Mnemonic(kills=FLAGS)),
    ("nop", "wlq", Mnemonic(kind=Kind.NO_ACCESS)),
    ("call", "q", Mnemonic(kind=Kind.CALL)),
    ("jmp", "q", Mnemonic(kind=Kind.JUMP)),
    ("ret", "q", Mnemonic(kind=Kind.RETURN)),
    ("leave", "q", Mnemonic(kind=Kind.LEAVE)),
    ("ud1", "wlq", Mnemonic(kind=Kind.STOP)),
    ("stos movs", "bwlq", Mnemonic(kind=Kind.STRING)),
)
"""Names, suffixes each may have, facts."""

_EXTENSIONS = """
    movzbw movzbl movzbq movzwl movzwq movsbw movsbl movsbq movswl movswq movslq movsxd movzb movzw
    movzx movsx
"""

_PLAIN: tuple[tuple[str, Mnemonic], ...] = (
    (_EXTENSIONS, Mnemonic(pure=True, anchor=True)),
    ("cbtw cwtl cltq cwtd cltd cqto cbw cwde cdqe cwd cdq cqo", Mnemonic()),
    ("cmpxchg8b cmpxchg16b", Mnemonic(lockable=True)),
    ("lahf", Mnemonic(reads=FLAGS)),
    ("sahf", Mnemonic()),
    ("clc stc", Mnemonic(kills=CARRY)),
    ("cmc", Mnemonic(reads=CARRY)),
    ("pause endbr64 mfence lfence sfence wait fwait int3", Mnemonic()),
    ("cpuid xgetbv rdtsc rdtscp", Mnemonic(kind=Kind.QUESTION)),
    ("ud2 hlt", Mnemonic(kind=Kind.STOP)),
    ("prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw", Mnemonic(kind=Kind.NO_ACCESS)),
    ("ldmxcsr stmxcsr", Mnemonic()),
    ("jecxz jrcxz loop", Mnemonic(kind=Kind.CONDITIONAL)),
    ("loope loopz loopne loopnz", Mnemonic(kind=Kind.CONDITIONAL, reads=STATUS)),
)

_X87 = """
    fld flds fldl fldt fld1 fldl2e fldl2t fldlg2 fldln2 fldpi fldz fild filds fildl fildll fildq fst
    fsts fstl fstp fstps fstpl fstpt fist fists fistl fistp fistps fistpl fistpll fistpq fisttp fisttps
    fisttpl fisttpll fisttpq fadd fadds faddl faddp fiadd fiadds fiaddl fsub fsubs fsubl fsubp fsubr
    fsubrs fsubrl fsubrp fisub fisubs fisubl fisubr fisubrs fisubrl fmul fmuls fmull fmulp fimul fimuls
    fimull fdiv fdivs fdivl fdivp fdivr fdivrs fdivrl fdivrp fidiv fidivs fidivl fidivr fidivrs fidivrl
    fcom fcoms fcoml fcomp fcomps fcompl fcompp ficom ficoms ficoml ficomp ficomps ficompl fucom fucomp
    fucompp fabs fchs fsqrt frndint fscale fxtract fprem fprem1 fsin fcos fsincos fptan fpatan f2xm1
    fyl2x fyl2xp1 ftst fxam fxch fnop fninit finit fldcw fstcw fnstcw fstsw fnstsw fclex fnclex
"""

_X87_COMPARISONS = "fcomi fcomip fcompi fucomi fucomip fucompi"
_X87_MOVES = "fcmovb fcmovnb fcmove fcmovne fcmovbe fcmovnbe fcmovu fcmovnu"
_MOVES = "movss movsd movd movq movaps movups movapd movupd movdqa movdqu"
_VECTOR_MOVES = frozenset(_MOVES.split())
"""Plain loads and stores, which are anchors; with a leading v too."""


_ONE = frozenset(["inc", "dec", "neg", "not"])
_THREE = frozenset(
    ["imul", "shld", "shrd", "andn", "bextr", "bzhi", "mulx", "pdep", "pext", "rorx", "sarx", "shlx", "shrx"]
)


def _most_operands(base: str) -> int:
    return 1 if base in _ONE else 3 if base in _THREE else 2


_Row = tuple[Mnemonic, dict[str, Any]]
"""Facts of several mnemonics, and what is this one's."""


class _Table(Mapping[str, Mnemonic]):
    """Most files have some thirty of the mnemonics: facts are put together when one is looked up."""

    def __init__(self, rows: dict[str, _Row]) -> None:
        self._rows = rows
        self._known: dict[str, Mnemonic] = {}

    def __getitem__(self, name: str) -> Mnemonic:
        found = self._known.get(name)
        if found is None:
            facts, own = self._rows[name]
            found = self._known[name] = replace(facts, **own)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _rows() -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for names, suffixes, facts in _SUFFIXED:
        for base in names.split():
            own: dict[str, Any] = {"base": base, "most_operands": _most_operands(base)}
            rows[base] = facts, own
            for suffix in suffixes:
                rows[base + suffix] = facts, {**own, "width": _SUFFIX_WIDTH[suffix]}
    for names, facts in _PLAIN:
        rows.update((name, (facts, {"base": name, "most_operands": 2})) for name in names.split())
    conditional, plain = Mnemonic(kind=Kind.CONDITIONAL), Mnemonic()
    # The manuals leave open whether a conditional load reads.
    move = Mnemonic(kind=Kind.NO_ACCESS, most_operands=2)
    for condition, reads in CONDITIONS.items():
        own = {"reads": reads, "condition": condition}
        rows[f"j{condition}"] = conditional, {"base": f"j{condition}", **own}
        rows[f"set{condition}"] = plain, {"base": f"set{condition}", **own}
        for suffix in ("", *"wlq"):
            width = _SUFFIX_WIDTH.get(suffix)
            rows.setdefault(
                f"cmov{condition}{suffix}", (move, {"base": f"cmov{condition}", "width": width, **own})
            )
    others = {
        **dict.fromkeys(_X87.split(), plain),
        **dict.fromkeys(_X87_COMPARISONS.split(), Mnemonic(kills=FLAGS)),
        **dict.fromkeys(_X87_MOVES.split(), Mnemonic(reads=FLAGS)),
        **dict.fromkeys(VECTOR_MNEMONICS.flag_writers, Mnemonic(kills=FLAGS)),
        **dict.fromkeys(VECTOR_MNEMONICS.masked, Mnemonic(kind=Kind.NO_ACCESS)),
    }
    rows.update((name, (facts, {"base": name})) for name, facts in others.items())
    for name in VECTOR_MNEMONICS.plain:
        # `movq` is there already, as a mov between general registers; the vector form is rewritten likewise.
        if name not in rows:
            pure = name in ("movd", "vmovd", "vmovq")
            anchor = name.removeprefix("v") in _VECTOR_MOVES
            rows[name] = plain, {"base": name, "pure": pure, "anchor": anchor}
    return rows


MNEMONICS: Mapping[str, Mnemonic] = _Table(_rows())
"""Mnemonic as written → facts."""
