"""How objects look in notebooks, and to rich: small tables of facts.

Facts may come from untrusted modules: they are escaped, and nothing in them but printable characters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import islice

LONGEST_FACT = 2000
MOST_ITEMS = 20
LONGEST_NAME = 200
MOST_KEPT = 10_000
Fact = tuple[str, object]


def printable(text: str, keep: str = "", longest: int | None = None) -> str:
    """`text` with what is not printable spelled out: the one way in which texts of modules, of sources and of
    programs get into messages. Their author may be anybody, and they must not reach a terminal as escape
    sequences. keep: control characters that stay. longest: characters of the text that are looked at; for
    what is behind them stands "…". Without it the author decides what this costs."""
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]}…"
    return text if text.isprintable() else text.translate(_Spelled(keep))


class _Spelled(dict[int, str]):
    """What `str.translate` puts in the place of a character. Few characters are met many times."""

    def __init__(self, keep: str) -> None:
        super().__init__({ord(c): c for c in keep})

    def __missing__(self, code: int) -> str:
        c = chr(code)
        spelled = c if c.isprintable() else _escaped(code)
        if len(self) < MOST_KEPT:
            self[code] = spelled
        return spelled


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def some_of(names: Collection[str]) -> str:
    """For messages: the first of the names, printable, and how many more there are; "none" without any. What
    a module says there are may be a million."""
    shown = [printable(name, longest=LONGEST_NAME) for name in islice(names, MOST_ITEMS)]
    if len(names) > MOST_ITEMS:
        shown.append(f"… and {len(names) - MOST_ITEMS:,} more")
    return ", ".join(shown) or "none"


class Shown:
    """An object that has facts about it to show."""

    __slots__ = ()

    def _facts(self) -> Iterable[Fact]:
        """Names and values; a tuple is shown one item a line, None not at all."""
        return ()

    def _repr_html_(self) -> str:
        """For IPython and notebooks."""
        import html  # at the first table: a compiler's start needs none

        name = html.escape(type(self).__name__)
        rows = "".join(
            f'<tr><th style="text-align: left">{html.escape(name)}</th>'
            f'<td style="text-align: left">{"<br>".join(_lines(value))}</td></tr>'
            for name, value in self._facts()
            if value is not None and value != ()
        )
        return f"<table><caption>tmebox.{name}</caption>{rows}</table>"

    def __rich_repr__(self) -> Iterator[Fact]:
        for name, value in self._facts():
            if value is not None and value != ():
                yield name, value


def _lines(value: object) -> Iterator[str]:
    import html

    items = value if isinstance(value, tuple) else (value,)
    for item in items[:MOST_ITEMS]:
        yield html.escape(printable(str(item), longest=LONGEST_FACT))
    if len(items) > MOST_ITEMS:
        yield f"… and {len(items) - MOST_ITEMS:,} more"
