"""What long work shows to who waits: a bar where a person looks, else log lines; nothing for short work."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Callable

import pytest

import tmebox
from tmebox import progress
from tmebox.modulefile import codec
from tmebox.runtime import module as module_module


class Screen(io.StringIO):
    """A terminal that tells when the first line was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = threading.Event()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.drawn.set()


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    with progress.shown("compile", silent_s=0) as report:
        assert screen.drawn.wait(30)
        screen.drawn.clear()
        report("libc", 50, 100)
        assert screen.drawn.wait(30)
        screen.drawn.clear()
        assert screen.drawn.wait(30)
    drawn = screen.getvalue()
    assert "tmebox: building the C library, once [############............] 50/100" in drawn
    assert drawn.startswith("\rtmebox: compiling, ") and drawn.endswith(" \r")


def test_short_work_shows_nothing_and_leaves_no_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    threads = threading.active_count()
    with caplog.at_level(logging.INFO), progress.shown("compile", silent_s=3600) as report:
        report("link", 0, 1)
    assert screen.getvalue() == "" and not caplog.records
    assert threading.active_count() <= threads


def test_without_a_terminal_the_log_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    told = threading.Event()
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.levelname} {record.getMessage()}")
            told.set()

    listener = Listener()
    monkeypatch.setattr(logging.getLogger(progress.LOG), "level", logging.INFO)
    logging.getLogger(progress.LOG).addHandler(listener)
    try:
        with progress.shown("verify", silent_s=0):
            assert told.wait(30)
    finally:
        logging.getLogger(progress.LOG).removeHandler(listener)
    assert lines[0].startswith("tmebox INFO verifying, ")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


def broken() -> io.StringIO:
    stream = Screen()

    def fail(_: str) -> int:
        raise BrokenPipeError

    stream.write = fail  # type: ignore[method-assign]
    return stream


@pytest.mark.parametrize("stream", [closed, broken, io.StringIO], ids=["closed", "broken", "a file"])
def test_a_stream_that_nobody_can_look_at_never_makes_the_work_fail(
    stream: Callable[[], io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", stream())
    bar = progress.Bar("tasks", 2)
    bar.advance()
    bar.close()
    bar.close()


def test_titles_reach_the_terminal_without_control_characters() -> None:
    assert progress.described("\x1b[2Jname", 1, None, 0.4) == "\\x1b[2Jname 1, 0 s"


def test_work_within_other_work_is_shown_by_who_began_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    told: list[tuple[str, int, int]] = []
    with progress.to(lambda *step: told.append(step)), progress.shown("compile", silent_s=0) as report:
        report("libc", 1, 2)
        with progress.shown("verify", silent_s=0):
            pass
    assert told == [("compile", 0, 1), ("libc", 1, 2), ("verify", 0, 1)]
    assert screen.getvalue() == ""
    with progress.shown("link", silent_s=0):
        assert screen.drawn.wait(30)


def test_a_callback_that_raises_ends_the_work_and_later_work_does_without_it() -> None:
    def fail(*_: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError), progress.to(fail), progress.shown("compile"):
        pytest.fail("went on")
    with progress.shown("compile"):
        pass


def test_compile_tells_its_callback_and_loading_a_large_module_shows_that_it_verifies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(module_module, "LONG_TEXT_BYTES", 1)
    text = "int f(void) { return 1; }"
    module = tmebox.compile(source_text=text, progress=lambda step, done, total: told.append(step))
    assert told == ["compile", "verify"]
    with progress.to(lambda step, done, total: told.append(step)):
        tmebox.Module.from_bytes(codec.encode(module.file))
    assert told[2:] == ["verify"]
