"""Read-only data that all sandboxes of a module have in common."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

import tmebox
from tests.memory.module import sandbox
from tests.memory.windows import PAGE, Forked, needs_userfault, pages
from tmebox.memory.windows import KEPT_PAGES

TABLE = """
const unsigned long table[65536] = { [0 ... 65535] = 0x1122334455667788 };
unsigned long where(void) { return (unsigned long)table; }
unsigned long total(void) { unsigned long t = 0; for (int i = 0; i < 65536; i += 8) t += table[i]; return t; }
void write(unsigned long offset) { *(volatile char *)offset = 1; }
"""


@pytest.fixture(scope="module")
def table() -> tmebox.Module:
    return tmebox.compile(source_text=TABLE)


TOTAL = 0x1122334455667788 * 8192 % (1 << 64)


@needs_userfault
def test_large_read_only_data_is_in_memory_once(table: tmebox.Module) -> None:
    boxes = [tmebox.Sandbox(table) for _ in range(50)]
    assert {box.total() for box in boxes} == {TOTAL}
    assert all(pages(box) < 10 for box in boxes)
    # Shared memory without a file, as the system calls it.
    rows = [row for row in Path("/proc/self/maps").read_text().splitlines() if "/dev/zero" in row]
    for box in boxes:
        start = box.where() // PAGE * PAGE + box.base
        assert any(row.startswith(f"{start:x}-") and " r--s " in row for row in rows)


def test_large_read_only_data_cannot_be_written(table: tmebox.Module) -> None:
    boxes = [tmebox.Sandbox(table) for _ in range(3)]
    for box in boxes:
        with pytest.raises(tmebox.MemoryFault) as caught:
            box.write(box.where() + 123_456)
        assert caught.value.access == "write"
        box.reset()
        assert box.total() == TOTAL
        assert bytes(box.memory.view(box.where(), 500_000)) == box.memory.read(box.where(), 500_000)
        box.close()


def test_a_window_with_shared_data_serves_other_modules_afterwards(table: tmebox.Module) -> None:
    copy = tmebox.Module.from_bytes(table.to_bytes())
    box = tmebox.Sandbox(copy, memory="128MiB")
    base, where = box.base, box.where()
    assert box.total() == TOTAL
    view = box.memory.view(where, 300_000)
    box.close()
    assert not any(view), "views of a closed sandbox show zeros"
    del view, box, copy
    gc.collect()
    boxes: list[tmebox.Sandbox] = []
    while base not in [box.base for box in boxes] and len(boxes) < 2000:
        boxes.append(sandbox())
    box = boxes[-1]
    assert box.base == base
    start = where // PAGE * PAGE
    assert box.look(start, 600_000) == boxes[0].look(start, 600_000)
    box.fill(box.where_room(), 700_000, 5)
    assert box.look(box.where_room(), 700_000) == 3_500_000


def test_shared_data_is_there_in_a_forked_child_too(table: tmebox.Module, forked: Forked) -> None:
    with tmebox.Sandbox(table) as box:
        assert box.total() == TOTAL

    def child() -> int:
        with tmebox.Sandbox(table) as own:
            return own.total()

    assert forked(child).result() == TOTAL


@needs_userfault
@pytest.mark.parametrize("first", ["sandbox", "host"])
def test_a_window_that_had_shared_constants_serves_a_module_whose_pages_lie_across_their_end(
    first: str,
) -> None:
    """Its piece stays two mappings there, and the kernel installs pages into one at a time."""
    shared, constants = 24, 2
    constant = tmebox.compile(
        source_text=f"""
        const char big[{shared * PAGE}] = {{ 1 }};
        char lots[{2 * KEPT_PAGES * PAGE}]; /* more than a window keeps for the next sandbox of its kind */
        char at(int i) {{ for (int j = 0; j < sizeof lots; j += {PAGE}) lots[j] = 1; return big[i]; }}
        """
    )
    variable = tmebox.compile(
        source_text=f"""
        const char small[{constants * PAGE}] = {{ 1 }};
        static char room[{2 * shared * PAGE}];
        int fill(int pages) {{
            for (int page = pages - 1; page >= 0; page--) room[page * {PAGE}] += 1 + small[page & 1];
            int sum = 0;
            for (int page = 0; page < pages; page++) sum += room[page * {PAGE}];
            return sum;
        }}
        char *where(void) {{ return room; }}
        """
    )
    pages_all = 2 * shared
    with tmebox.Sandbox(constant) as box:
        base = box.base
        assert [box.at(0), box.at(PAGE)] == [1, 0]
    for round_number in range(3):  # the second one finds the window as the first one left it
        with tmebox.Sandbox(variable) as box:
            assert round_number or box.base == base, "the test is about one window"
            if first == "host":
                assert (
                    bytes(box.memory[box.where() : box.where() + pages_all * PAGE]).count(0)
                    == pages_all * PAGE
                )
            assert box.fill(pages_all) == pages_all + pages_all // 2
