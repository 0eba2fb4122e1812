"""Everything public pickles and copies, as process pools and tracebacks need it, or says why it does not."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox import errors
from tmebox.modulefile import codec
from tmebox.modulefile.prototypes import Function, Prototype, Void
from tmebox.python import interpreter, magic, mcp
from tmebox.runtime.attributes import BOX_ATTRIBUTES, SANDBOX_ATTRIBUTES, is_attribute
from tmebox.runtime.calls import callbacks, handles
from tmebox.runtime.calls.stub_pointers import OF_POINTERS
from tmebox.runtime.pool import pool, results
from tmebox.runtime.sandbox import OWN_ATTRIBUTES

SOURCE = """
struct point { int x, y; }; union u { double n; void *p; };
struct point flip(struct point p) { return (struct point){p.y, p.x}; }
union u make(double d) { return (union u){d}; }
int add(int a, int b) { return a + b; }
int fault(void) { return *(volatile int *)16; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


def trap() -> tmebox.Trap:
    with tmebox.Sandbox(tmebox.compile(source_text=SOURCE, flags=("-w",))) as sandbox:
        try:
            sandbox.fault()
        except tmebox.Trap as error:
            return error
    raise AssertionError


VIOLATIONS = (
    tmebox.Violation(4096, "a-rule", "nop", "because"),
    tmebox.Violation(4097, "b", "hlt", "so", "f.c:1"),
)
MADE: dict[str, Callable[[], Any]] = {
    "VerificationError": lambda: tmebox.VerificationError(VIOLATIONS),
    "Violation": lambda: VIOLATIONS[1],
    "CompileError": lambda: tmebox.CompileError(
        "it does not compile", (errors.Diagnostic("m", "f.c", 1, 2),)
    ),
    "Frame": lambda: FRAME,  # type: ignore[has-type]
    "Diagnostic": lambda: errors.Diagnostic("m", "f.c", 1, 2),
    "Completed": lambda: tmebox.Completed(1, b"out", b"err"),
    "In": lambda: tmebox.In(b"x"),
    "Out": lambda: tmebox.Out(bytearray(1)),
    "InOut": lambda: tmebox.InOut(bytearray(1)),
    "Limits": tmebox.limits,
    "Stats": tmebox.stats,
    "HeapStats": lambda: tmebox.SharedHeap("1MiB").stats(),
    "BadPointer": lambda: tmebox.BadPointer("there is none"),
}
REFUSED = {
    "Block",
    "Box",
    "Callback",
    "Column",
    "Handle",
    "Pointer",
    "Sandbox",
    "SandboxMemory",
    "SandboxPool",
}
REFUSED.add("SharedHeap")
OTHERWISE = {"Module", "Snapshot"}
"""Tested below: equal means more than that."""


def value_of(name: str) -> Any:
    kind = getattr(tmebox, name)
    if name in MADE:
        return MADE[name]()
    if issubclass(kind, tmebox.Trap):
        return kind("it stopped", offset=16, access="read", address=4096, unwind=lambda: (FRAME,))
    return kind("a message")


FRAME = errors.Frame(4096, "f", "f.c", 3)
CLASSES = [name for name in tmebox.__all__ if isinstance(getattr(tmebox, name), type)]
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {n}": (lambda v, n=n: pickle.loads(pickle.dumps(v, n)))  # type: ignore[misc]
        for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", sorted(set(CLASSES) - REFUSED - OTHERWISE))
def test_values_and_exceptions_survive(name: str, way: str) -> None:
    value = value_of(name)
    again = WAYS[way](value)
    assert type(again) is type(value)
    if not isinstance(value, BaseException):
        assert again == value
        return
    assert str(again) == str(value)
    assert again.args == value.args
    known = {key: item for key, item in vars(value).items() if not key.startswith("_")}
    assert {key: item for key, item in vars(again).items() if not key.startswith("_")} == known
    if isinstance(value, tmebox.Trap):
        assert again.backtrace == value.backtrace == (FRAME,)
        assert (again.function, again.source) == ("f", "f.c:3")


def test_no_public_class_is_forgotten() -> None:
    assert set(CLASSES) >= REFUSED | OTHERWISE | set(MADE)


@pytest.mark.parametrize("way", WAYS)
def test_what_belongs_to_one_process_refuses(module: tmebox.Module, way: str) -> None:
    heap = tmebox.SharedHeap("4MiB")
    with heap, tmebox.Sandbox(module) as sandbox, tmebox.SandboxPool(module) as pool:
        template = sandbox.snapshot().template
        for value in (
            sandbox,
            sandbox.memory,
            sandbox.exports,
            sandbox.add,
            pool,
            heap,
            heap.allocate(64),
            template,
        ):
            with pytest.raises(TypeError, match=r"not copied or pickled|cannot pickle"):
                WAYS[way](value)
        assert sandbox.add(3, 4) == 7
    with tmebox.Box(module) as box, box.handle(1) as handle:
        for value in (
            box,
            handle,
            box.text("x"),
            box.empty_column(1, "f8"),
            box.callback(min, Function(Void(), ())),
        ):
            with pytest.raises(TypeError, match="not copied or pickled"):
                WAYS[way](value)


@pytest.mark.parametrize("way", WAYS)
def test_a_turn_in_a_pool_is_there_once(module: tmebox.Module, way: str) -> None:
    with tmebox.SandboxPool(module, threads=2) as two, two.lease() as sandbox:
        for value in (two.lease(), two.map("add", [1], [2]), two.map_async("add", [1], [2])):
            with pytest.raises(TypeError, match="not copied or pickled"):
                WAYS[way](value)
        assert sandbox.add(3, 4) == 7


def names_in(kind: type) -> set[str]:
    """What a class and its bases define, but for `object`."""
    return {name for each in kind.__mro__[:-1] for name in vars(each)}


OWNING = ("close", "__exit__", "__aexit__")
"""What has one of these is there once."""


def test_nothing_that_is_closed_can_be_there_twice() -> None:
    """Of what users get: their classes, what pools and boxes hand out, and sandboxed Python."""
    homes = [pool, results, callbacks, handles, interpreter, mcp, magic]
    found = {kind for home in homes for kind in vars(home).values() if isinstance(kind, type)}
    found |= {getattr(tmebox, name) for name in CLASSES}
    owning = {
        kind
        for kind in found
        if kind.__module__.startswith("tmebox.") and any(hasattr(kind, name) for name in OWNING)
    }
    assert {interpreter.Python, pool.Lease, results.Results, tmebox.Box, tmebox.Callback} <= owning
    copied = {kind.__name__ for kind in owning if "__reduce_ex__" not in names_in(kind)}
    assert copied <= {"Bar"}  # a protocol


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_module_is_one_that_runs(module: tmebox.Module, way: str) -> None:
    again = WAYS[way](module)
    assert codec.digest(again.file) == codec.digest(module.file)
    del again
    gc.collect()
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.add(3, 4) == 7
    with tmebox.Sandbox(WAYS[way](module)) as sandbox:
        assert sandbox.add(3, 4) == 7


def test_a_module_that_takes_trust_is_not_pickled() -> None:
    trusted = tmebox.compile(source_text="int f(void) { return 1; }", isolation="data", trust_compiler=True)
    assert copy.copy(trusted) is trusted
    with pytest.raises(TypeError, match="since loading it takes trust"):
        pickle.dumps(trusted)


@pytest.mark.parametrize("way", WAYS)
def test_structs_and_prototypes_survive(module: tmebox.Module, way: str) -> None:
    with tmebox.Sandbox(module) as sandbox:
        point, union = sandbox.flip((1, 2)), sandbox.make(2.5)
        for value in (point, point._replace(x=9), union):
            again = WAYS[way](value)
            assert (
                again == value and repr(again) == repr(value) and type(again).__name__ == type(value).__name__
            )
        assert sandbox.flip(WAYS[way](point)) == (1, 2)
        assert sandbox.call("make", WAYS[way](union).n) == union
    prototype = module.exports["flip"]
    assert isinstance(prototype, Prototype)
    assert WAYS[way](prototype) == prototype


def in_another_process(data: bytes) -> Any:
    with tmebox.Sandbox(pickle.loads(data)) as sandbox:
        return sandbox.fault()


def test_a_trap_comes_out_of_a_process_pool(module: tmebox.Module) -> None:
    data = pickle.dumps(module)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        error = pool.submit(in_another_process, data).exception(60)
    assert isinstance(error, tmebox.MemoryFault)
    assert (error.offset, error.access, error.function) == (16, "read", "fault")


# -- exports that are named like a sandbox's own attributes ----------------------------------------------
NAMED = """
int close(int a) { return a + 1; } int memory(void) { return 2; } int exports(void) { return 3; }
int __init__(void) { return 4; } int _tenancy(void) { return 5; } int fine(void) { return 6; }
"""


def test_exports_has_all_of_them_and_their_names_are_warned_of() -> None:
    with pytest.warns(
        UserWarning, match=r"every sandbox: close, exports, memory; call them as sandbox\.exports"
    ):
        module = tmebox.compile(source_text=NAMED)
    with tmebox.Sandbox(module) as sandbox:
        functions = sandbox.exports
        assert functions["close"](1) == 2
        assert [functions[name]() for name in ("memory", "exports", "__init__", "_tenancy", "fine")] == [
            2,
            3,
            4,
            5,
            6,
        ]
        assert set(functions) == set(module.exports) and len(functions) == 6
        assert "close" in functions and "open" not in functions
        with pytest.raises(KeyError):
            functions["open"]
        assert not sandbox.closed
    with pytest.raises(tmebox.SandboxClosed):
        functions["fine"]()


def test_a_sandbox_lives_as_long_as_a_function_of_its_exports() -> None:
    module = tmebox.compile(source_text="int n; int count(void) { return ++n; }")
    count = tmebox.Sandbox(module).exports["count"]
    gc.collect()
    assert [count(), count()] == [1, 2]


def test_a_warning_names_the_line_that_loaded_the_module(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = tmebox.compile(source_text=NAMED)
    path = tmp_path / "named.tbx"
    module.save(path)
    data, pickled = module.to_bytes(), pickle.dumps(module)
    ways: dict[str, Callable[[], Any]] = {
        "compile": lambda: tmebox.compile(source_text=NAMED),
        "load": lambda: tmebox.Module.load(path),
        "from_bytes": lambda: tmebox.Module.from_bytes(data),
        "a module file": lambda: tmebox.Module(module.file),
        "pickle": lambda: pickle.loads(pickled),
    }
    for name, way in ways.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            way()
        places = [(item.filename, item.lineno) for item in caught]
        assert places == [(__file__, way.__code__.co_firstlineno)], name


def test_the_names_that_are_warned_of_are_those_of_every_sandbox() -> None:
    assert set(filter(is_attribute, dir(tmebox.Sandbox))) | OWN_ATTRIBUTES == SANDBOX_ATTRIBUTES
    assert set(filter(is_attribute, dir(tmebox.Box))) | OWN_ATTRIBUTES == BOX_ATTRIBUTES
    assert set(filter(is_attribute, dir(tmebox.Pointer))) == OF_POINTERS


def test_nobody_is_warned_of_other_names() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tmebox.compile(source_text="int closed_(void) { return 1; }")


def test_exports_without_a_prototype_take_integers() -> None:
    text = ".globl plain\\n.type plain,@function\\nplain: leaq (%rdi,%rsi),%rax\\nret\\n.size plain,.-plain"
    source = f'__asm__("{text}");'
    module = tmebox.compile(source_text=f"{source} int f(void) {{ return 1; }}")
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.exports["plain"](3, 4) == 7
