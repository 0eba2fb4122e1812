"""What a test of LLVM's says about itself: where it runs, with which flags, and with which files."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(
    r"^\s*(?://|/?\*)?\s*(UNSUPPORTED|REQUIRES|XFAIL|ADDITIONAL_COMPILE_FLAGS(?:\([^)]*\))?|FILE_DEPENDENCIES):"
    r"\s*(.*?)\s*$",
    re.MULTILINE,
)
_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|(?:[-+=._a-zA-Z0-9]|\{\{.+?\}\})+|\*)")
_WORDS = {"&&": "and", "||": "or", "!": "not", "(": "(", ")": ")", "*": "True"}


@dataclass(frozen=True)
class Conditions:
    """unsupported and expected_to_fail: one that holds is enough; required: all must hold."""

    unsupported: tuple[str, ...]
    required: tuple[str, ...]
    expected_to_fail: tuple[str, ...]
    flags: tuple[str, ...]
    files: tuple[Path, ...]

    def fit(self, features: Set[str]) -> bool:
        """Whether the test is meant to pass where there are these features."""
        unwanted = (*self.unsupported, *self.expected_to_fail)
        return all(holds(text, features) for text in self.required) and not any(
            holds(text, features) for text in unwanted
        )


def conditions(path: Path, features: Set[str]) -> Conditions:
    """Of the test at `path`. Flags may have a condition of their own."""
    found: dict[str, list[str]] = {}
    for name, text in _LINE.findall(path.read_text(errors="replace")):
        kind, _, condition = name.partition("(")
        if condition and not holds(condition.removesuffix(")"), features):
            continue
        found.setdefault(kind, []).append(text)

    def listed(kind: str) -> tuple[str, ...]:
        return tuple(part.strip() for text in found.get(kind, ()) for part in text.split(",") if part.strip())

    flags = tuple(word for text in found.get("ADDITIONAL_COMPILE_FLAGS", ()) for word in text.split())
    files = tuple(path.parent / name for name in listed("FILE_DEPENDENCIES"))
    return Conditions(listed("UNSUPPORTED"), listed("REQUIRES"), listed("XFAIL"), flags, files)


def holds(expression: str, features: Set[str]) -> bool:
    """`a && !b || {{regular.*}}`, where a name is true if it is one of `features`. Raises ValueError."""
    words: list[str] = []
    place = 0
    while place < len(expression.rstrip()):
        token = _TOKEN.match(expression, place)
        if token is None:
            raise ValueError(f"{expression!r} is no condition at {place}")
        place = token.end()
        words.append(_WORDS.get(token[1]) or str(_is_there(token[1], features)))
    return bool(eval(" ".join(words), {"__builtins__": {}}))  # of True, False, operators and brackets only


def _is_there(name: str, features: Set[str]) -> bool:
    parts = re.split(r"\{\{(.+?)\}\}", name)
    pattern = "".join(part if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return any(re.fullmatch(pattern, feature) for feature in features)
