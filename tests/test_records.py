"""Classes of `tmebox.records` are what the standard library would make of the same annotations."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tmebox import records
from tmebox.errors import Diagnostic
from tmebox.toolchain.options import CompileOptions
from tmebox.toolchain.rewrite.asm import Directive, Memory, Register

LIBRARIES = [records, dataclasses]
SLOW_MODULES = {"dataclasses", "inspect", "tempfile", "shutil", "random", "numpy", "asyncio"}


def classes(library: Any) -> dict[str, Any]:
    """The same classes, made by either library."""

    @library.dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 7
        label: str = library.field(default="", compare=False, repr=False)

        @property
        def total(self) -> int:
            return self.x + self.y

    @library.dataclass(frozen=True)
    class Named:
        name: str

        def __repr__(self) -> str:
            return f"<{self.name}>"

    @library.dataclass
    class Bag:
        items: list[int] = library.field(default_factory=list)
        size: int = 3

        def __post_init__(self) -> None:
            self.twice = 2 * self.size

    @library.dataclass(frozen=True, slots=True)
    class Empty:
        pass

    return {"Point": Point, "Named": Named, "Bag": Bag, "Empty": Empty}


def said(action: Callable[[], object]) -> str:
    """What comes of it, or the error."""
    try:
        return repr(action())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def changed(make: Callable[[], Any], name: str) -> object:
    value = make()
    setattr(value, name, 5)
    return getattr(value, name)


ACTIONS: dict[str, Callable[[Any, Any, Any, Any], Callable[[], object]]] = {
    "repr": lambda p, n, b, e: lambda: (p(1), p(1, y=2), n("a"), b(), b([1], 2), e()),
    "equal": lambda p, n, b, e: lambda: (p(1) == p(1, 7, "other"), p(1) == p(2), p(1) == (1, 7), e() == e()),
    "other class": lambda p, n, b, e: lambda: (n(1) == p(1), n(1) != n(2)),
    "hash": lambda p, n, b, e: lambda: (hash(p(1)) == hash(p(1, 7, "other")), len({p(1), p(1), p(2), e()})),
    "no hash": lambda p, n, b, e: lambda: hash(b()),
    "missing": lambda p, n, b, e: p,
    "too many": lambda p, n, b, e: lambda: n("a", "b"),
    "unknown": lambda p, n, b, e: lambda: p(1, z=2),
    "set": lambda p, n, b, e: lambda: changed(lambda: p(1), "x"),
    "set a new one": lambda p, n, b, e: lambda: changed(lambda: n("a"), "other"),
    "set what may be": lambda p, n, b, e: lambda: changed(b, "size"),
    "delete": lambda p, n, b, e: lambda: n("a").__delattr__("name"),
    "own list": lambda p, n, b, e: lambda: (b().items.append(1), b().items),
    "after": lambda p, n, b, e: lambda: b(size=4).twice,
    "default of the class": lambda p, n, b, e: lambda: (b.size, hasattr(b, "items")),
    "property": lambda p, n, b, e: lambda: p(1).total,
    "no dict": lambda p, n, b, e: lambda: hasattr(p(1), "__dict__"),
    "match": lambda p, n, b, e: lambda: (p.__match_args__, e.__match_args__),
    "parameters": lambda p, n, b, e: lambda: list(inspect.signature(p).parameters),
    "fields": lambda p, n, b, e: lambda: [(f.name, f.type, f.compare, f.repr) for f in dataclasses.fields(p)],
    "asdict": lambda p, n, b, e: lambda: (dataclasses.asdict(p(1)), dataclasses.asdict(b([2]))),
    "replace": lambda p, n, b, e: lambda: (dataclasses.replace(p(1), y=1), records.replace(p(1), x=3)),
    "copy": lambda p, n, b, e: lambda: (copy.copy(p(4)), copy.deepcopy(b([1])), copy.copy(n("n"))),
    "is": lambda p, n, b, e: lambda: (dataclasses.is_dataclass(p), dataclasses.is_dataclass(b())),
    "names": lambda p, n, b, e: lambda: (p.__name__, p.__qualname__, p.__module__, p.__init__.__name__),
    "subclass": lambda p, n, b, e: lambda: changed(lambda: type("Sub", (n,), {})("a"), "more"),
    "subclass of it": lambda p, n, b, e: lambda: changed(lambda: type("Sub", (n,), {})("a"), "name"),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_it_does_as_the_library_does(action: str) -> None:
    ours, theirs = (said(ACTIONS[action](*classes(library).values())) for library in LIBRARIES)
    assert ours == theirs


@pytest.mark.parametrize(
    "value", [Memory("8", "rax"), Register("rcx"), Directive(".text"), CompileOptions(), Diagnostic("no")]
)
def test_such_values_travel_between_processes(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)


def test_compiling_a_file_imports_nothing_slow(tmp_path: Path) -> None:
    (tmp_path / "one.c").write_text("int one(void) { return 1; }\n")
    program = (
        "import sys; sys.argv = ['tmebox', 'cc', '-O2', '-c', 'one.c']\n"
        "from tmebox.__main__ import main\n"
        "before = set(sys.modules)\n"
        "assert main() == 0\n"
        "print(*set(sys.modules) - before)"
    )
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "tmebox.toolchain.rewrite.rewrite" in done.stdout.split()
    assert not SLOW_MODULES & set(done.stdout.split())
