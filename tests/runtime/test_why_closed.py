"""A sandbox that cannot be called any more says why."""

from __future__ import annotations

import contextlib
import gc
import weakref

import pytest

import tmebox

ENDINGS = r"""
#include <stdlib.h>
int poke(void) { *(volatile int *)0x10 = 1; return 0; }
int divide(int by) { return 100 / by; }
int ask(void);
int trouble(void) { return ask(); }
void give_up(void) { abort(); }
int fine(void) { return 4; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=ENDINGS, flags=["-fno-inline"])


def new(module: tmebox.Module) -> tmebox.Sandbox:
    return tmebox.Sandbox(module, imports={"ask": lambda: 0})


@pytest.mark.parametrize(
    ("function", "arguments", "kind"),
    [
        ("poke", (), tmebox.MemoryFault),
        ("divide", (0,), tmebox.ArithmeticTrap),
        ("give_up", (), tmebox.Aborted),
    ],
)
def test_it_names_the_trap_its_kind_and_place(
    module: tmebox.Module, function: str, arguments: tuple[int, ...], kind: type[tmebox.Trap]
) -> None:
    with new(module) as sandbox:
        with pytest.raises(kind) as trapped:
            getattr(sandbox, function)(*arguments)
        for call in (sandbox.fine, lambda: sandbox.call("fine"), lambda: sandbox.call_raw("fine")):
            with pytest.raises(tmebox.SandboxClosed) as closed:
                call()
            cause = closed.value.__cause__
            assert type(cause) is kind and cause is not trapped.value
            assert isinstance(cause, tmebox.Trap) and cause.backtrace == trapped.value.backtrace
            assert kind.kind in str(closed.value) and str(cause) in str(closed.value)
            assert kind is tmebox.Aborted or function in str(closed.value)
        sandbox.reset()
        assert sandbox.fine() == 4


def test_after_close_and_reset_there_is_no_trap_to_tell_of(module: tmebox.Module) -> None:
    sandbox = new(module)
    with pytest.raises(tmebox.MemoryFault):
        sandbox.poke()
    sandbox.reset()
    sandbox.close()
    with pytest.raises(tmebox.SandboxClosed, match="was closed") as closed:
        sandbox.fine()
    assert closed.value.__cause__ is None


def test_a_program_is_refused_with_the_same_words() -> None:
    program = tmebox.compile(source_text="int main(void) { *(volatile int *)0x10 = 1; return 0; }")
    with tmebox.Sandbox(program) as sandbox:
        with pytest.raises(tmebox.MemoryFault):
            sandbox.run()
        with pytest.raises(tmebox.SandboxClosed, match="memory-fault"):
            sandbox.run()


def trap_and_drop(module: tmebox.Module) -> weakref.ref[tmebox.Sandbox]:
    sandbox = new(module)
    with contextlib.suppress(tmebox.MemoryFault):
        sandbox.poke()
    return weakref.ref(sandbox)


def test_a_trap_that_is_kept_keeps_no_sandbox_alive(module: tmebox.Module) -> None:
    """Not by the frames that it was raised through, nor until the garbage collector comes by."""
    gc.disable()
    try:
        assert trap_and_drop(module)() is None
    finally:
        gc.enable()
