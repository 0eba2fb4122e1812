"""A snapshot keeps pointers to callbacks of the sandbox that it was taken of. They lead to nobody else's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

import tmebox
from tmebox import abi
from tmebox.modulefile.snapshot import SnapshotFile

SOURCE = """
typedef int (*op)(int x);
static op kept[4];
void keep(int at, op f) { kept[at] = f; }
int call_kept(int at, int x) { return kept[at](x); }
op give_kept(int at) { return kept[at]; }
int apply(op f, int x) { return f(x); }
"""
KEY = bytes(32)
HOWS: dict[str, Callable[[tmebox.Snapshot], tmebox.Snapshot]] = {
    "as it is": lambda snapshot: snapshot,
    "bytes": lambda snapshot: tmebox.Snapshot.from_bytes(snapshot.to_bytes(), snapshot.module),
    "sealed": lambda snapshot: tmebox.Snapshot.from_bytes(
        snapshot.to_bytes(key=KEY), snapshot.module, key=KEY
    ),
    "once more": lambda snapshot: snapshot.spawn().snapshot(),
    "once more with its own": lambda snapshot: with_its_own(snapshot.spawn()),
}


@pytest.fixture(scope="module", params=["gs", "r15"])
def module(request: pytest.FixtureRequest) -> tmebox.Module:
    try:
        return tmebox.compile(source_text=SOURCE, base=request.param)
    except tmebox.CompileError as error:
        pytest.skip(f"needs gcc: {error}")


def with_its_own(sandbox: tmebox.Sandbox) -> tmebox.Snapshot:
    with sandbox:
        sandbox.keep(3, lambda x: x + 1)
        assert sandbox.call_kept(3, 1) == 2
        return sandbox.snapshot()


def kept_in(module: tmebox.Module, before: int = 0) -> tmebox.Snapshot:
    """Of a sandbox that has two callbacks, with others before, one of them closed."""
    with tmebox.Box(module) as box:
        for number in range(before):
            box.apply(lambda x, number=number: number, 1)
        with box.callback(lambda x: x, "op") as closed:
            box.keep(0, closed)
        box.keep(1, lambda x: 2 * x)
        snapshot = box.snapshot()
        assert box.call_kept(1, 3) == 6  # it keeps its own
        return snapshot


def calls_nobody(sandbox: tmebox.Sandbox, *places: int) -> None:
    for place in places:
        with pytest.raises(tmebox.BadReference, match="callback of the sandbox that its snapshot"):
            sandbox.call_kept(place, 3)


@pytest.mark.parametrize("how", HOWS)
def test_a_pointer_in_a_snapshot_leads_to_no_other_function(module: tmebox.Module, how: str) -> None:
    snapshot = HOWS[how](kept_in(module, before=3))
    places = (0, 1, 3) if how == "once more with its own" else (0, 1)
    with snapshot.spawn() as sandbox:
        calls_nobody(sandbox, *places)
        for number in range(600):  # more than are numbered at a time
            assert sandbox.apply(lambda x, number=number: number, 3) == number
        calls_nobody(sandbox, *places)
        sandbox.keep(2, lambda x: 7)
        assert sandbox.call_kept(2, 0) == 7
        sandbox.reset()
        calls_nobody(sandbox, *places)
        sandbox.keep(0, lambda x: 8)
        assert sandbox.call_kept(0, 0) == 8


def test_what_such_a_pointer_is_to_python(module: tmebox.Module) -> None:
    with kept_in(module).spawn() as sandbox:
        sandbox.apply(lambda x: 5, 1)
        for place in (0, 1):
            function = sandbox.give_kept(place)
            with pytest.raises(tmebox.BadReference):
                function(1)


def test_pools_are_no_exception(module: tmebox.Module) -> None:
    def task(sandbox: tmebox.Sandbox) -> str:
        sandbox.apply(lambda x: 5, 1)
        try:
            return str(sandbox.call_kept(1, 3))
        except tmebox.BadReference:
            return "nobody"

    with tmebox.SandboxPool(kept_in(module), threads=1, size=1) as pool:
        assert [pool.submit(task).result() for _ in range(3)] == ["nobody"] * 3


@pytest.mark.parametrize("said", [511, 512, 4000, abi.MAX_CALLBACKS])
def test_there_is_as_much_room_whatever_a_snapshot_says(module: tmebox.Module, said: int) -> None:
    """Numbers that others had come last: a file can say anything."""
    file = SnapshotFile.from_bytes(kept_in(module).to_bytes())
    forged = dataclasses.replace(file, callbacks=said).to_bytes()
    with tmebox.Box(tmebox.Snapshot.from_bytes(forged, module)) as box:
        callbacks = [box.callback(lambda x, n=n: n, "op") for n in range(abi.MAX_CALLBACKS)]
        assert {box.apply(callback, 0) for callback in callbacks} == set(range(abi.MAX_CALLBACKS))
        with pytest.raises(tmebox.LimitError, match="callbacks"):
            box.callback(lambda x: x, "op")
        callbacks[9].close()
        assert box.apply(box.callback(lambda x: 77, "op"), 0) == 77


def test_a_file_cannot_say_more_than_there_are(module: tmebox.Module) -> None:
    file = SnapshotFile.from_bytes(kept_in(module).to_bytes())
    for said in (abi.MAX_CALLBACKS + 1, 0xFFFF_FFFF):
        with pytest.raises(tmebox.SnapshotError, match="contradicts itself"):
            SnapshotFile.from_bytes(dataclasses.replace(file, callbacks=said).to_bytes())


def test_the_core_takes_the_number_once_and_within_bounds(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        begin = sandbox._tenancy.instance.begin_callbacks
        with pytest.raises(ValueError):
            begin(abi.MAX_CALLBACKS + 1)
        with pytest.raises(OverflowError):
            begin(-1)
        sandbox.apply(lambda x: x, 1)
        with pytest.raises(ValueError):
            begin(3)
