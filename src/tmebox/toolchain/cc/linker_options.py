"""Options for the linker (-Wl,… and -Xlinker), one a line: what has an effect on a module, what has none.

Words come one at a time, as `-Wl,-rpath -Wl,/usr/lib` gives them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.records import dataclass, field
from tmebox.toolchain.patterns import regex

_TABLE = r"""
--?(whole-archive|no-whole-archive|push-state|pop-state)        state
--?Map                                                          map      value
-M|--?print-map                                                 map-out
-l|--?library                                                   library  value
-L|--?library-path                                              path     value
-T|--?script|-dT|--?default-script                              refuse   value  linker scripts cannot be used
-shared|--?shared|-Bshareable                                   shared
-(r|i)|--?relocatable                                           refuse   -      a module is linked whole
-z                                                              keyword  value
-u|--?undefined                                                 root     value
--?version-script|--?dynamic-list                               refuse   value  name exports with --export
--?(defsym|wrap|entry)|-e                                       refuse   value  sources say what symbols are
--?(rpath|rpath-link|soname|dynamic-linker|hash-style)       ignore   value
--?(plugin-opt|sort-section|exclude-libs)|-[hmaAY]              ignore   value
--?(exclude-libs|error-limit|threads|package-metadata)=.*       ignore
--?(pack-dyn-relocs|thinlto-[\w-]+)=.*                           ignore
-z(defs|undefs)|--?(no|allow-shlib)-undefined                      undefined
-z\S+|-rpath\S+|-O\d|-m\S+                                      ignore
--?(rpath|rpath-link|soname|dynamic-linker|hash-style)=.*       ignore
--?(plugin-opt|build-id|icf|sort-section)=.*                    ignore
-[EsSxXgdnNqtvV()]                                             ignore
--?(no-)?(undefined-version|rosegment|warn-[\w-]+|gdb-index)    ignore
--?(emit-relocs|print-memory-usage)                             ignore
-B(static|dynamic|symbolic\S*|group)|-d[ny]                     ignore
-(no-)?pie|--?static|-(non|call)_shared                         ignore
--?(no-)?(as-needed|copy-dt-needed-entries)                     ignore
--?(no-)?(gc-sections|print-gc-sections|relax|keep-memory)      ignore
--?(no-)?(export-dynamic|dynamic-linker)|--?no-allow-shlib-undefined ignore
--?(no-)?(fatal-warnings|warnings|warn-\S+|demangle)            ignore
--?(no-)?(eh-frame-hdr|ld-generated-unwind-info)                ignore
--?(start|end)-group                                            ignore
--?(enable|disable)-new-dtags                                   ignore
--?(strip-\S+|build-id|sort-common|reduce-memory-overheads)     ignore
--?(stats|trace|verbose|version|cref|lto-\S+)                   ignore
--?(color-diagnostics|compress-debug-sections)(=\w+)?           ignore
"""
"""Pattern, effect, whether a value follows (as the next word, or behind "="), why it is refused."""
_ROWS = [
    (pattern, effect, takes == "value", why)
    for pattern, effect, takes, why, *_ in (
        [*line.split(maxsplit=3), "", ""] for line in _TABLE.splitlines() if line
    )
]
_JOINED = regex(
    r"(-[lLu]|--?(?:Map|library|library-path|script|default-script|undefined|version-script|dynamic-list|defsym|wrap"
    r"|entry)=)(.+)",
    re.DOTALL,
)
"""Options whose value is in the same word."""


class LinkerOptionError(TmeboxError):
    """An option that has no meaning for a module, or is incomplete."""


@dataclass
class LinkerOptions:
    """What the words so far have said.

    map_file: where a map goes; "-" is standard output. is_whole: whether what comes next is taken from
    archives whole. refuses_undefined: whether nothing may be undefined in a library either. is_shared:
    whether a library is made, whatever defines main. roots: symbols to link
    whoever refers to them. add_input,
    add_library, add_path: what is called for files, -l and -L.
    """

    add_input: Callable[[str], None]
    add_library: Callable[[str], None]
    add_path: Callable[[str], None]
    map_file: Path | None = None
    is_whole: bool = False
    refuses_undefined: bool = False
    is_shared: bool = False
    roots: list[str] = field(default_factory=list)
    _saved: list[bool] = field(default_factory=list)
    _waits: tuple[str, str] | None = None
    """Effect and name of an option whose value is the next word."""

    def add(self, words: str) -> None:
        """Words between commas. Raises LinkerOptionError."""
        for word in words.split(","):
            self._add(word)

    def end(self) -> None:
        """There are no more. Raises LinkerOptionError."""
        if self._waits is not None:
            raise LinkerOptionError(f"linker option {self._waits[1]!r} needs a value")

    def _add(self, word: str) -> None:
        if self._waits is not None:
            (effect, _), self._waits = self._waits, None
            self._apply(effect, word)
        elif not word:
            pass
        elif not word.startswith(("-", "@")):
            self.add_input(word)
        else:
            joined = _JOINED.fullmatch(word)
            name = joined[1].rstrip("=") if joined else word
            effect, takes_value, why = self._row(name, word)
            if effect == "refuse":
                raise LinkerOptionError(f"{word}: {why}")
            if joined and takes_value:
                self._apply(effect, joined[2])
            elif takes_value:
                self._waits = (effect, word)
            else:
                self._apply(effect, word)

    @staticmethod
    def _row(name: str, word: str) -> tuple[str, bool, str]:
        for pattern, effect, takes_value, why in _ROWS:
            if regex(pattern).fullmatch(name) or regex(pattern).fullmatch(word):
                return effect, takes_value, why
        raise LinkerOptionError(f"linker option {word!r} is not supported in a sandboxed build")

    def _apply(self, effect: str, value: str) -> None:
        match effect:
            case "map":
                self.map_file = Path(value)
            case "map-out":
                self.map_file = Path("-")
            case "root":
                self.roots.append(value)
            case "library":
                self.add_library(value)
            case "path":
                self.add_path(value)
            case "keyword" if value in ("defs", "undefs"):
                self.refuses_undefined = value == "defs"
            case "shared":
                self.is_shared = True
            case "undefined":
                self.refuses_undefined = value.endswith(("zdefs", "no-undefined"))
            case "state":
                self._change_state(value.lstrip("-"))

    def _change_state(self, name: str) -> None:
        if name == "push-state":
            self._saved.append(self.is_whole)
        elif name == "pop-state":
            if not self._saved:
                raise LinkerOptionError("--pop-state without --push-state")
            self.is_whole = self._saved.pop()
        else:
            self.is_whole = name == "whole-archive"
