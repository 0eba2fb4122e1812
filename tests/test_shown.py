"""In notebooks and to rich, objects are small tables; nothing in a module becomes markup."""

from __future__ import annotations

import html.parser
import io
import sys
import tracemalloc
from pathlib import Path

import pytest
from rich.console import Console

import tmebox
from tmebox.errors import Frame
from tmebox.shown import Shown, printable

SOURCE = """
void note(int);
static int depth(const int *place) { return *place; }
int add(int a, int b) { return a + b; }
int fault(void) { note(1); return depth((const int *)16); }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


class Table(html.parser.HTMLParser):
    """Reads back what was written: rows of name and lines."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.rows: dict[str, list[str]] = {}
        self.title = self.name = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert [name for name, _ in attrs] in ([], ["style"])

    def handle_data(self, data: str) -> None:
        if self.tags[-1] == "caption":
            self.title = data
        elif self.tags[-1] == "th":
            self.name = data
        else:
            self.rows.setdefault(self.name, []).append(data)


def test_a_module_lists_its_functions(module: tmebox.Module) -> None:
    table = Table(module._repr_html_())
    assert table.title == "tmebox.Module"
    assert table.rows["exports"] == ["int add(int a, int b)", "int fault(void)"]
    assert table.rows["imports"] == ["void note(int)"]
    assert table.rows["kind"] == ["library"]


def test_a_sandbox_tells_its_state_and_limits(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, imports={"note": print}, memory="1MiB", timeout=2.5) as sandbox:
        table = Table(sandbox._repr_html_())
        assert table.rows["state"] == ["idle"]
        assert table.rows["memory"] == ["at most 1,048,576 bytes"]
        assert table.rows["timeout"] == ["2.5 s"]
        snapshot = sandbox.snapshot()
    assert Table(sandbox._repr_html_()).rows["state"] == ["closed"]
    table = Table(snapshot._repr_html_())
    assert (table.title, table.rows["options"]) == ("tmebox.Snapshot", ["timeout, imports"])
    assert table.rows["memory"] == ["at most 1,048,576 bytes"]


def test_a_trap_tells_where(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, imports={"note": lambda number: None}) as sandbox:
        with pytest.raises(tmebox.MemoryFault) as caught:
            sandbox.fault()
        assert Table(sandbox._repr_html_()).rows["state"] == ["trapped"]
    table = Table(caught.value._repr_html_())
    assert table.title == "tmebox.MemoryFault"
    assert table.rows["kind"] == ["memory-fault"]
    assert table.rows["offset"] == ["0x00000010"]
    assert table.rows["source"] == [f"source.c:{caught.value.line}"]


def test_rich_shows_the_same(module: tmebox.Module) -> None:
    written = io.StringIO()
    Console(file=written, width=100).print(module)
    assert "Module(" in written.getvalue()
    assert "'int add(int a, int b)'" in written.getvalue()


HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;", "\x1b[31m\u202e\0", "x" * 100_000]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_text_of_a_module_is_no_markup(text: str) -> None:
    frames = (Frame(0, text, text, 1), Frame(0, text, text, 2))
    trap = tmebox.Trap(text, access=text, unwind=lambda: frames)
    source = trap._repr_html_()
    assert source.isprintable()
    table = Table(source)
    assert set(table.tags) == {"table", "caption", "tr", "th", "td"}
    assert len(source) < 30_000


def test_many_items_are_counted() -> None:
    class Many(Shown):
        def _facts(self) -> list[tuple[str, object]]:
            return [("items", tuple(range(100_000))), ("none", None), ("empty", ())]

    table = Table(Many()._repr_html_())
    assert table.rows["items"][-1] == "… and 99,980 more"
    assert list(table.rows) == ["items"]


def test_every_character_is_printable_or_spelled_out() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    spelled = ("\\x%02x", "\\u%04x", "\\U%08x")
    expected = [
        c if c.isprintable() or c == "\n" else spelled[(ord(c) > 0xFF) + (ord(c) > 0xFFFF)] % ord(c)
        for c in text
    ]
    assert printable(text, keep="\n") == "".join(expected)
    assert printable("\n\t") == "\\x0a\\x09" and printable("é\n") == "é\\x0a"


@pytest.mark.parametrize("text", ["\0" * 400_000, "é\u202e" * 200_000, "\U0010ffff" * 200_000], ids=range(3))
def test_spelling_out_takes_little_more_than_its_result(text: str) -> None:
    tracemalloc.start()
    try:
        shown = printable(text)
        _, most = tracemalloc.get_traced_memory()
        assert most < 3 * sys.getsizeof(shown)
        del shown
        tracemalloc.reset_peak()
        assert printable(text, longest=100) == f"{printable(text[:100])}…"
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert printable("\0a", longest=2) == "\\x00a" and printable("\0ab", longest=2) == "\\x00a…"


def test_one_function_makes_texts_printable() -> None:
    """Who writes another leaves out a kind of character, or one of the places."""
    source = Path(tmebox.__file__).parent
    own = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if "guest" not in path.parts}
    found = {name for name in own if "isprintable" in (source / name).read_text()}
    assert found == {"shown.py", "tme/lab/tour.py"}
