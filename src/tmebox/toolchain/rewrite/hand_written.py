"""Which stack accesses of assembly that a person wrote go to the control stack, and which to its twin: what
`frames` does for a compiler's. Inline assembly, too.

Return addresses, and what was pushed, are where rsp points. All else has addresses, and is in the twin:
arguments, and what `sub` has made room for."""

from __future__ import annotations

import re
from collections.abc import Callable

from tmebox.records import dataclass, field
from tmebox.toolchain.patterns import regex

_STATEMENT = regex(r"\s*(?:rep\w*\s+|lock\s+)?(\w+)\s*(.*)")
_LABEL = regex(r"\s*([\w.$]+):")
_STACK = regex(r"\(\s*%rsp\s*(,[^)]*)?\)")
_BEFORE_OPERAND = regex(r"(?:.*,|\s*(?:(?:rep\w*|lock|bnd|notrack)\s+)?\w+(?=\s))\s*\*?\s*")
_CONSTANT = regex(r"\$(-?\w+)\s*,\s*%rsp\s*")
_PIECE = regex(r"\w+|[-+*()]")
_DEEPEST = 50
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
    return Placing(lambda offset: 0 <= offset < _RETURN_ADDRESS).text(text)


class Placing:
    """Statement by statement. keeps: whether what lies so far above where rsp was at the beginning is where
    rsp points. moves: by how much it lies higher than it says."""

    def __init__(self, keeps: Callable[[int], bool], moves: Callable[[int], int] = lambda _: 0) -> None:
        self._keeps, self._moves = keeps, moves
        self._stack: _Stack | None = _Stack()
        self._at_labels: dict[str, _Stack] = {}

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

    def _instruction(self, statement: str) -> str:
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
        if base == "push":
            stack.move(8)
            stack.pushed.add(stack.depth)
        elif base == "pop":
            stack.move(-8)
        elif base in ("add", "sub") and constant and _number(constant[1]) is not None:
            amount = _number(constant[1]) or 0
            stack.move(amount if base == "sub" else -amount)
        elif base == "lea" and (found := re.fullmatch(r"(-?\w+)?\(%rsp\)\s*,\s*%rsp", operands)):
            stack.move(-(_number(found[1] or "0") or 0))
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
        displacement = _number(written or "0")
        if displacement is not None:
            offset = displacement - stack.depth
            displacement += self._moves(offset)
            kept = match[1] is None and (stack.pushed_at(offset) or self._keeps(offset))
            written = str(displacement or "")
        else:
            kept = False
        inside = match[0][1:-1] if is_address else "%rsp" if kept else f"%esp{narrow(match[1] or '')}"
        return f"{statement[:start]}{written}({inside}){statement[match.end() :]}"


_NARROW = {f"%r{letters}": f"%e{letters}" for letters in ("ax", "bx", "cx", "dx", "si", "di", "bp")}


def narrow(index: str) -> str:
    return re.sub(r"%r\w+", lambda match: _NARROW.get(match[0], f"{match[0]}d"), index)


def _number(text: str) -> int | None:
    """The value of sums and products of numbers, as `64+8*(2+1)`; None for anything else."""
    try:
        return int(text, 0)
    except ValueError:
        pass
    pieces = _PIECE.findall(text)
    if "".join(pieces) != text or pieces.count("(") > _DEEPEST:
        return None
    pieces.append("")
    try:
        value = _sum(pieces)
    except ValueError:
        return None
    return value if pieces == [""] else None


def _sum(pieces: list[str]) -> int:
    """Of what stands at the beginning of `pieces`, which it takes away. Raises ValueError."""
    value = 0 if pieces[0] in ("+", "-") else _product(pieces)
    while pieces[0] in ("+", "-"):
        value += _product(pieces) if pieces.pop(0) == "+" else -_product(pieces)
    return value


def _product(pieces: list[str]) -> int:
    value = _factor(pieces)
    while pieces[0] == "*":
        pieces.pop(0)
        value *= _factor(pieces)
    return value


def _factor(pieces: list[str]) -> int:
    first = pieces.pop(0)
    if first != "(":
        return int(first, 0)
    value = _sum(pieces)
    if pieces.pop(0) != ")":
        raise ValueError
    return value
