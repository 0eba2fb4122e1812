"""Messages that the core has Python format: it knows fewer conversions than C does, and copies the others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "native"
CALL = re.compile(r"\b(?:PyErr_Format|PyErr_WarnFormat|PyUnicode_FromFormat)\((.*?)\);", re.DOTALL)
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
KNOWN = re.compile(r"%(?:%|c|[pAR]|\.?\d*[UVsS]|0?\d*(?:(?:l|ll|z)?[diu]|x))")
"""What Python 3.10 knows. An offset is a %p."""


def unknown(source: str) -> list[str]:
    """Conversions in its messages that Python does not know."""
    texts = [literal for call in CALL.findall(source) for literal in LITERAL.findall(call)]
    return [text[at:][:12] for text in texts for at in _starts(text) if not KNOWN.match(text, at)]


def _starts(text: str) -> list[int]:
    found, at = list[int](), text.find("%")
    while at >= 0:
        found.append(at)
        at = text.find("%", at + (2 if text[at : at + 2] == "%%" else 1))
    return found


@pytest.mark.parametrize("path", sorted(NATIVE.rglob("*.c")), ids=lambda path: path.name)
def test_python_knows_all_conversions(path: Path) -> None:
    assert not unknown(path.read_text())


def test_what_python_does_not_know_is_found() -> None:
    source = 'PyErr_Format(E, "at %#llx of %zd, " "%llx %%d",\n a, b, c); PyErr_SetString(E, "%g");'
    assert unknown(source) == ["%#llx of %zd", "%llx %%d"]
