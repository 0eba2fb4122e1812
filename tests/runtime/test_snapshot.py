"""Snapshots in one process: what they hold, what starts from them, when they are refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import tmebox
from tests.runtime.snapshot_source import STATE_C


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=STATE_C)


@pytest.fixture
def sandbox(module: tmebox.Module) -> Iterator[tmebox.Sandbox]:
    with tmebox.Sandbox(module, memory="8MiB", timeout=5.0) as sandbox:
        sandbox.choose(1)
        sandbox.fill(5000)
        sandbox.soil(0)
        sandbox.bump()
        yield sandbox


def test_a_spawned_sandbox_goes_on_where_the_snapshot_was_taken(sandbox: tmebox.Sandbox) -> None:
    snapshot = sandbox.snapshot()
    sandbox.bump()
    with snapshot.spawn() as first, snapshot.spawn() as second:
        assert first.bump() == second.bump() == 103
        assert first.apply(7) == 49
        assert first.sum(5000) == sum(i * i for i in range(5000))
        assert first.greet() == "constant"
        first.choose(0)
        assert (first.apply(7), second.apply(7), sandbox.apply(7)) == (14, 49, 49)
    assert sandbox.bump() == 104


def test_constructors_do_not_run_again(sandbox: tmebox.Sandbox) -> None:
    with sandbox.snapshot().spawn() as spawned:
        assert spawned.bump() == 103
        spawned.reset()
        assert spawned.bump() == 103


def test_a_snapshot_outlives_its_sandbox_and_is_not_changed_by_what_starts_from_it(
    sandbox: tmebox.Sandbox,
) -> None:
    snapshot = sandbox.snapshot()
    sandbox.soil(1)
    sandbox.close()
    for _ in range(3):
        with snapshot.spawn() as spawned:
            assert spawned.soiled() == 0
            spawned.soil(2)
            spawned.fill(10)


def test_a_page_that_became_zero_is_zero(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        sandbox.soil(3)
        sandbox.soil(0)
        with sandbox.snapshot().spawn() as spawned:
            assert spawned.soiled() == 0


def test_reset_goes_back_to_the_snapshot_and_not_to_the_module(sandbox: tmebox.Sandbox) -> None:
    with sandbox.snapshot().spawn() as spawned:
        spawned.choose(0)
        spawned.soil(9)
        with pytest.raises(tmebox.MemoryFault):
            spawned.crash()
        spawned.reset()
        assert (spawned.apply(7), spawned.soiled(), spawned.sum(5000)) == (49, 0, sandbox.sum(5000))


def test_a_snapshot_of_a_spawned_sandbox_is_as_good(sandbox: tmebox.Sandbox) -> None:
    with sandbox.snapshot().spawn() as child:
        child.bump()
        with child.snapshot().spawn() as grandchild:
            assert grandchild.bump() == 104


def test_limits_are_the_snapshots_and_options_are_inherited(sandbox: tmebox.Sandbox) -> None:
    snapshot = sandbox.snapshot()
    with pytest.raises(TypeError, match="memory and stack"):
        snapshot.spawn(memory="1GiB")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        snapshot.spawn(colour="red")  # type: ignore[call-arg]
    with snapshot.spawn(timeout=0.02) as hurried:
        assert hurried.allocate(64 << 20) == 0
        with pytest.raises(tmebox.Timeout, match=r"0\.02 s"):
            hurried.spin()


def test_host_functions_come_along_and_can_be_replaced() -> None:
    module = tmebox.compile(source_text="int ask(void); int asked(void) { return ask() + 1; }")
    with tmebox.Sandbox(module, imports={"ask": lambda: 1}) as sandbox:
        snapshot = sandbox.snapshot()
    with snapshot.spawn() as same, snapshot.spawn(imports={"ask": lambda: 10}) as other:
        assert (same.asked(), other.asked()) == (2, 11)
    with pytest.raises(tmebox.ModuleError):
        tmebox.Snapshot.from_bytes(snapshot.to_bytes(), module).spawn()


def test_output_that_stdio_holds_back_is_part_of_it(module: tmebox.Module) -> None:
    told: list[bytes] = []
    with tmebox.Sandbox(module, stdout=told.append) as sandbox:
        sandbox.say("kept ")
        snapshot = sandbox.snapshot()
    assert told == [b"kept "]  # like a process that forked: each has it
    for name in ("one", "two"):
        with snapshot.spawn() as spawned:
            spawned.say(name)
            spawned.end_line()
    assert b"".join(told) == b"kept kept one\nkept two\n"


def test_arrays_of_the_host_are_not_part_of_it(sandbox: tmebox.Sandbox) -> None:
    array = sandbox.array(1 << 16)
    array[:] = 255
    snapshot = sandbox.snapshot()
    assert b"\xff" * 4096 not in snapshot.to_bytes()
    with snapshot.spawn() as spawned:
        fresh = spawned.array(1 << 16)
        assert not fresh.any()


def test_files_that_are_open_refuse_it_until_they_are_closed(module: tmebox.Module, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with tmebox.Sandbox(module, dirs=[(tmp_path, "/d")]) as sandbox:
        assert sandbox.open_file("/d/file")
        with pytest.raises(tmebox.SnapshotError, match="files open"):
            sandbox.snapshot()
        sandbox.close_file()
        assert sandbox.snapshot().size_bytes


def test_a_sandbox_that_trapped_or_is_closed_is_refused(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.MemoryFault):
        sandbox.crash()
    with pytest.raises(tmebox.SandboxClosed, match="trap"):
        sandbox.snapshot()
    sandbox.close()
    with pytest.raises(tmebox.SandboxClosed):
        sandbox.snapshot()


def test_a_sandbox_that_is_running_is_refused_from_anywhere() -> None:
    module = tmebox.compile(source_text="void rest(void); void work(void) { rest(); }")
    entered, go_on = threading.Event(), threading.Event()
    refusals: list[BaseException] = []

    def rest(sandbox: tmebox.Sandbox) -> None:
        try:
            sandbox.snapshot()
        except tmebox.SandboxBusy as error:
            refusals.append(error)
        entered.set()
        assert go_on.wait(10)

    with tmebox.Sandbox(module, imports={"rest": rest}) as sandbox:
        worker = threading.Thread(target=sandbox.work)
        worker.start()
        assert entered.wait(10)
        with pytest.raises(tmebox.SandboxBusy):
            sandbox.snapshot()
        go_on.set()
        worker.join()
        assert len(refusals) == 1
        assert sandbox.snapshot().module is module


def test_the_control_page_is_each_sandboxs_own(sandbox: tmebox.Sandbox) -> None:
    snapshot = sandbox.snapshot()
    with snapshot.spawn() as one, snapshot.spawn() as other:
        pages = [box.memory.read(tmebox.abi.CONTROL_WINDOW_BASE, 8) for box in (sandbox, one, other)]
        bases = [int.from_bytes(page, "little") for page in pages]
        assert bases == [sandbox.base, one.base, other.base]
        assert len(set(bases)) == 3


def test_programs_start_from_their_beginning() -> None:
    module = tmebox.compile(
        source_text="""
        #include <stdio.h>
        static int runs;
        int main(void) { printf("%d", ++runs); return 0; }
        """
    )
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.run().stdout == b"1"
        with sandbox.snapshot().spawn() as spawned:
            assert spawned.run().stdout == spawned.run().stdout == b"1"


def test_a_reset_on_another_thread_is_no_open_file() -> None:
    """What the sandbox has open changes for a moment while it is reset."""
    module = tmebox.compile(source_text='#include <unistd.h>\nint say(void) { return write(1, "x", 1); }')
    with tmebox.Sandbox(module, stdout=lambda _: None) as sandbox:
        done = threading.Event()

        def pester() -> None:
            while not done.is_set():
                with suppress(tmebox.SandboxBusy):
                    sandbox.say()
                    sandbox.reset()

        thread = threading.Thread(target=pester)
        before, interval = sys.getswitchinterval(), 1e-5
        sys.setswitchinterval(interval)
        thread.start()
        try:
            for _ in range(2000):
                with suppress(tmebox.SandboxBusy):
                    sandbox.snapshot()
        finally:
            done.set()
            thread.join()
            sys.setswitchinterval(before)
