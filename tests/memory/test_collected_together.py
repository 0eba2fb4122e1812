"""The garbage collector finalizes what it found in an order of its own: weak references' callbacks first, and
then finalizers. Each of these may call a sandbox of the same garbage, or keep it. Nothing that the sandbox
uses may be somebody else's by then."""

from __future__ import annotations

import ast
import gc
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox.memory.code_region import CODE_REGION
from tmebox.memory.windows import WINDOWS
from tmebox.modulefile import codec
from tmebox.runtime.system import descriptors, sockets, streams

SOURCE = r"""
#include <unistd.h>
static long number = 7;
static int ends[2];
long get(void) { return number; }
void set(long value) { number = value; }
int begin(void) { return pipe(ends); }
long say(void) { return write(ends[1], "from the guest", 14); }
"""


@pytest.fixture(scope="module")
def data() -> bytes:
    return tmebox.compile(source_text=SOURCE).to_bytes()


@pytest.fixture(autouse=True)
def _nothing_by_itself() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


class Finalized:
    """In a cycle. Its finalizer does what is wanted of it."""

    def __init__(self, do: Callable[[Any], None], *others: Any) -> None:
        self.do = do
        self.others = [*others]
        self.me = self

    def __del__(self) -> None:
        self.do(*self.others)


def first_finalized(kind: str, among: Any) -> None:
    """What the collector meets in use comes before all others that are dropped the next time."""
    found = [thing for thing in gc.get_objects() if type(thing).__name__ == kind]
    assert found, kind
    kept = [thing for thing in found if any(thing is other for other in reached(among))]
    assert kept, kind
    del found
    among.clear()
    gc.collect()
    kept.clear()


def reached(start: Any) -> list[Any]:
    """All objects that it leads to."""
    known: dict[int, Any] = {}
    waiting = [start]
    while waiting:
        thing = waiting.pop()
        if id(thing) not in known and type(thing).__name__ not in ("module", "type", "function"):
            known[id(thing)] = thing
            waiting += gc.get_referents(thing)
    return list(known.values())


def test_a_modules_text_stays_while_a_finalizer_calls_it(data: bytes) -> None:
    seen: list[Any] = []

    def call(sandbox: tmebox.Sandbox) -> None:
        with pytest.raises(tmebox.LimitError, match="taken by another module"):
            tmebox.Module(codec.decode(data), address=sandbox.module.address)
        seen.append(sandbox.get())

    first = Finalized(call)
    first.others.append(tmebox.Sandbox(tmebox.Module.from_bytes(data)))
    address = first.others[0].module.address
    del first
    gc.collect()
    assert seen == [7]
    CODE_REGION.tidy()
    assert tmebox.Module(codec.decode(data), address=address).address == address


def test_a_module_that_a_finalizer_keeps_goes_on(data: bytes) -> None:
    kept: list[tmebox.Module] = []
    Finalized(kept.append, tmebox.Module.from_bytes(data))
    gc.collect()
    with tmebox.Sandbox(kept[0]) as sandbox:
        assert sandbox.get() == 7
        with pytest.raises(tmebox.LimitError, match="taken by another module"):
            tmebox.Module(codec.decode(data), address=kept[0].address)


PARTS = ["Window", "Tenancy", "Claim", "Slot", "Reminder", "Instance", "Sandbox"]


@pytest.mark.parametrize("first", PARTS)
def test_nobody_gets_the_window_of_a_sandbox_that_a_finalizer_calls(data: bytes, first: str) -> None:
    seen: list[str] = []
    others: list[tmebox.Sandbox] = []

    def call(sandbox: tmebox.Sandbox) -> None:
        others.append(tmebox.Sandbox(module))
        try:
            sandbox.set(666)
            seen.append("called")
            assert others[0].base != sandbox.base
        except tmebox.SandboxClosed:
            seen.append("closed")
        assert others[0].get() == 7

    module = tmebox.Module.from_bytes(data)
    among = [Finalized(call)]
    among[0].others.append(tmebox.Sandbox(module))
    first_finalized(first, among)
    gc.collect()
    assert seen in (["called"], ["closed"])
    assert others[0].get() == 7
    with tmebox.Sandbox(module) as new:
        assert new.get() == 7


@pytest.mark.parametrize("first", ["PipeEnd", "BorrowedSocket", "Descriptors", "System"])
def test_descriptors_stay_open_while_a_finalizer_calls(data: bytes, first: str) -> None:
    seen: list[int] = []

    def call(sandbox: tmebox.Sandbox) -> None:
        mine = [socket.socketpair() for _ in range(2)]
        seen.append(sandbox.say())
        for end in (ends := [end for pair in mine for end in pair]):
            end.setblocking(False)
            with pytest.raises(BlockingIOError):
                end.recv(100)
        for end in ends:
            end.close()

    before = len(os.listdir("/proc/self/fd"))
    among = [Finalized(call)]
    among[0].others.append(tmebox.Sandbox(tmebox.Module.from_bytes(data)))
    assert among[0].others[0].begin() == 0
    first_finalized(first, among)
    gc.collect()
    assert seen == [14]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_pool_that_is_collected_refuses_a_finalizers_task(data: bytes) -> None:
    seen: list[str] = []

    def call(pool: tmebox.SandboxPool) -> None:
        with pytest.raises(tmebox.SandboxClosed, match="pool is closed"):
            pool.submit("get")
        seen.append("refused")

    first = Finalized(call)
    first.others.append(tmebox.SandboxPool(tmebox.Module.from_bytes(data), size=1))
    assert first.others[0].submit("get").result() == 7
    del first
    gc.collect()
    assert seen == ["refused"]


def test_what_is_dropped_outside_of_cycles_comes_back_at_once(data: bytes) -> None:
    module = tmebox.Module.from_bytes(data)
    sandbox = tmebox.Sandbox(module)
    array = sandbox.array(1 << 20)
    live, base = WINDOWS.live, sandbox.base
    sandbox.close()
    assert WINDOWS.live == live
    del array
    assert WINDOWS.live == live - 1 and not WINDOWS._returned
    slot, free = module._slot, CODE_REGION.free_bytes()
    del module, sandbox
    gc.collect()
    assert CODE_REGION.free_bytes() == free
    size = slot.size_bytes
    del slot
    assert CODE_REGION.free_bytes() == free + size
    with tmebox.Sandbox(tmebox.Module.from_bytes(data)) as again:
        assert again.base == base


def test_what_garbage_gives_back_is_whole(data: bytes) -> None:
    """The collector empties Python's objects before the core's go."""
    live = WINDOWS.live
    for _ in range(3):
        made = [Finalized(lambda *_: None) for _ in range(20)]
        for one in made:
            one.others += [tmebox.Sandbox(module := tmebox.Module.from_bytes(data)), module]
        del made, one, module
        gc.collect()
        assert WINDOWS.live == live
        with tmebox.Sandbox(tmebox.Module.from_bytes(data)) as sandbox:
            assert sandbox.get() == 7


FINALIZERS = {
    "memory/reminder.py": "only tidies what has come back already",
    "memory/templates.py": "empties windows that nobody has",
    "runtime/pool/results.py": "cancels tasks",
    "runtime/pool/workers.py": "ends threads; who submits later is refused",
    "runtime/sandbox.py": "ends the sandbox before anything is given back",
    "runtime/system/sockets.py": "does nothing, in place of a finalizer that closes",
}


def test_every_finalizer_is_known() -> None:
    source = Path(tmebox.__file__).parent
    found = set()
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            defines = isinstance(node, ast.FunctionDef) and node.name == "__del__"
            if defines or (isinstance(node, ast.Attribute) and node.attr == "finalize"):
                found.add(str(path.relative_to(source)))
    assert found == FINALIZERS.keys()


def test_nothing_that_a_guest_has_open_closes_it_in_a_finalizer() -> None:
    kinds = [descriptors.Description, *all_below(descriptors.Description)]
    assert sockets.PipeEnd in kinds and streams.HostOutput in kinds
    assert [kind.__name__ for kind in kinds if hasattr(kind, "__del__")] == []


def all_below(kind: type) -> list[type]:
    below: list[type] = kind.__subclasses__()
    return below + [one for sub in below for one in all_below(sub)]
