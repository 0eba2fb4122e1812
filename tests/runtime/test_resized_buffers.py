"""Buffers whose size changes, or that answer differently each time, while they are passed or written."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tmebox
from tests.forked import ChildOutcome

Forked = Callable[..., ChildOutcome]
MUCH = 200_000
"""More than there is room for where 16 bytes were asked for."""
SOURCE = """
int sum(const unsigned char *p, int n) { int s = 0; for (int i = 0; i < n; i++) s += p[i]; return s; }
void inc(unsigned char *p, int n) { for (int i = 0; i < n; i++) p[i]++; }
"""
USES: dict[str, Callable[[tmebox.Sandbox, Any], Any]] = {
    "const": lambda box, buffer: box.sum(buffer, 16),
    "written": lambda box, buffer: box.inc(buffer, 16),
    "In": lambda box, buffer: box.inc(tmebox.In(buffer), 16),
    "Out": lambda box, buffer: box.inc(tmebox.Out(buffer), 16),
    "write": lambda box, buffer: box.memory.write(box.memory_start, buffer),
    "slice": lambda box, buffer: box.memory.__setitem__(
        slice(box.memory_start, box.memory_start + 16), buffer
    ),
}


class Grows(bytearray):
    """Each look at an attribute makes it longer."""

    @property
    def dtype(self) -> Any:
        return self._grown(None)

    @property
    def format(self) -> Any:
        return self._grown("B")

    @property
    def __array_interface__(self) -> Any:
        self._grown(None)
        raise AttributeError

    def _grown(self, answer: Any) -> Any:
        with contextlib.suppress(BufferError):  # it is held
            self.extend(bytes(MUCH))
        return answer


class Moody:
    """Gives a buffer of another size each time it is asked (Python 3.12 and later)."""

    def __init__(self) -> None:
        self.sizes = iter([16, MUCH, 16, MUCH, 16, MUCH])

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(bytearray(next(self.sizes)))


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


def start(module: tmebox.Module) -> tuple[tmebox.Sandbox, bytes, tmebox.Sandbox]:
    """A sandbox, what stands behind its first memory, and a neighbour of which nothing may be overwritten."""
    box, neighbour = tmebox.Sandbox(module), tmebox.Sandbox(module)
    keeper = box.array(64)  # what is behind the arguments' room
    keeper[:] = 7
    box.memory_start = box._tenancy.layout.heap_start  # type: ignore[attr-defined]
    return box, keeper, neighbour  # type: ignore[return-value]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Grows(16),
        pytest.param(
            Moody, marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ is Python 3.12's")
        ),
    ],
)
def test_what_was_asked_once_is_what_is_copied(
    module: tmebox.Module, forked: Forked, use: str, make: Callable[[], Any]
) -> None:
    def child() -> bool:
        box, keeper, neighbour = start(module)
        for _ in range(5):
            try:
                USES[use](box, make())
            except (TypeError, ValueError, BufferError, tmebox.LimitError, IndexError, StopIteration):
                continue  # refused, with a reason; the host lives
        return bytes(keeper) == bytes([7]) * 64 and neighbour.sum(b"ab", 2) == ord("a") + ord("b")

    assert forked(child).result() is True


def test_threads_that_resize_what_others_pass(module: tmebox.Module, forked: Forked) -> None:
    def child() -> int:
        sys.setswitchinterval(1e-6)
        box, keeper, _ = start(module)
        buffer = bytearray(64)
        stop = threading.Event()

        def resize() -> None:
            while not stop.is_set():
                try:
                    buffer.extend(bytes(MUCH))
                    del buffer[64:]
                except BufferError:
                    continue

        threads = [threading.Thread(target=resize) for _ in range(2)]
        for thread in threads:
            thread.start()
        done = 0
        for _ in range(1500):
            for use in USES.values():
                try:
                    use(box, buffer)
                    done += 1
                except (BufferError, ValueError, tmebox.LimitError):
                    continue
        stop.set()
        for thread in threads:
            thread.join()
        assert bytes(keeper) == bytes([7]) * 64
        return done

    assert forked(child).result() > 0


def test_a_buffer_cannot_be_resized_before_the_call_is_over(module: tmebox.Module) -> None:
    seen: list[bool] = []
    source = SOURCE + "void back(void); int meet(const unsigned char *p, int n) { back(); return sum(p, n); }"
    buffer = bytearray(16)

    def back() -> None:
        try:
            buffer.extend(bytes(MUCH))
            seen.append(True)
        except BufferError:
            seen.append(False)

    with tmebox.Sandbox(tmebox.compile(source_text=source), imports={"back": back}) as box:
        assert box.meet(buffer, 16) == 0
        assert seen == [False]
        buffer.extend(bytes(MUCH))  # after it, it can
        array = np.zeros(16, np.uint8)
        assert box.meet(array, 16) == 0


class Longer(bytearray):
    """As one to which another thread appends after its length was looked at."""

    def __len__(self) -> int:
        return 4


class LongerList(list[int]):
    def __len__(self) -> int:
        return 4


@pytest.mark.parametrize("items", [Longer(8), LongerList([1] * 8)])
def test_a_member_takes_no_more_than_it_has_room_for(items: Any) -> None:
    module = tmebox.compile(source_text="struct s { char c[4]; int n; }; int n(struct s s) { return s.n; }")
    with tmebox.Box(module) as box, pytest.raises(TypeError):
        box.n({"c": items})
