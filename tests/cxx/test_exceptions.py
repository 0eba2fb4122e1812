"""Exceptions: caught where C++ says, destructors run, and whatever goes wrong is a trap."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import tmebox
from tests.forked import ChildOutcome
from tmebox.modulefile import codec

PROGRAMS = Path(__file__).parent / "programs"
CAUGHT = [1, 250, ord("t"), 3, 1001, 2003, ord("o"), -1, 0]
Forked = Callable[..., ChildOutcome]


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(PROGRAMS / "exceptions.cpp", flags=("-w",))


def discard(_data: bytes) -> None:
    """Where a program's messages go."""


def sandbox_of(module: tmebox.Module) -> tmebox.Sandbox:
    return tmebox.Sandbox(module, imports={"host": lambda n: n})


@pytest.fixture
def sandbox(module: tmebox.Module) -> tmebox.Sandbox:
    return sandbox_of(module)


def test_handlers_are_chosen_by_type_and_destructors_run(sandbox: tmebox.Sandbox) -> None:
    assert [sandbox.caught(kind) for kind in range(9)] == CAUGHT
    assert sandbox.left_alive() == 0


def test_an_exception_passes_through_many_frames(sandbox: tmebox.Sandbox) -> None:
    assert sandbox.deeply(10_000) == 7
    assert sandbox.left_alive() == 0


@pytest.mark.parametrize("optimize", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_registers_are_what_they_were(optimize: str, isolation: str) -> None:
    compiled = tmebox.compile(
        PROGRAMS / "exceptions.cpp",
        optimize=optimize,  # type: ignore[arg-type]
        isolation=isolation,  # type: ignore[arg-type]
        trust_compiler=isolation == "data",
        flags=("-w",),
    )
    sandbox = sandbox_of(compiled)
    assert [sandbox.caught(kind) for kind in range(9)] == CAUGHT
    assert sandbox.registers(1000) == expected_registers(1000)
    assert sandbox.again(5) == 6
    assert sandbox.left_alive() == 0


def expected_registers(n: int) -> int:
    a, b, c, d, e = (n * factor for factor in (3, 5, 7, 11, 13))
    done = 0
    for i in range(n):
        if i & 1:
            c += b
            d -= c
            e ^= d
            done += 1
        else:
            a += i
            b ^= a
    low = (a ^ b ^ c ^ d ^ e) & 0xFFFF_FFFF
    return ((low + done + (1 << 31)) & 0xFFFF_FFFF) - (1 << 31)


ENDINGS = [
    (0, "uncaught exception of type Named<int>: boom"),
    (1, "uncaught exception of type Odd"),
    (2, "uncaught exception of type int"),
    (3, "terminating"),
    (5, "terminating"),
    (6, "uncaught exception of type Odd"),
    (7, "terminating"),
]


SHRUNK = """
    static int ready;
    __attribute__((noinline)) static void prepare(int what) { if (what) throw what; ready = 1; }
    extern "C" int prepared(int what) {
        if (ready) return -1;
        try { prepare(what); } catch (int found) { return found; } catch (...) {}
        return ready;
    }
"""


@pytest.mark.parametrize("optimize", ["-O1", "-O2", "-Os"])
def test_an_exception_lands_behind_the_end_of_a_frame_that_begins_late(optimize: str) -> None:
    """Compilers make a frame where one way through a function needs it: what comes before has none."""
    sandbox = tmebox.Sandbox(tmebox.compile(source_text=SHRUNK, language="c++", optimize=optimize))  # type: ignore[arg-type]
    assert [sandbox.prepared(what) for what in (5, 7, 0, 5)] == [5, 7, 1, -1]


@pytest.mark.parametrize(("kind", "message"), ENDINGS)
def test_terminate_says_why(module: tmebox.Module, kind: int, message: str) -> None:
    sandbox = tmebox.Sandbox(module, imports={"host": lambda n: n}, stderr=discard)
    with pytest.raises(tmebox.Aborted) as caught:
        sandbox.uncaught(kind)
    assert str(caught.value).startswith("the program aborted: terminating")
    assert message in str(caught.value)


def test_what_an_exception_says_is_bounded(module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(module, imports={"host": lambda n: n}, stderr=discard)
    with pytest.raises(tmebox.Aborted) as caught:
        sandbox.uncaught(4)
    assert len(str(caught.value)) < 500
    assert "xxx" in str(caught.value)


def test_exceptions_do_not_pass_through_the_host(module: tmebox.Module) -> None:
    """A call of a host function is where unwinding ends: the host's frames are left as Python leaves them."""
    seen: list[str] = []

    def host(n: int) -> int:
        try:
            return int(inner.uncaught(n))
        except tmebox.Aborted as error:
            seen.append(str(error))
            raise

    inner = tmebox.Sandbox(module, imports={"host": lambda n: n}, stderr=discard)
    outer = tmebox.Sandbox(module, imports={"host": host}, stderr=discard)
    with pytest.raises(tmebox.Aborted, match="Named<int>: boom"):
        outer.through_host(0)
    assert len(seen) == 1


def test_a_sandbox_that_calls_itself_through_the_host_is_unwound_no_further(module: tmebox.Module) -> None:
    def host(n: int) -> int:
        return int(own.uncaught(n))

    own = tmebox.Sandbox(module, imports={"host": host}, stderr=discard)
    with pytest.raises(tmebox.Aborted, match="Named<int>: boom"):
        own.through_host(0)


@pytest.mark.parametrize("name", ["endless", "endless_throws"])
def test_endless_destructors_end_in_a_trap(module: tmebox.Module, name: str, forked: Forked) -> None:
    def act() -> str:
        sandbox = tmebox.Sandbox(
            module, imports={"host": lambda n: n}, stderr=discard, timeout=10, memory=32 << 20
        )
        with pytest.raises(tmebox.Trap) as caught:
            sandbox.exports[name](*([1] if name == "endless_throws" else []))
        return type(caught.value).__name__

    assert forked(act).result() in ("StackOverflow", "Timeout", "Aborted", "OutOfMemory")


def test_memory_that_is_not_there_is_bad_alloc(module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(module, imports={"host": lambda n: n}, memory=64 << 20)
    assert sandbox.greedy() == 1


def test_a_constructor_that_throws_makes_no_sandbox() -> None:
    module = tmebox.compile(PROGRAMS / "constructor.cpp")
    with pytest.raises(tmebox.Aborted, match="std::runtime_error: not today"):
        tmebox.Sandbox(module, stderr=discard)


# -- attacks -------------------------------------------------------------------------------------------
def test_the_unwinders_jump_reaches_targets_only(module: tmebox.Module, forked: Forked) -> None:
    """The context is the sandbox's own: other code and the host are refused."""
    inside = sandbox_of(module)
    places = [inside.here(), inside.middle(), 0, 0x7FFF_0000, 1 << 40, (1 << 64) - 1, inside.here() | 1 << 32]

    def act() -> list[str]:
        found = []
        for place in places:
            with pytest.raises(tmebox.Trap) as caught:
                sandbox_of(module).jump(place, 0)
            found.append(type(caught.value).__name__)
        return found

    assert forked(act).result() == ["ControlFlowViolation"] * len(places)


def test_a_forged_stack_pointer_stays_in_the_window(module: tmebox.Module, forked: Forked) -> None:
    labels = [int(label) for label in module.file.labels]
    inside = sandbox_of(module)
    slide = inside.here() - next(s.address for s in module.file.symbols if s.name == "caught")
    stacks = [8, 0x1000, 1 << 30, (1 << 32) - 8, 1 << 47, (1 << 64) - 16]

    def act() -> int:
        ended = 0
        for label in labels[:: max(1, len(labels) // 40)]:
            for stack in stacks:
                sandbox = tmebox.Sandbox(module, imports={"host": lambda n: n}, stderr=discard, timeout=2)
                try:
                    sandbox.jump(label + slide, stack)
                except tmebox.Trap:
                    ended += 1
        return ended

    assert forked(act, timeout_s=120).result() > 0


def test_a_call_back_that_jumps_into_the_outer_call_stays_in_the_sandbox(
    module: tmebox.Module, forked: Forked
) -> None:
    """From within a host function's call of the sandbox, to every landing pad, on the outer call's stack."""
    labels = [int(label) for label in module.file.labels]
    inside = sandbox_of(module)
    slide = inside.here() - next(s.address for s in module.file.symbols if s.name == "caught")

    def attack(label: int, distance: int) -> str:
        def host(_n: int) -> int:
            own.jump(label + slide, own.outer_stack() + distance)
            return 0

        own = tmebox.Sandbox(module, imports={"host": host}, stderr=discard, timeout=2)
        try:
            return f"returned {own.nested(1)}"
        except (tmebox.Trap, tmebox.SandboxClosed) as error:
            return type(error).__name__

    def act() -> list[str]:
        chosen = labels[:: max(1, len(labels) // 60)]
        return [attack(label, distance) for label in chosen for distance in (0, -64, 128)]

    assert len(forked(act, timeout_s=200).result()) > 100


def test_damaged_tables_are_the_sandboxes_own_trouble(module: tmebox.Module, forked: Forked) -> None:
    """Frame tables and tables of handlers are data of the module file, which anybody may have written."""
    honest = module.file
    read_only = next(segment for segment in honest.segments if not segment.writable)
    chance = random.Random(16)

    def act() -> dict[str, int]:
        found: dict[str, int] = {}
        for _ in range(150):
            data = bytearray(read_only.data)
            for _ in range(chance.choice((1, 4, 64, 2000))):
                data[chance.randrange(len(data))] = chance.randrange(256)
            segments = tuple(
                replace(segment, data=bytes(data)) if segment is read_only else segment
                for segment in honest.segments
            )
            changed = tmebox.Module.from_bytes(codec.encode(replace(honest, segments=segments)))
            try:
                sandbox = tmebox.Sandbox(changed, imports={"host": lambda n: n}, stderr=discard, timeout=2)
                result = str([sandbox.caught(kind) for kind in range(9)] == CAUGHT)
            except tmebox.Trap as trap:
                result = type(trap).__name__
            found[result] = found.get(result, 0) + 1
        return found

    outcomes = forked(act, timeout_s=200).result()
    assert sum(outcomes.values()) == 150
    assert set(outcomes) - {"True", "False"}, "no damage was ever noticed"
