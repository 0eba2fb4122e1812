"""What reaches the terminal: readable numbers, no control characters of other people's."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.text import Text

from tmebox.cli.output import complain, duration, plain, printable, progress, size
from tmebox.cli.trap_report import show_trap
from tmebox.errors import Deadlock, Frame, MemoryFault, StandingThread


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (5 << 40, "5120.0 GiB"),
    ],
)
def test_sizes_are_for_people(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(7.4e-7, "740 ns"), (1.23e-5, "12.3 µs"), (0.00456, "4.56 ms"), (0.9999, "1.00 s"), (75, "75.00 s")],
)
def test_durations_are_for_people(duration_s: float, text: str) -> None:
    assert duration(duration_s) == text


@settings(deadline=None)
@given(st.text())
def test_no_text_reaches_the_terminal_as_a_control_sequence(text: str) -> None:
    assert all(c.isprintable() or c in "\n\t" for c in plain(text))


@settings(deadline=None)
@given(st.text() | st.text("\\[]/a"))
def test_no_text_is_read_as_markup(text: str) -> None:
    assert Text.from_markup(printable(text) + "[bold]x[/]").plain == plain(text) + "x"


def test_a_hostile_name_in_a_trap_is_spelled_out(capsys: pytest.CaptureFixture[str]) -> None:
    frames = (
        Frame(0x41000000, "\x1b]0;owned\x07[red]f", "/dev/\x1b[2J", 3),
        Frame(0x41000010, "main", None, None),
    )
    show_trap(MemoryFault("write at 0x10", offset=16, access="write", unwind=lambda: frames))
    shown = capsys.readouterr().err
    assert "\x1b" not in shown and "\x07" not in shown
    assert "\\x1b]0;owned\\x07[red]f" in shown
    assert "main" in shown


def test_a_trap_names_kind_function_source_offset_and_access(capsys: pytest.CaptureFixture[str]) -> None:
    frames = (Frame(0x41000000, "fill", "fill.c", 12), Frame(0x41000010, "main", "fill.c", 20))
    show_trap(MemoryFault("write at 0x10", offset=16, access="write", unwind=lambda: frames))
    shown = capsys.readouterr().err
    for part in ("memory-fault", "fill", "fill.c:12", "0x00000010", "write", "main (fill.c:20)"):
        assert part in shown


def test_a_deep_backtrace_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    frames = tuple(Frame(0x41000000 + n, f"level{n}", None, None) for n in range(100))
    show_trap(MemoryFault("read at 0x0", unwind=lambda: frames))
    shown = capsys.readouterr().err
    assert "level5" in shown and "level60" not in shown
    assert "and 87 more" in shown


def test_a_deadlock_shows_every_threads_frames_once(capsys: pytest.CaptureFixture[str]) -> None:
    threads = tuple(
        StandingThread(
            number,
            f"worker\x1b{number}" * (number > 1),
            0,
            (
                Frame(0x41000000, f"waits{number}", "a.c", number),
                Frame(0x41000010, f"calls{number}", None, None),
            ),
        )
        for number in range(1, 13)
    )
    show_trap(
        Deadlock.of("deadlock: they wait for each other", lambda: threads[0].backtrace, lambda: threads)
    )
    shown = capsys.readouterr().err
    assert "trap: deadlock: they wait" in shown
    for number in (1, 2, 9):
        assert shown.count(f"waits{number}\n") + shown.count(f"waits{number} (a.c:{number})\n") == 1
        assert shown.count(f"calls{number}\n") == 1
    assert "'worker\\x1b2', number 2 at waits2" in shown and "\x1b" not in shown
    assert "waits10" not in shown and "and 3 more threads" in shown


def test_an_error_goes_to_stderr_whole(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first [line]\n  " + "long " * 100)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: first [line]" in shown.err
    assert "long " * 99 in shown.err


def test_no_progress_is_shown_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as report:
        assert report is None
    assert capsys.readouterr().err == ""
