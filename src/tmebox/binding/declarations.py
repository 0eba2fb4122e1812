"""Names in preprocessed declarations: of types, of variables and of functions' parameters.

Nothing is believed of them: the compiler says what they are, or that there is no such thing.
"""

from __future__ import annotations

import re
from itertools import islice

_BRACE = re.compile(r"[{}]")
_BODY = re.compile(r"\{[^{}]*\}")
_TYPEDEF = re.compile(r"\btypedef\b")
_EXTERN = re.compile(r"\bextern\b")
_ATTRIBUTE = re.compile(
    r"\b(?:__attribute__|__asm__|__asm)\s*\(\(?[^()]{0,200}(?:\([^()]{0,200}\)[^()]{0,200}){0,8}\)?\)"
)
_ARRAY = re.compile(r"\[[^\[\]]*\]")
_WORD = re.compile(r"[A-Za-z_]\w*")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\)?\s*\(")
_MOST_CALLED = 4
"""In one declaration, what may be the function's name: attributes by macros, a type, and the name."""
_POINTER_TO_FUNCTION = re.compile(r"\(\s*\*+\s*(?:const\s+)?([A-Za-z_]\w*)\s*\)\s*\(")
_QUALIFIERS = frozenset({"const", "volatile", "restrict", "__restrict", "__restrict__", "register"})
_BASIC = frozenset(
    {"void", "char", "short", "int", "long", "float", "double", "signed", "unsigned", "_Bool", "bool"}
    | {"__int128", "_Complex", "_Float16", "__float128", "_Float128", "__signed__"}
)
_TAGGED = frozenset({"struct", "union", "enum"})


def outermost(code: str) -> str:
    """The text without what is in braces, which stay."""
    kept, depth, start = [], 0, 0
    for match in _BRACE.finditer(code):
        if depth == 0:
            kept.append(code[start : match.start()])
        if match[0] == "{":
            kept.append("{" * (depth == 0))
            depth += 1
        else:
            depth = max(depth - 1, 0)
            kept.append("}" * (depth == 0))
        start = match.end()
    return "".join([*kept, code[start:] if depth == 0 else ""])


def typedefs_in(outer: str) -> list[str]:
    """Names that typedefs give, but for those of functions and of pointers to them."""
    found: dict[str, None] = {}
    for statement in _statements(outer):
        match = _TYPEDEF.search(statement)
        if match is not None and "(" not in statement[match.end() :]:
            found.update(dict.fromkeys(_declared(_BODY.sub(" x ", statement[match.end() :]))))
    return list(found)


def variables_in(outer: str) -> list[str]:
    """Variables that are declared `extern`, those that point to functions among them."""
    found: dict[str, None] = {}
    for statement in _statements(outer):
        match = _EXTERN.search(statement)
        text = "" if match is None or "{" in statement else _ARRAY.sub(" ", statement[match.end() :])
        called = text.find("(")
        pointer = _POINTER_TO_FUNCTION.search(text)
        if called < 0:
            found.update(dict.fromkeys(_declared(text)))
        elif pointer is not None and pointer.start() == called:
            found[pointer[1]] = None
    return list(found)


def _declared(text: str) -> list[str]:
    """What `int *a, b[3]` declares."""
    names = []
    for number, piece in enumerate(_ARRAY.sub(" ", text).split(",")):
        words = [word for word in _WORD.findall(piece) if word not in _QUALIFIERS]
        if len(words) > (number == 0) and words[-1] not in _BASIC:
            names.append(words[-1])
    return names


def parameters_in(outer: str) -> dict[str, tuple[str, ...]]:
    """Of each function that is declared, its parameters' names; empty where a parameter has none."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in _statements(outer):
        text = statement.rpartition("}")[2]
        for match in islice(_CALLED.finditer(text), _MOST_CALLED):
            end = _closing(text, match.end())
            if not text[end:].strip() and "=" not in text[: match.start()] and "typedef" not in text:
                pieces = _pieces(text[match.end() : end - 1])
                found.setdefault(match[1], tuple(map(_name_of, pieces)))
                break
    return found


def _statements(outer: str) -> list[str]:
    """Without attributes. What is behind the last semicolon is none."""
    return _ATTRIBUTE.sub(" ", outer).split(";")[:-1]


def _closing(text: str, start: int) -> int:
    """Behind the parenthesis that ends what began before `start`; the text's end if there is none."""
    depth = 1
    for position in range(start, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth == 0:
            return position + 1
    return len(text)


def _pieces(inside: str) -> list[str]:
    pieces, depth, start = [], 0, 0
    for position, letter in enumerate(inside):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            pieces.append(inside[start:position])
            start = position + 1
    return [*pieces, inside[start:]]


def _name_of(piece: str) -> str:
    pointer = _POINTER_TO_FUNCTION.search(piece)
    if pointer is not None:
        return pointer[1]
    if "(" in piece:
        return ""
    flat = _ARRAY.sub(" ", piece)
    words = [word for word in _WORD.findall(flat) if word not in _QUALIFIERS]
    needed = 3 if words and words[0] in _TAGGED else 2
    return words[-1] if len(words) >= needed and words[-1] not in _BASIC else ""
