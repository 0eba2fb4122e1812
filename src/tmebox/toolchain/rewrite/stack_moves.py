"""How a statement of assembly that a person wrote moves rsp, and what stands for moves by unknown numbers.

Of `static_stacks`, which knows how deep the stack is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tmebox.abi import RED_ZONE
from tmebox.records import dataclass, replace
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite import embedded
from tmebox.toolchain.rewrite.asm import Directive
from tmebox.toolchain.rewrite.hand_written import number
from tmebox.toolchain.rewrite.replacement import Refusal

ROOM = 32 << 10
"""For what a function asks by a register. OpenSSL's numbers of 16,384 bits ask for less."""
TRAP = "ud2"
_SKIP = "5470053"
"""A label: nobody writes such a number."""
_SPILL = RED_ZONE + 24
"""How far below rsp a register is kept meanwhile."""

_LABEL = regex(r"\s*([\w.$]+):")
_STATEMENT = regex(r"\s*(?:rep\s+)?([a-z]\w*)\s*(.*?)\s*")
_RETURN_BYTES = regex(r"\.byte\s+0xf3\s*,\s*0xc3", re.IGNORECASE)
_BYTE = r"(?:0x[0-9a-f]+|\d+)"
_BYTES = regex(rf"\.byte\s+({_BYTE}(?:\s*,\s*{_BYTE}){{2,14}})", re.IGNORECASE)
"""Which may be an instruction with rsp: people write `subq $8, %rsp` so for Windows, and for assemblers that
were old `aesenc (%rsp), %xmm0`."""
_BASES = frozenset(["push", "pop", "lea", "mov", "add", "sub", "and", "xchg", "ret", "jmp", "leave", "call"])
_WRITING = frozenset(
    ["mov", "lea", "and", "or", "xor", "add", "sub", "xchg", "shl", "shr", "neg", "not", "inc", "dec"]
)
_PUSHES = {"push": 8, "pushf": 8, "pushfq": 8, "pop": -8, "popf": -8, "popfq": -8}
_SETS_FLAGS = frozenset(["cmp", "test", "add", "sub", "and", "or", "xor", "neg", "ret", "call"])
_READS_FLAGS = regex(r"j(?!mp|[er]?cxz).*|set.*|cmov.*|ad[co].*|sbb.*|rc[lr].*|pushf.*|lahf|loop.+|fcmov.*")

_ALIGNS = regex(r"\$-(\d+|0x[0-9a-f]+)\s*,\s*%rsp")
_FROM_REGISTER = regex(r"()%(r\w+)\s*,\s*%rsp")
_FROM_ADDRESS = regex(r"([^,(%]*)\(\s*%(r\w+)\s*\)\s*,\s*%rsp")
_FROM_SUM = regex(r"\(\s*%(r\w+)\s*,\s*%(r\w+)\s*(?:,\s*1\s*)?\)\s*,\s*%rsp")
_EXCHANGE = regex(r"%rsp\s*,\s*%(r\w+)|%(r\w+)\s*,\s*%rsp")
_OWN = regex(r"([^,(%]*)\(\s*%rsp\s*\)\s*,\s*%rsp")
_CONSTANT = regex(r"\$([^,%]+),\s*%rsp")
_PLAIN = regex(r"%r\w+|\$.+")


_RSP = 4
"""Its number, which an encoding has somewhere."""
_SAYS_NOTHING = (".cfi", "#")


class UnclearError(Exception):
    """A frame that is not understood."""


@dataclass
class Statement:
    """text: as it is written. continues: stands on the line of the one before. key: of a label its name, or
    one of our own where that is a number. target: the key of the label that it jumps
    to."""

    text: str
    continues: bool = False
    label: str = ""
    mnemonic: str = ""
    operands: str = ""
    key: str = ""
    target: str = ""
    was_bytes: bool = False

    @property
    def deepening(self) -> int | None:
        """By how much it moves rsp down, if that is a number."""
        if self.mnemonic in _PUSHES:
            return _PUSHES[self.mnemonic]
        if self.mnemonic == "lea" and (found := _OWN.fullmatch(self.operands)):
            value = number(found[1] or "0")
            return None if value is None else -value
        if self.mnemonic in ("add", "sub") and (found := _CONSTANT.fullmatch(self.operands)):
            value = number(found[1])
            return None if value is None else value if self.mnemonic == "sub" else -value
        return None if self.writes_rsp else 0

    @property
    def writes_rsp(self) -> bool:
        return self.mnemonic in _WRITING and self.operands.endswith("%rsp")

    @property
    def is_jump(self) -> bool:
        return self.mnemonic.startswith(("j", "loop"))

    @property
    def sets_flags(self) -> bool:
        return self.mnemonic.rstrip("bwlq") in _SETS_FLAGS or self.mnemonic in _SETS_FLAGS

    @property
    def reads_flags(self) -> bool:
        return _READS_FLAGS.fullmatch(self.mnemonic) is not None

    @property
    def is_unknown(self) -> bool:
        """Whether it moves rsp by what is not a constant, in one of the ways that have a constant one."""
        mnemonic, operands = self.mnemonic, self.operands
        if mnemonic in ("mov", "sub"):
            return _FROM_REGISTER.fullmatch(operands) is not None
        if mnemonic == "lea":
            found = _FROM_ADDRESS.fullmatch(operands)
            return (found is not None and found[2] != "rsp") or _FROM_SUM.fullmatch(operands) is not None
        is_exchange = mnemonic == "xchg" and _EXCHANGE.fullmatch(operands) is not None
        return is_exchange or mnemonic == "leave" or self.alignment is not None

    @property
    def alignment(self) -> int | None:
        found = _ALIGNS.fullmatch(self.operands) if self.mnemonic == "and" else None
        value = int(found[1], 0) if found else 0
        return value if value and value & (value - 1) == 0 else None

    @property
    def origin(self) -> tuple[str, int] | None:
        """The register that rsp comes from, and how far from it."""
        found = (_FROM_ADDRESS if self.mnemonic == "lea" else _FROM_REGISTER).fullmatch(self.operands)
        value = number(found[1] or "0") if found else None
        return None if found is None or value is None else (found[2], value)


def statements(text: str) -> list[Statement]:
    """Bytes that an instruction follows are instructions, too; others are tables."""
    found = [one for line in text.split("\n") for one in _of_line(line)]
    is_code = False
    for place in range(len(found) - 1, -1, -1):
        one = found[place]
        if one.mnemonic:
            is_code = True
        elif one.text.lstrip().startswith(".byte"):
            found[place] = _decoded(one) if is_code else one
        elif one.label or not one.text.lstrip().startswith(_SAYS_NOTHING):
            is_code = is_code and not one.label and not one.text.strip()
    return found


def _of_line(line: str) -> Iterator[Statement]:
    code = line.partition("#")[0]
    if '"' in code or not code.strip():
        yield Statement(line)
        return
    continues = False
    for whole in code.split(";"):
        piece = whole
        while (label := _LABEL.match(piece)) is not None:
            yield Statement(f"{label[1]}:", continues, label[1])
            piece, continues = piece[label.end() :], True
        if piece.strip() or not continues:
            yield _of_piece(piece, continues)
            continues = True


def _of_piece(piece: str, continues: bool) -> Statement:
    if _RETURN_BYTES.fullmatch(piece.strip()):
        return Statement(piece, continues, "", "ret")
    found = _STATEMENT.fullmatch(piece)
    if found is None:
        return Statement(piece, continues)
    mnemonic = found[1]
    base = mnemonic[:-1] if mnemonic.endswith("q") and mnemonic[:-1] in _BASES else mnemonic
    return Statement(piece, continues, "", base, found[2])


def _decoded(one: Statement) -> Statement:
    """As an instruction, if it is bytes of a single one that has to do with rsp."""
    found = _BYTES.fullmatch(one.text.strip())
    if found is None or all(int(byte, 0) & 7 != _RSP for byte in found[1].split(",")):
        return one
    try:
        made = list(embedded.instructions([Directive(".byte", found[1])]))
    except Refusal:
        return one
    if len(made) != 1 or "%rsp" not in made[0]:
        return one
    return replace(_of_piece(f"\t{made[0]}", one.continues), was_bytes=True)


def pushed(statement: Statement) -> Sequence[str]:
    """A push or pop of what others may look for by its address. Raises UnclearError."""
    operand = statement.operands
    if statement.mnemonic == "pop":
        if not operand.startswith("%r") or operand == "%rsp":
            raise UnclearError
        return f"movq (%rsp), {operand}", "leaq 8(%rsp), %rsp"
    if operand == "%rsp":
        raise UnclearError
    if _PLAIN.fullmatch(operand):
        return "leaq -8(%rsp), %rsp", f"movq {operand}, (%rsp)"
    kept = "%rcx" if "%rax" in operand else "%rax"
    return (
        f"movq {kept}, -{_SPILL}(%rsp)",
        f"movq {operand}, {kept}",
        f"movq {kept}, -8(%rsp)",
        f"movq -{_SPILL}(%rsp), {kept}",
        "leaq -8(%rsp), %rsp",
    )


def back(register: str, displacement: int, up: int) -> Sequence[str]:
    """Up to where a copy of rsp says, which is compared with where it has to be. Overwrites the flags."""
    if up < 0:
        raise UnclearError
    to_here = displacement - up
    compared = [f"cmpq %rsp, %{register}"]
    if to_here:
        compared = [f"leaq {to_here}(%{register}), %{register}", *compared]
        compared.append(f"leaq {-to_here}(%{register}), %{register}")
    return (*compared, f"je {_SKIP}f", TRAP, f"{_SKIP}: leaq {up}(%rsp), %rsp")


def down(statement: Statement, room: int) -> Sequence[str]:
    """By so much, and ROOM has to be enough. Overwrites the flags. Raises UnclearError."""
    operands = statement.operands
    if statement.mnemonic == "sub" and (found := _FROM_REGISTER.fullmatch(operands)):
        enough = f"cmpq ${ROOM}, %{found[2]}", f"jbe {_SKIP}f", TRAP
        return (*enough, f"{_SKIP}: leaq -{room}(%rsp), %rsp")
    if statement.mnemonic == "xchg" and (found := _EXCHANGE.fullmatch(operands)):
        register = found[1] or found[2]
        return (*_to(register, room), f"leaq {room}(%rsp), %{register}")
    if found := _FROM_SUM.fullmatch(operands):
        total, other = found[1], found[2]
        if total == other or "rsp" in (total, other):
            raise UnclearError
        return f"leaq (%{total},%{other}), %{total}", *_to(total, room), f"subq %{other}, %{total}"
    origin = statement.origin
    if origin is None or origin[1]:
        raise UnclearError
    return _to(origin[0], room)


def _to(register: str, room: int) -> Sequence[str]:
    """Below what a register says."""
    return (
        f"cmpq %rsp, %{register}",
        f"ja {_SKIP}f",
        f"leaq {ROOM}(%{register}), %{register}",
        f"cmpq %rsp, %{register}",
        f"leaq -{ROOM}(%{register}), %{register}",
        f"jae {_SKIP}1f",
        f"{_SKIP}: {TRAP}",
        f"{_SKIP}1: leaq -{room}(%rsp), %rsp",
    )
