"""Creating, limiting and closing sandboxes; modules that cannot be used."""

import contextlib
import copy
import gc
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox.memory.windows import WINDOWS


def test_three_lines_to_the_first_call() -> None:
    module = tmebox.compile(source_text="int add(int a, int b) { return a + b; }")
    with tmebox.Sandbox(module, memory="64MiB", timeout=1.0) as sandbox:
        assert sandbox.add(3, 4) == 7


@pytest.mark.parametrize("memory", [0, -1, "0", 5 << 30, "5GiB", "1TiB", 1])
def test_impossible_memory_limits_are_refused(calls_module: tmebox.Module, memory: Any) -> None:
    with pytest.raises((tmebox.LimitError, ValueError)):
        tmebox.Sandbox(calls_module, memory=memory)


@pytest.mark.parametrize("memory", ["plenty", "64 parsecs", "", "-3MiB"])
def test_sizes_that_are_no_sizes_are_refused(calls_module: tmebox.Module, memory: Any) -> None:
    with pytest.raises(ValueError, match="64MiB"):
        tmebox.Sandbox(calls_module, memory=memory)


def test_closing_is_idempotent_and_gives_the_window_back(calls_module: tmebox.Module) -> None:
    gc.collect()
    before = WINDOWS.live
    for _ in range(100):
        sandbox = tmebox.Sandbox(calls_module)
        assert sandbox.add(1, 1) == 2
        sandbox.close()
        sandbox.close()
        assert sandbox.closed
    del sandbox
    gc.collect()
    assert WINDOWS.live == before


def test_a_sandbox_that_failed_to_be_made_leaves_nothing_behind(calls_module: tmebox.Module) -> None:
    gc.collect()
    before = WINDOWS.live
    for _ in range(50):
        with pytest.raises(tmebox.LimitError):
            tmebox.Sandbox(calls_module, memory=0)
    gc.collect()
    assert WINDOWS.live == before


def test_a_thousand_sandboxes_at_once(calls_module: tmebox.Module) -> None:
    sandboxes = [tmebox.Sandbox(calls_module, memory="1MiB", stack="64KiB") for _ in range(1000)]
    assert [sandbox.count() for sandbox in sandboxes] == [1] * 1000
    assert [sandbox.count() for sandbox in sandboxes] == [2] * 1000
    for sandbox in sandboxes:
        sandbox.close()


def test_recycled_windows_hold_nothing_of_their_last_owner() -> None:
    module = tmebox.compile(
        source_text="""
        char room[1 << 16];
        int dirty(int v)
        {
            int n = 0;
            for (int i = 0; i < sizeof room; i++) { n += room[i] != 0; room[i] = v; }
            return n;
        }
        """
    )
    for value in range(1, 20):
        with tmebox.Sandbox(module) as sandbox:
            assert sandbox.dirty(value) == 0


def test_modules_survive_being_saved_and_loaded(calls_module: tmebox.Module, tmp_path: Path) -> None:
    path = tmp_path / "calls.tbx"
    calls_module.save(path)
    loaded = tmebox.Module.load(path)
    assert loaded.exports == calls_module.exports
    with tmebox.Sandbox(loaded) as sandbox:
        assert sandbox.add(3, 4) == 7
    with tmebox.Sandbox(tmebox.Module.from_bytes(path.read_bytes())) as sandbox:
        assert sandbox.add(3, 4) == 7


@pytest.mark.parametrize("size", [0, 1, 63, 64, 200, 5000])
def test_truncated_modules_are_refused(calls_module: tmebox.Module, size: Any) -> None:
    with pytest.raises(tmebox.ModuleError):
        tmebox.Module.from_bytes(calls_module.to_bytes()[:size])


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    for data in (b"\x7fELF" + bytes(100), b"MZ" + bytes(100), b"\0asm\1\0\0\0", os.urandom(4096)):
        with pytest.raises(tmebox.ModuleError):
            tmebox.Module.from_bytes(data)
    with pytest.raises(tmebox.ModuleError):
        tmebox.Module.load("/bin/true")
    with pytest.raises(FileNotFoundError):
        tmebox.Module.load(tmp_path / "none.tbx")


@pytest.mark.slow
def test_text_slots_are_reused(calls_module: tmebox.Module) -> None:
    addresses = set()
    data = calls_module.to_bytes()
    for _ in range(20):
        module = tmebox.Module.from_bytes(data)
        addresses.add(module.address)
        del module
        gc.collect()
    assert len(addresses) <= 2


def test_only_modules_make_sandboxes() -> None:
    with pytest.raises(TypeError, match=r"tmebox\.compile"):
        tmebox.Sandbox("blur.c")  # type: ignore[arg-type]


def test_a_forked_child_can_make_its_own_sandboxes(calls_module: tmebox.Module) -> None:
    with tmebox.Sandbox(calls_module) as sandbox:
        sandbox.count()
        child = os.fork()
        if not child:
            with tmebox.Sandbox(calls_module, timeout=1.0) as own:
                os._exit(0 if own.add(3, 4) == 7 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert sandbox.count() == 2


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_sandbox_is_not_copied(calls_module: tmebox.Module, duplicate: Any) -> None:
    with tmebox.Sandbox(calls_module) as sandbox:
        with pytest.raises(TypeError, match=r"snapshot\(\)"):
            duplicate(sandbox)
        assert sandbox.add(3, 4) == 7


def test_a_sandbox_that_was_never_made_is_dropped_quietly() -> None:
    unmade = object.__new__(tmebox.Sandbox)
    for name in ("module", "add", "__len__"):
        assert not hasattr(unmade, name)


def test_a_dropped_sandbox_ends_at_once(calls_module: tmebox.Module) -> None:
    gc.collect()
    before = WINDOWS.live
    gc.disable()
    try:
        for _ in range(20):
            sandbox = tmebox.Sandbox(calls_module)
            assert sandbox.add(1, 2) == sandbox.add(1, 2) == 3
            assert sandbox.count() == 1
            function = sandbox.count
            del sandbox
            with pytest.raises(tmebox.SandboxClosed):
                function()
        assert WINDOWS.live == before
    finally:
        gc.enable()


def test_a_function_may_be_all_that_is_left_of_a_sandbox(calls_module: tmebox.Module) -> None:
    assert tmebox.Sandbox(calls_module).add(3, 4) == 7
    count = tmebox.Sandbox(calls_module).count
    assert [count(), count()] == [1, 2]


def test_closing_while_an_argument_is_converted_is_safe(calls_module: tmebox.Module) -> None:
    class Closing:
        def __init__(self, sandbox: tmebox.Sandbox) -> None:
            self.sandbox = sandbox

        def __index__(self) -> Any:
            self.sandbox.close()
            return 3

    for _ in range(10):
        sandbox = tmebox.Sandbox(calls_module)
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.scale(np.ones(1000), Closing(sandbox), 1.0)
        sandbox = tmebox.Sandbox(calls_module)
        with pytest.raises(tmebox.SandboxClosed):
            sandbox.add(Closing(sandbox), 1)


def test_closing_from_another_thread_never_crashes(calls_module: tmebox.Module) -> None:
    def use(sandbox: tmebox.Sandbox) -> None:
        with contextlib.suppress(tmebox.SandboxClosed, tmebox.SandboxBusy):
            while True:
                sandbox.scale(np.ones(100), 100, 2.0)
                for _ in range(20):
                    sandbox.memory.read(sandbox.memory.write(offset, b"12345678") or offset, 8)

    def end(sandbox: tmebox.Sandbox) -> None:
        while not sandbox.closed:
            with contextlib.suppress(tmebox.SandboxBusy):
                sandbox.close()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places between any two bytecodes
    try:
        for _ in range(50):
            sandbox = tmebox.Sandbox(calls_module)
            offset = sandbox.same(sandbox.array(10))
            threads = [threading.Thread(target=work, args=(sandbox,)) for work in (use, end)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(interval)
