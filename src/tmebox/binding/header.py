"""What a C header declares, by its text: names, constants and comments. Types come from debug information.

Nothing is believed of it: a name counts only where the compiled library has it, or the compiler can compute
it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Za-z]\w*)[ \t]+(\S.*)$", re.MULTILINE)
_ENUM = re.compile(r"\benum\b[^{};]*\{([^}]*)\}", re.DOTALL)
_ENUMERATOR = re.compile(r"(?:^|,)\s*([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"\bextern\b[^();{}]*?\b([A-Za-z_]\w*)\s*(?:\[[^\]]*\])*\s*;")
_NAME = re.compile(r"[A-Za-z_]\w*")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\)?\s*\(")
LONGEST_COMMENT = 2000
MOST_HEADERS = 200


@dataclass(frozen=True)
class Header:
    """functions: what looks like one. constants: macros and enumerators. variables: `extern` ones. comments:
    of each function, the comment right before it."""

    functions: tuple[str, ...]
    constants: tuple[str, ...]
    variables: tuple[str, ...]
    comments: dict[str, str]


def read_headers(header: Path) -> dict[str, str]:
    """The text of a header and of those that it includes from its own directory, by their names there. Raises
    OSError."""
    found: dict[str, str] = {}
    waiting = [header.name]
    while waiting and len(found) < MOST_HEADERS:
        name = waiting.pop()
        path = header.parent / name
        if name in found or not path.is_file() or ".." in Path(name).parts:
            continue
        found[name] = path.read_text(errors="replace")
        waiting += _INCLUDE.findall(found[name])
    if not found:
        header.open().close()  # raises what is wrong with it
    return found


def scan(texts: dict[str, str]) -> Header:
    functions: dict[str, None] = {}
    constants: dict[str, None] = {}
    variables: dict[str, None] = {}
    comments: dict[str, str] = {}
    for text in texts.values():
        plain = _COMMENT.sub(" ", text)
        code = plain.replace("\\\n", "  ")
        constants.update(dict.fromkeys(name for name, _ in _MACRO.findall(code)))
        for body in _ENUM.findall(code):
            constants.update(dict.fromkeys(_ENUMERATOR.findall(body)))
        variables.update(dict.fromkeys(_VARIABLE.findall(code)))
        functions.update(dict.fromkeys(_CALLED.findall(code)))
        comments.update(_comments(text))
    return Header(tuple(functions), tuple(constants), tuple(variables), comments)


def _comments(text: str) -> dict[str, str]:
    """The comment before each declaration that is followed by a parenthesis."""
    found: dict[str, str] = {}
    for comment in _COMMENT.finditer(text):
        rest = text[comment.end() : comment.end() + 400]
        end = rest.find(";")
        declaration = rest[: end if end >= 0 else 0]
        if "#" in declaration or "/*" in declaration or "//" in declaration:
            continue
        called = _CALLED.findall(declaration)
        if called:
            found.setdefault(called[-1] if len(called) < 3 else called[0], _plain(comment[0]))
            for name in called:
                found.setdefault(name, _plain(comment[0]))
    return found


def _plain(comment: str) -> str:
    lines = [line.strip().lstrip("/*").rstrip("*/").strip() for line in comment.splitlines()]
    return "\n".join(lines).strip()[:LONGEST_COMMENT]
