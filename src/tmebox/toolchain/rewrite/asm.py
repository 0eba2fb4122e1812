"""GNU assembly for x86-64 in AT&T syntax: text → nodes → text.

Understands what clang, gcc and people write: several statements on a line, prefixes of their own, quoted
names, numeric labels, comments of all kinds. It knows the shape of a statement, not its meaning: what a
mnemonic or a directive does is decided elsewhere. What has no such shape is an AsmSyntaxError: above all what
LLVM's assembler, which reads the result, could take for other statements than these. Outside of strings and
comments there is printable ASCII only.

`parse_line(print_statement(node))` gives `node` back.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tmebox.records import dataclass
from tmebox.toolchain.patterns import regex

PREFIXES = frozenset(["lock", "rep", "repe", "repz", "repne", "repnz", "notrack"])
MOST_PREFIXES = 14
"""An instruction has at most 15 bytes."""

MARKS = ("TAILCALL", "LONGJMP", "LANDING")
"""Words in a comment that say what an indirect jump is for; clang writes the first, people the second."""


class AsmSyntaxError(ValueError):
    """A line that is not assembly as this module knows it."""


@dataclass(frozen=True, slots=True)
class Register:
    name: str

    def __str__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True, slots=True)
class Immediate:
    expression: str

    def __str__(self) -> str:
        return f"${self.expression}"


@dataclass(frozen=True, slots=True)
class Memory:
    """`segment:displacement(base,index,scale)`; a bare symbol, such as a direct branch's target, too."""

    displacement: str = ""
    base: str | None = None
    index: str | None = None
    scale: int = 1
    segment: str | None = None

    @property
    def is_bare(self) -> bool:
        return self.base is None and self.index is None and self.segment is None

    def __str__(self) -> str:
        text = f"%{self.segment}:{self.displacement}" if self.segment else self.displacement
        if self.base is None and self.index is None:
            return text
        base = f"%{self.base}" if self.base else ""
        if self.index is None:
            return f"{text}({base})"
        scale = f",{self.scale}" if self.scale != 1 else ""
        return f"{text}({base},%{self.index}{scale})"


@dataclass(frozen=True, slots=True)
class Indirect:
    """`*operand` of an indirect call or jump."""

    operand: Register | Memory

    def __str__(self) -> str:
        return f"*{self.operand}"


Operand = Register | Immediate | Memory | Indirect


@dataclass(frozen=True, slots=True)
class Instruction:
    """`mnemonic` is empty when the line holds nothing but prefixes, which then belong to the next line."""

    mnemonic: str
    operands: tuple[Operand, ...] = ()
    prefixes: tuple[str, ...] = ()
    mark: str | None = None

    def __str__(self) -> str:
        words = " ".join(word for word in (*self.prefixes, self.mnemonic) if word)
        text = f"\t{words}\t{', '.join(map(str, self.operands))}" if self.operands else f"\t{words}"
        return f"{text}\t# {self.mark}" if self.mark else text


@dataclass(frozen=True, slots=True)
class Label:
    name: str

    def __str__(self) -> str:
        return f"{self.name}:"


@dataclass(frozen=True, slots=True)
class Directive:
    """`arguments` is the text after the name; `name = value` is the directive `.set name, value`."""

    name: str
    arguments: str = ""

    def __str__(self) -> str:
        return f"\t{self.name}\t{self.arguments}" if self.arguments else f"\t{self.name}"


@dataclass(frozen=True, slots=True)
class LineMarker:
    """`# 12 "file.c"`: the next line stands for that place."""

    line: int
    file: str

    def __str__(self) -> str:
        return f'# {self.line} "{self.file}"'


@dataclass(frozen=True, slots=True)
class InlineAssembly:
    """`#APP` and `#NO_APP`, between which a compiler puts the user's assembly."""

    begins: bool

    def __str__(self) -> str:
        return "#APP" if self.begins else "#NO_APP"


Statement = Instruction | Label | Directive | LineMarker | InlineAssembly

# -- lines --------------------------------------------------------------------------------------------

STRING = r'"(?:[^"\\\x00-\x08\n-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"'
PLAIN = r"\t !$-&(-.0-:<-\[\]-~"
"""Of a class of characters: those that mean themselves wherever they stand. The others begin or end something
(`"`, `#`, `'`, `/`, `;`) or mean nothing outside of macros."""
_CHARACTER = r"'(?:\\[bfnrt!-/:-@\[-`{-~]|[\t -\[\]-~])'"
"""As LLVM has them: closed, and of one character. What it reads otherwise than GNU's (`'\\0'`) is none."""
_SYMBOL = rf"(?:[A-Za-z_.$][\w.$]*|{STRING})"
_PLAIN_LINE = regex(rf"[{PLAIN}]*")
_PIECES = regex(rf"{STRING}|;|#.*|//.*|[{PLAIN}]+|/")
_STRINGS = regex(STRING)
_NEXT = rf"{STRING}|#[^\n]*|//[^\n]*|/\*|{_CHARACTER}"
_NEXT_OR_END = rf"\n|{_NEXT}"
_IS_WANTED = rf"^(?:[^\"'#/\n]|{STRING}|/(?![*/]))*(?:'|/\*)"
"""Of a line: a comment or a character constant begins there."""
_ESCAPED = {"b": 8, "t": 9, "n": 10, "f": 12, "r": 13}
_LABEL = regex(rf"\s*({_SYMBOL}|\d+)\s*:(?!:)", re.ASCII)
_OWN_LABEL = regex(r"(\.L\w+):\Z", re.ASCII)
_ASSIGNMENT = regex(rf"\s*({_SYMBOL})\s*=\s*(?!=)(.*)\Z", re.ASCII)
_DIRECTIVE = regex(r"\s*(\.[A-Za-z_]\w*)(?:\s+(.*))?\Z", re.ASCII)
_WORD = regex(r"\s*([A-Za-z]\w*)(?=[\s{]|\Z)\s*", re.ASCII)
_LINE_MARKER = regex(r'#\s*(?:line\s+)?(\d{1,9})\s+"((?:[^"\\]|\\.)*)"', re.ASCII)


def normalized(text: str) -> str:
    """`/* … */` becomes a space, and character constants their numbers; strings and line comments stay. The
    newlines of a comment, which do not end a statement, come after the line. Raises AsmSyntaxError."""
    if ("/*" not in text and "'" not in text) or regex(_IS_WANTED, re.MULTILINE).search(text) is None:
        return text
    out = []
    position = skipped = 0
    while found := regex(_NEXT_OR_END if skipped else _NEXT).search(text, position):
        item = found.group()
        out.append(text[position : found.start()])
        position = found.end()
        if item == "\n":
            out.append("\n" * (skipped + 1))
            skipped = 0
        elif item == "/*":
            end = text.find("*/", position)
            if end < 0:
                raise AsmSyntaxError("a comment that does not end")
            skipped += text.count("\n", position, end)
            out.append(" ")
            position = end + 2
        elif item[0] == "'":
            out.append(f" {_ESCAPED.get(item[-2], ord(item[-2])) if len(item) > 3 else ord(item[1])} ")
        else:
            out.append(item)
    return "".join([*out, text[position:], "\n" * skipped])


def own_label(line: str) -> str | None:
    """Its name, if the line is a label that a compiler has made up, as a third of all lines are."""
    label = _OWN_LABEL.match(line) if line.startswith(".L") else None
    return label[1] if label else None


@lru_cache(maxsize=1 << 15)
def parse_line(line: str) -> tuple[Statement, ...]:
    """The statements of one line of `normalized` text, in order. Most lines of a program repeat, and what
    accesses no memory is read again when it is instrumented. Raises AsmSyntaxError."""
    if (name := own_label(line)) is not None:
        return (Label(name),)
    if line.startswith("#"):
        return _parse_hash_line(line)
    comment = ""
    pieces: list[str] = [""]
    if _PLAIN_LINE.fullmatch(line) is None:
        for piece in _split(line):
            if piece[0] == "#" or piece.startswith("//"):
                comment = piece
            elif piece == ";":
                pieces.append("")
            else:
                pieces[-1] += piece
    else:
        pieces = [line]
    statements: list[Statement] = []
    for piece in pieces:
        _parse_piece(piece, statements)
    return _with_mark(tuple(statements), comment) if comment else tuple(statements)


def _split(line: str) -> list[str]:
    pieces = _PIECES.findall(line)
    if sum(map(len, pieces)) != len(line):
        raise AsmSyntaxError(_what_is_wrong(line))
    return pieces


def _what_is_wrong(line: str) -> str:
    position = 0
    while piece := _PIECES.match(line, position):
        position = piece.end()
    character = line[position]
    if character == '"':
        return "a string that does not end, or has control characters"
    if character == "'":
        return "a character constant is one character between two quotes, or one of \\b \\f \\n \\r \\t"
    return f"{character!a} has no meaning outside of strings"


def _parse_hash_line(line: str) -> tuple[Statement, ...]:
    if line.startswith(("#APP", "#NO_APP")):
        return (InlineAssembly(line.startswith("#APP")),)
    if marker := _LINE_MARKER.match(line):
        return (LineMarker(int(marker[1]), marker[2]),)
    return ()


def _with_mark(statements: tuple[Statement, ...], comment: str) -> tuple[Statement, ...]:
    mark = next((mark for mark in MARKS if mark in comment), None)
    if mark is None or not statements or not isinstance(statements[-1], Instruction):
        return statements
    last = statements[-1]
    return (*statements[:-1], Instruction(last.mnemonic, last.operands, last.prefixes, mark))


def _parse_piece(text: str, statements: list[Statement]) -> None:
    while label := _LABEL.match(text):
        statements.append(Label(label[1]))
        text = text[label.end() :]
    text = text.strip()
    if not text:
        return
    prefixes: tuple[str, ...] = ()
    if statements and isinstance(statements[-1], Instruction) and not statements[-1].mnemonic:
        prefixes = statements[-1].prefixes
    if assignment := _ASSIGNMENT.match(text):
        statement: Statement = Directive(".set", f"{assignment[1]}, {assignment[2].strip()}")
    elif directive := _DIRECTIVE.match(text):
        statement = Directive(directive[1].lower(), _arguments(directive[2] or ""))
    else:
        statement = parse_instruction(text, prefixes)
        if prefixes:
            statements.pop()
            prefixes = ()
    if prefixes:
        raise AsmSyntaxError(f"`{' '.join(prefixes)}` without an instruction")
    statements.append(statement)


def _arguments(text: str) -> str:
    """Of a directive. Behind a colon, or with a value, its name would be a symbol's for the assembler."""
    text = text.strip()
    if (":" in text or "=" in text) and not {":", "="}.isdisjoint(_STRINGS.sub("", text)):
        raise AsmSyntaxError("`:` and `=` are no part of a directive")
    return text


def parse_instruction(text: str, prefixes: tuple[str, ...] = ()) -> Instruction:
    while True:
        word = _WORD.match(text)
        if word is None:
            raise AsmSyntaxError("not an instruction")
        text = text[word.end() :]
        name = word[1].lower()
        if name not in PREFIXES:
            return Instruction(name, tuple(parse_operand(item) for item in split_operands(text)), prefixes)
        prefixes += (name,)
        if len(prefixes) > MOST_PREFIXES:
            raise AsmSyntaxError(f"more than {MOST_PREFIXES} prefixes of one instruction")
        if not text:
            return Instruction("", (), prefixes)


# -- operands -----------------------------------------------------------------------------------------

_OPERANDS = regex(rf"{STRING}|[(),]|[^\"(),]+")
_REGISTER = regex(r"%([a-z]\w*|st\s*\(\s*[0-7]\s*\))\Z", re.ASCII)
_SEGMENT = regex(r"%([c-gs]s)\s*:\s*")
_ADDRESS = regex(r"\(\s*(?:%(\w+)\s*)?(?:,\s*%(\w+)\s*(?:,\s*([1248])\s*)?)?\)\Z", re.ASCII)
_TOKEN = regex(
    rf"\s*(?:(?P<word>0[xX][0-9a-fA-F]+|\d+[bf]?(?![\w.$])|{_SYMBOL}(?:@[A-Za-z]\w*)?)|(?P<operator><<|>>|[-+*/~!&|^()]))\s*",
    re.ASCII,
)


def split_operands(text: str) -> list[str]:
    """Split at the commas outside parentheses and strings."""
    items: list[str] = []
    depth = 0
    current = ""
    for piece in _OPERANDS.findall(text):
        depth += (piece == "(") - (piece == ")")
        if piece == "," and depth == 0:
            items.append(current)
            current = ""
        else:
            current += piece
    if items or current.strip():
        items.append(current)
    return [item.strip() for item in items]


def parse_operand(text: str) -> Operand:
    if text.startswith("%"):
        lowered = text.lower()
        if register := _REGISTER.match(lowered):
            return Register("".join(register[1].split()))
        if segment := _SEGMENT.match(lowered):
            return _parse_memory(text[segment.end() :], segment[1])
        raise AsmSyntaxError(f"`{text}` is not an operand")
    if text.startswith("$"):
        return Immediate(parse_expression(text[1:]))
    if text.startswith("*"):
        inner = parse_operand(text[1:].strip())
        if isinstance(inner, (Register, Memory)):
            return Indirect(inner)
        raise AsmSyntaxError(f"`{text}` is not an operand")
    return _parse_memory(text, None)


def _parse_memory(text: str, segment: str | None) -> Memory:
    text = text.strip()
    start = text.rfind("(")
    if start >= 0 and (address := _ADDRESS.match(text, start)) and (address[1] or address[2]):
        displacement = text[:start].strip()
        return Memory(
            parse_expression(displacement) if displacement else "",
            address[1] and address[1].lower(),
            address[2] and address[2].lower(),
            int(address[3] or 1),
            segment,
        )
    return Memory(parse_expression(text), segment=segment)


def parse_expression(text: str) -> str:
    """Check that `text` is an expression of symbols and numbers; return it without its spaces. With operators
    that have no operands these could make a comment, as `1 / *2` would. Raises AsmSyntaxError."""
    if text.isdecimal():
        return text
    tokens = []
    position = depth = 0
    is_whole = False
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise AsmSyntaxError(f"`{text.strip()}` is not an operand")
        word, operator = token["word"], token["operator"]
        depth += (operator == "(") - (operator == ")")
        begins = word is not None or operator in _BEFORE_OPERANDS
        ends = operator is not None and operator not in ("(", "~")
        if depth < 0 or not (ends if is_whole else begins):
            raise AsmSyntaxError(f"`{text.strip()}` is not an operand")
        is_whole = word is not None or operator == ")"
        tokens.append(word or operator)
        position = token.end()
    if not tokens:
        raise AsmSyntaxError("an operand is missing")
    if depth or not is_whole:
        raise AsmSyntaxError(f"`{text.strip()}` is not an operand")
    return "".join(tokens)


_BEFORE_OPERANDS = frozenset("-+~!(")
_TERMS = regex(r"(?:[-+]?(?:0[xX][0-9a-fA-F]+|\d{1,40}))+\Z", re.ASCII)
_TERM = regex(r"([-+]?)(0[xX][0-9a-fA-F]+|\d{1,40})", re.ASCII)


def constant(expression: str) -> int | None:
    """The value of a sum of numbers, as `-8` or `8+0x10`; None for anything else. Empty is 0."""
    if not expression:
        return 0
    if not _TERMS.match(expression):
        return None
    return sum(_number(digits) * (-1 if sign == "-" else 1) for sign, digits in _TERM.findall(expression))


def _number(digits: str) -> int:
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
    return int(digits, 8) if octal and not set(digits) & {"8", "9"} else int(digits, 0 if not octal else 10)


def symbols(text: str) -> list[str]:
    """The symbols an expression or a directive's arguments name, numeric labels (`1f`) included."""
    return [word for word in _NAMES.findall(text) if word != "."]


_NAMES = regex(rf"(?<![\w.$@%\"])({_SYMBOL}|\d+[bf](?![\w.$]))", re.ASCII)
