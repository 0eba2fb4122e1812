"""`tmebox memory show`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.command_line import Run
from tests.heap.conftest import TOUCH_C
from tmebox import Sandbox, SharedHeap, compile
from tmebox.cli.figures import figures
from tmebox.runtime.heap_picture import HeapPicture, PageRow

DRAWN = Path(__file__).parents[2] / "docs" / "heap"


def test_the_documents_figures_are_what_a_living_heap_shows() -> None:
    shown = {f"{name}.svg": picture.svg() for name, picture in figures()}
    assert shown == {path.name: path.read_text() for path in DRAWN.glob("*.svg")}


def test_a_picture_has_a_letter_for_each_line(tmp_path: Path) -> None:
    module = compile(source_text=TOUCH_C)
    with (
        SharedHeap("1MiB") as heap,
        Sandbox(module, heap=heap) as a,
        Sandbox(module, heap=heap) as b,
    ):
        blocks = [heap.allocate(128, owner=a), heap.allocate(64), heap.allocate(64, owner=b)]
        array = heap.array(3 * 4096, owner=b)
        picture = heap.show("now")
        rows = str(picture).splitlines()
        assert rows[0] == "now"
        assert sorted(row.split()[1] for row in rows[1:4]) == sorted(
            letters + "." * (64 - len(letters)) for letters in ("aa", "#", "b")
        )
        assert rows[4].endswith("b" * 64 + "  × 3")
        assert "# the host" in rows
        assert picture.svg().count("<rect") == 1 + 4 * 64 + 4
        assert "svg" in picture._repr_html_()
        heap.free(blocks[0])
        heap.revoke(array)
        assert "key 1" not in str(heap.show())


def test_many_owners_and_pages_are_shown_within_bounds() -> None:
    cells = tuple(range(1, 65))
    picture = HeapPicture((PageRow(0x80100000, 1, cells),), dict.fromkeys(cells, "an owner"), 1, 7)
    text = str(picture)
    assert text.splitlines()[0].endswith("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ++++++++++++")
    assert "and 7 more pages" in text


PROGRAM = """
import sys, tmebox
module = tmebox.compile(source_text="int one(void) { return *(volatile int *){place}; }")
closed = tmebox.SharedHeap("1MiB")
block = closed.allocate(100)
closed.close()
heap = tmebox.SharedHeap("1MiB")
sandbox = tmebox.Sandbox(module, heap=heap)
mine = heap.allocate(640, owner=sandbox)
print("ran", sys.argv[0].endswith("program.py"))
sandbox.one()
"""


@pytest.mark.parametrize(("place", "code"), [("0x80100000", 0), ("0x80180000", 134)])
def test_the_heaps_of_a_program_are_shown(tmebox: Run, tmp_path: Path, place: str, code: int) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("{place}", place))
    done = tmebox("memory", "show", str(program))
    assert done.code == code, done.err
    assert "ran True" in done.out
    assert re.search(r"when it is closed\n0x80100000  ##\.{62}", done.out)
    assert re.search(r"when the program ends\n0x80100000  a{10}\.{54}", done.out)


def test_pictures_are_drawn_where_told(tmebox: Run, tmp_path: Path) -> None:
    program = tmp_path / "one.py"
    program.write_text("import tmebox\nheap = tmebox.SharedHeap('1MiB')\nblock = heap.allocate(64)\n")
    done = tmebox("memory", "show", str(program), "--svg", str(tmp_path / "one.svg"))
    assert done.code == 0, done.err
    assert (tmp_path / "one.svg").read_text().startswith("<svg")
    done = tmebox("memory", "show", "--svg", str(tmp_path / "all.svg"))
    assert done.code == 2
    done = tmebox("memory", "show", "--svg", str(tmp_path / "all"))
    assert len(list((tmp_path / "all").iterdir())) == 4
