"""What a library's headers declare, by their text: names, constants and comments. Types come from debug
information.

Nothing is believed of it: a name counts only where the compiled library has it, or the compiler can compute
it. Whatever the text is, the work is in proportion to its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmebox.binding.declarations import outermost, parameters_in, typedefs_in, variables_in
from tmebox.binding.types import types_in
from tmebox.binding.untrusted_files import read_below, text_of

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_COMMENT_TO_THE_LINES_END = re.compile(r"//[^\n]*")
_SPACE = re.compile(r"\s+")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+([A-Za-z]\w*)[ \t]+(\S.*)$", re.MULTILINE)
_MARKER = re.compile(r'# \d+ "((?:[^"\\]|\\.)*)"')
_ENUM = re.compile(r"\benum\b[^{};]*(?:\{([^}]*)\}?)?")
_ENUMERATOR = re.compile(r"(?:^|,)\s*([A-Za-z_]\w*)")
_CALLED = re.compile(r"\b([A-Za-z_]\w*)\s*\)?\s*\(")
LONGEST_COMMENT = 2000
MOST_HEADERS = 200
MOST_BYTES = 64 << 20
"""Of each header that another one includes."""


@dataclass(frozen=True)
class Declared:
    """functions: what looks like one. constants: macros and enumerators. variables: `extern` ones. types:
    structs, unions, function pointers and what typedefs name. comments: of each function, the comment right
    before it. parameters: of each, their names."""

    functions: tuple[str, ...]
    constants: tuple[str, ...]
    variables: tuple[str, ...]
    types: tuple[str, ...]
    comments: dict[str, str]
    parameters: dict[str, tuple[str, ...]]


def read_headers(headers: Sequence[Path]) -> dict[str, str]:
    """The text of headers and of those that they include from their own directories, by their names there.
    Raises OSError."""
    found: dict[str, str] = {}
    for header in headers:
        header.open().close()  # raises what is wrong with it
        waiting = [header.name]
        while waiting and len(found) < MOST_HEADERS:
            name = waiting.pop()
            if name in found:
                continue
            if name == header.name:
                found[name] = header.read_text(errors="replace")
            else:
                # Headers choose what they include: nothing that is elsewhere, by its name or by a link, is
                # read.
                leaves = {"/", ".."} & set(Path(name).parts)
                data = None if leaves else read_below(header.parent, name, MOST_BYTES)
                if data is None:
                    continue
                found[name] = text_of(data)
            waiting += _INCLUDE.findall(found[name])
    return found


def own_lines(preprocessed: str, is_own: Iterable[str]) -> str:
    """Of what the preprocessor wrote, the lines that come from the named files: what libraries that a header
    includes declare is none of it."""
    own, kept, inside = frozenset(is_own), [], False
    for line in preprocessed.splitlines():
        marker = _MARKER.match(line)
        if marker:
            inside = re.sub(r"\\(.)", r"\1", marker[1]) in own
        elif inside:
            kept.append(line)
    return "\n".join(kept)


def scan(texts: Iterable[str], code: str) -> Declared:
    """texts: of the headers, where macros and comments are. code: what the preprocessor made of them, where
    declarations are, whatever macros they are written with."""
    code = _SPACE.sub(" ", code)
    constants: dict[str, None] = {}
    comments: dict[str, str] = {}
    for text in texts:
        pieces, start = [], 0
        for comment in _comments_in(text):
            pieces.append(text[start : comment.start()])
            start = comment.end()
        plain = " ".join([*pieces, text[start:]]).replace("\\\n", "  ")
        constants.update(dict.fromkeys(name for name, _ in _MACRO.findall(plain)))
        comments.update(_comments(text))
    for body in _ENUM.findall(code):
        constants.update(dict.fromkeys(_ENUMERATOR.findall(body)))
    functions, outer = tuple(dict.fromkeys(_CALLED.findall(code))), outermost(code)
    types = tuple(dict.fromkeys([*types_in(code), *typedefs_in(outer)]))
    variables = tuple(variables_in(outer))
    return Declared(functions, tuple(constants), variables, types, comments, parameters_in(outer))


def _comments_in(text: str) -> Iterator[re.Match[str]]:
    """Behind the last end of a comment no other one is looked for: that would be done for each beginning."""
    last = text.rfind("*/") + 2 if "*/" in text else 0
    yield from _COMMENT.finditer(text, 0, last)
    yield from _COMMENT_TO_THE_LINES_END.finditer(text, last)


def _comments(text: str) -> dict[str, str]:
    """The comment before each declaration that is followed by a parenthesis."""
    found: dict[str, str] = {}
    for comment in _comments_in(text):
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
