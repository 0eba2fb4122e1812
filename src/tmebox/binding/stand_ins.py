"""Headers that a library's build would make, and what they are taken to be where nobody built it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tmebox.binding.untrusted_files import read_below, text_of

_MISSING = re.compile(r"'([A-Za-z0-9_./-]+\.(?:h|hh|hpp))' file not found")
_CONFIG = re.compile(r"[A-Za-z0-9_]*config\.h")
_EXPORT = re.compile(r"([A-Za-z0-9_]+)_export\.h")
_EXPORTED = "#define {0}_EXPORT\n#define {0}_NO_EXPORT\n#define {0}_DEPRECATED\n"
_OF_A_HEADER = re.compile(
    r"^[ \t]*#[ \t]*(?:undef|cmakedefine)[ \t]+(HAVE_((?:(?:SYS|NET|NETINET|ARPA)_)?)(\w+)_H)\b.*$",
    re.MULTILINE,
)
_LEFT_OPEN = re.compile(r"^[ \t]*#[ \t]*(?:undef[ \t]+\w+|cmakedefine[ \t]+\w+.*)$", re.MULTILINE)
_ZERO_OR_ONE = re.compile(r"^[ \t]*#[ \t]*cmakedefine01[ \t]+(\w+).*$", re.MULTILINE)
_ANSWERED = r"#ifndef \1\n#define \1 0\n#endif"
_BLANK = re.compile(r"@\w+@|\$\{\w+\}")
MOST_BYTES = 1 << 20


def missing_headers(said: str) -> list[str]:
    """The names of headers that the compiler did not find. Sources choose them, and may say so themselves:
    names that lead out of the directory that a header would be made in are left out."""
    return [name for name in _MISSING.findall(said) if not {"/", ".."} & set(Path(name).parts)]


def stand_in(name: str, directories: Sequence[Path]) -> str | None:
    """The text for a header that is missing; None: nobody knows.

    A template of `configure`'s or CMake's in one of the directories, not one that a link leads to elsewhere,
    says what the header has beside the answers that a build would find. The compiler is asked which headers
    there are; macros that the user defines are the other answers, all else is undefined.
    Without one, a configuration is empty, and CMake's header about exports exports nothing in particular.
    """
    for directory in directories:
        template = read_below(directory, f"{name}.in", MOST_BYTES)
        if template is not None:
            text = _OF_A_HEADER.sub(_asked, text_of(template))
            text = _LEFT_OPEN.sub("", text)
            text = _ZERO_OR_ONE.sub(_ANSWERED, text)
            if not _BLANK.search(text):
                return text
    export = _EXPORT.fullmatch(name)
    if export is not None:
        return _EXPORTED.format(export[1].upper())
    return "" if _CONFIG.fullmatch(name) else None


def _asked(question: re.Match[str]) -> str:
    macro, folder, name = question.groups()
    header = f"{folder.lower().replace('_', '/')}{name.lower()}.h"
    return f"#if !defined({macro}) && __has_include(<{header}>)\n#define {macro} 1\n#endif"
