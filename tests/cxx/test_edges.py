"""Exceptions at the edges: very deep, very large, kept between calls, in threads; every way to end by one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.forked import ChildOutcome

PROGRAM = Path(__file__).parent / "programs" / "edges.cpp"
Forked = Callable[..., ChildOutcome]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(PROGRAM, flags=("-w", "-std=c++20"), imports=("host",))


def sandbox_of(module: tmebox.Module, host: Callable[[int], int] = abs, **options: object) -> tmebox.Sandbox:
    given: dict[str, object] = {"stderr": lambda data: None, "timeout": 20.0, **options}
    return tmebox.Sandbox(module, imports={"host": host}, **given)  # type: ignore[arg-type]


def outcome(call: Callable[..., object], *arguments: object) -> str:
    try:
        return f"returned {call(*arguments)}"
    except tmebox.Trap as trap:
        return type(trap).__name__


# -- deep and large ----------------------------------------------------------------------------------------
def test_an_exception_passes_through_a_hundred_thousand_frames(module: tmebox.Module) -> None:
    own = sandbox_of(module, stack="32MiB")
    assert own.deep(100_000) == 1
    assert own.left_alive() == 0


def test_frames_that_do_not_fit_are_a_trap(module: tmebox.Module) -> None:
    assert outcome(sandbox_of(module, stack="1MiB").deep, 100_000) == "StackOverflow"


def test_an_exception_of_any_size_is_thrown_or_ends_the_sandbox(module: tmebox.Module) -> None:
    assert sandbox_of(module, memory="256MiB").huge(1) == 7
    with pytest.raises(tmebox.Aborted, match="terminating"):
        sandbox_of(module, memory="64MiB").huge(0)


# -- from one call to the next -----------------------------------------------------------------------------
def test_an_exception_is_kept_from_one_call_to_the_next(module: tmebox.Module) -> None:
    own = sandbox_of(module)
    assert own.again() == -1
    assert own.keep(42) == 1
    assert [own.again(), own.again()] == [42, 42]
    with own.snapshot().spawn() as copy:
        assert copy.again() == 42
    own.forget()
    assert own.left_alive() == 0
    own.keep(7)
    with pytest.raises(tmebox.Aborted, match="uncaught exception of type Tracked: kept 7"):
        own.again_uncaught()
    own.reset()
    assert own.again() == -1


def test_a_python_exception_within_a_handler_ends_the_sandbox(module: tmebox.Module) -> None:
    def host(n: int) -> int:
        raise KeyError(n)

    own = sandbox_of(module, host)
    with pytest.raises(KeyError):
        own.host_within_handler(3)
    own.reset()
    assert own.keep(1) == 1


def test_exceptions_hold_exceptions(module: tmebox.Module) -> None:
    assert sandbox_of(module).nested_exceptions() == 1


# -- how it ends -------------------------------------------------------------------------------------------
ENDS = [
    (0, r"uncaught exception of type mine::Error<std::.*vector<int.*>>: in a thread"),
    (1, "terminating"),
    (3, "uncaught exception of type int"),
    (4, "terminat"),
    (5, "terminate_handler unexpectedly returned"),
    (6, "uncaught exception of type std::.*basic_string<char"),
    (8, "uncaught exception of type .*Long: w+…?$"),
    (13, "terminating"),
    (15, "terminating"),
]


@pytest.mark.parametrize(("how", "message"), ENDS)
def test_a_sandbox_that_ends_by_an_exception_says_why(module: tmebox.Module, how: int, message: str) -> None:
    own = sandbox_of(module)
    with pytest.raises(tmebox.Aborted, match=message) as caught:
        own.ends(how)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("how", [2, 7, 9, 10, 11, 12, 14])
def test_whatever_else_is_thrown_ends_in_a_trap(module: tmebox.Module, how: int, forked: Forked) -> None:
    def act() -> str:
        result = outcome(sandbox_of(module, timeout=5).ends, how)
        assert sandbox_of(module).keep(1) == 1
        return result

    assert forked(act).result() in {"Aborted", "MemoryFault", "ControlFlowViolation", "StackOverflow"}


def test_types_of_the_sandboxes_own_making_are_its_own_trouble(module: tmebox.Module, forked: Forked) -> None:
    """The name of a type, and the table of its functions, anywhere."""
    places = [0, 1, 64, 0x7FFF_0000, (1 << 32) - 1, (1 << 30) - 3, 1 << 40, (1 << 64) - 8]

    def act() -> set[str]:
        found = set()
        for table in places:
            for name in places:
                found.add(outcome(sandbox_of(module, timeout=5).throws_type, table, name))
        return found

    assert forked(act, timeout_s=100).result() <= {"Aborted", "MemoryFault", "ControlFlowViolation"}


def test_an_exceptions_destructor_is_called_only_if_it_is_a_function(
    module: tmebox.Module, forked: Forked
) -> None:
    assert sandbox_of(module).bad_destructor(0) == 1

    def act() -> set[str]:
        return {outcome(sandbox_of(module).bad_destructor, place) for place in (1, 0x4000_0003, 0x7FFF_0000)}

    assert forked(act).result() == {"ControlFlowViolation"}


def test_what_leaves_main_is_told(module: tmebox.Module) -> None:
    with pytest.raises(tmebox.Aborted, match="uncaught exception of type mine::Error<double>: from main"):
        sandbox_of(module).run(["edges", "throw"])
    with pytest.raises(tmebox.Aborted, match="uncaught exception of type mine::Error<char>: after main"):
        sandbox_of(module).run(["edges", "static"])
    assert sandbox_of(module).run(["edges"]).stdout == b"fine\n"


# -- threads -----------------------------------------------------------------------------------------------
def test_threads_throw_and_catch_in_turns(module: tmebox.Module) -> None:
    own = sandbox_of(module)
    assert own.in_turns(4, 50) == 150 + 1_000_000
    assert own.left_alive() == 0


def test_an_exception_goes_from_thread_to_thread(module: tmebox.Module) -> None:
    assert sandbox_of(module).across_threads(200) == 0
