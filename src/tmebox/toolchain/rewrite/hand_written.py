"""Which stack accesses of assembly that a person wrote go to the control stack, and which to its twin: what
`frames` does for a compiler's. Inline assembly, too.

Return addresses, and what was pushed, are where rsp points. All else has addresses, and is in the twin:
arguments, and what `sub` has made room for. A distance from rsp has to be a number, or made of symbols that
are numbers further up: else nobody knows where it leads, and it stays for the rewriter to refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tmebox.abi import TWIN_DISTANCE
from tmebox.records import dataclass, field
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.asm import constant
from tmebox.toolchain.rewrite.replacement import Refusal

_STATEMENT = regex(r"\s*(?:rep\w*\s+|lock\s+)?(\w+)\s*(.*)")
_LABEL = regex(r"\s*([\w.$]+):")
_STACK = regex(r"\(\s*%rsp\s*(,[^)]*)?\)")
_BEFORE_OPERAND = regex(r"(?:.*,|\s*(?:(?:rep\w*|lock|bnd|notrack)\s+)?\w+(?=\s))\s*\*?\s*")
_CONSTANT = regex(r"\$([^,%]+),\s*%rsp\s*")
_FROM_ITSELF = regex(r"([^,%]*)\(%rsp\)\s*,\s*%rsp")
_ASSIGNMENT = regex(r"\s*(?:\.(?:set|equ|equiv)\s+([\w.$]+)\s*,|([\w.$]+)\s*=(?!=))(.+)")
_PIECE = regex(r"[\w.$]+|[-+*()]")
_NOTHING: Mapping[str, int] = {}
_DISTANCE = regex(r"(?:%gs:|[\s,*])([^\s,(:]+)\(%[re]sp\b")
_DEEPEST = 50
_LONGEST = 1000
"""Pieces of an expression: the product of many numbers takes quadratic time."""
_BITS = 64
_RETURN_ADDRESS = 8


@dataclass
class _Stack:
    """depth: how far rsp is below the return address. pushed: depths at which something was pushed."""

    depth: int = 0
    pushed: set[int] = field(default_factory=set)

    def move(self, amount: int) -> None:
        self.depth += amount
        self.pushed = {depth for depth in self.pushed if depth <= self.depth}

    def pushed_at(self, offset: int) -> bool:
        return -(offset // 8 * 8) in self.pushed

    def copy(self) -> _Stack:
        return _Stack(self.depth, set(self.pushed))


def with_twin(text: str) -> str:
    """Statements that are not understood stay as they are."""
    return placing().text(text)


def placing() -> Placing:
    """For functions, which are entered with nothing but the return address where rsp points."""
    return Placing(lambda offset: 0 <= offset < _RETURN_ADDRESS)


class Placing:
    """Statement by statement. keeps: whether what lies so far above where rsp was at the beginning is where
    rsp points. moves: by how much it lies higher than it says."""

    def __init__(self, keeps: Callable[[int], bool], moves: Callable[[int], int] = lambda _: 0) -> None:
        self._keeps, self._moves = keeps, moves
        self._stack: _Stack | None = _Stack()
        self._at_labels: dict[str, _Stack] = {}
        self._numbers: dict[str, int] = {}
        """What symbols stand for from here on."""

    def text(self, text: str) -> str:
        return "\n".join(self.line(line) for line in text.split("\n"))

    def line(self, line: str) -> str:
        code, mark, comment = line.partition("#")
        if '"' in code:
            return line
        return ";".join(map(self._statement, code.split(";"))) + mark + comment

    def _statement(self, statement: str) -> str:
        label = ""
        while match := _LABEL.match(statement):
            label += match[0]
            self._arrive(match[1])
            statement = statement[match.end() :]
        return label + self._instruction(statement)

    def _arrive(self, name: str) -> None:
        if name.isdigit():
            name += "f"
        known = self._at_labels.pop(name, None)
        if known is not None:
            self._stack = known
        elif not name.startswith(".") and not name[0].isdigit():
            self._stack = _Stack()

    def _assign(self, name: str, expression: str) -> None:
        value = number(expression, self._numbers)
        if value is None or abs(value) >> _BITS:
            self._numbers.pop(name, None)
        else:
            self._numbers[name] = value

    def _instruction(self, statement: str) -> str:
        if assigned := _ASSIGNMENT.fullmatch(statement):
            self._assign(assigned[1] or assigned[2], assigned[3])
            return statement
        match = _STATEMENT.fullmatch(statement)
        if match is None or statement.lstrip().startswith("."):
            return statement
        mnemonic, operands = match[1], match[2].strip()
        stack = self._stack if self._stack is not None else _Stack()
        placed = self._placed(statement, stack, is_address=mnemonic.startswith("lea"))
        base = (
            mnemonic[:-1] if mnemonic.endswith(("q", "l")) and mnemonic not in ("call", "sal") else mnemonic
        )
        constant = _CONSTANT.fullmatch(operands)
        amount = number(constant[1], self._numbers) if constant else None
        if base == "push":
            stack.move(8)
            stack.pushed.add(stack.depth)
        elif base == "pop":
            stack.move(-8)
        elif base in ("add", "sub") and amount is not None:
            stack.move(amount if base == "sub" else -amount)
            placed = f"{statement[: match.start(2)]}${amount}, %rsp"
        elif base == "lea" and (found := _FROM_ITSELF.fullmatch(operands)):
            stack.move(-(number(found[1] or "0", self._numbers) or 0))
        if base.startswith("j"):
            self._at_labels.setdefault(operands, stack.copy())
        self._stack = None if base in ("jmp", "ret", "ud2", "hlt") else stack
        return placed

    def _placed(self, statement: str, stack: _Stack, *, is_address: bool) -> str:
        match = _STACK.search(statement)
        if match is None:
            return statement
        before = _BEFORE_OPERAND.match(statement, 0, match.start())
        start = before.end() if before else match.start()
        written = "".join(statement[start : match.start()].split())
        displacement = number(written or "0", self._numbers)
        if displacement is None:
            return statement
        offset = displacement - stack.depth
        displacement += self._moves(offset)
        kept = match[1] is None and (stack.pushed_at(offset) or self._keeps(offset))
        written = str(displacement or "")
        inside = match[0][1:-1] if is_address else "%rsp" if kept else f"%esp{narrow(match[1] or '')}"
        return f"{statement[:start]}{written}({inside}){statement[match.end() :]}"


_NARROW = {f"%r{letters}": f"%e{letters}" for letters in ("ax", "bx", "cx", "dx", "si", "di", "bp")}


def narrow(index: str) -> str:
    return re.sub(r"%r\w+", lambda match: _NARROW.get(match[0], f"{match[0]}d"), index)


def number(text: str, symbols: Mapping[str, int] = _NOTHING) -> int | None:
    """The value of an expression of numbers, as `64+8*(2+1)`, and of symbols; None for anything else."""
    text = text.strip()
    try:
        return int(text, 0)
    except ValueError:
        pass
    pieces = _PIECE.findall(text)
    if len(pieces) > _LONGEST or "".join(pieces) != "".join(text.split()) or pieces.count("(") > _DEEPEST:
        return None
    pieces.append("")
    try:
        value = _sum(pieces, symbols)
    except ValueError:
        return None
    return value if pieces == [""] else None


def _sum(pieces: list[str], symbols: Mapping[str, int]) -> int:
    """Of what stands at the beginning of `pieces`, which it takes away. Raises ValueError."""
    value = 0 if pieces[0] in ("+", "-") else _product(pieces, symbols)
    while pieces[0] in ("+", "-"):
        value += _product(pieces, symbols) if pieces.pop(0) == "+" else -_product(pieces, symbols)
    return value


def _product(pieces: list[str], symbols: Mapping[str, int]) -> int:
    value = _factor(pieces, symbols)
    while pieces[0] == "*":
        pieces.pop(0)
        value *= _factor(pieces, symbols)
    return value


def _factor(pieces: list[str], symbols: Mapping[str, int]) -> int:
    first = pieces.pop(0)
    if first in symbols:
        return symbols[first]
    if first != "(":
        return int(first, 0)
    value = _sum(pieces, symbols)
    if pieces.pop(0) != ")":
        raise ValueError
    return value


def refuse_unknown(*texts: str) -> None:
    """Raises Refusal for what names a place at a distance from rsp which is not a number."""
    for text in texts:
        for written in _DISTANCE.findall(text) if "sp" in text else ():
            if constant(written) is None:
                raise Refusal(
                    f"`{written.removesuffix(f'-{TWIN_DISTANCE}')}(%rsp)`: a distance from the stack "
                    "pointer has to be a number, or a symbol that is one further up (`.set`)"
                )
