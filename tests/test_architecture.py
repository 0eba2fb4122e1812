"""The architecture, held: imports point one way, files stay small, numbers have one home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tmebox"
LARGEST_FILE_LINES = 450

LAYERS: dict[str, int] = {
    "_version": 0,
    "errors": 0,
    "abi": 0,
    "once": 0,
    "listing": 0,
    "outputs": 0,
    "progress": 0,
    "shown": 0,
    "prototypes": 1,
    "elf": 1,
    "modulecheck": 1,
    "modulecodec": 1,
    "modulefile": 1,
    "snapshotfile": 1,
    "_native": 1,
    "toolchain": 2,
    "verify": 2,
    "memory": 2,
    "tme": 2,
    "runtime": 3,
    "hints": 4,
    "serve": 4,
    "bench": 4,
    "cli": 5,
    "__main__": 6,
    "__init__": 6,
}
"""A module imports from its own layer's part and from lower layers, never upwards or sideways."""

USERS = {"serve", "bench", "cli"}
"""Written against the public interface, `import tmebox`, as a user's program is."""

COMPILING = {("runtime", "toolchain")}
"""`tmebox.compile` starts the toolchain, inside a function: it is an extra, and
never needed to run a module."""

SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))
NATIVE_SOURCES = sorted(
    path
    for folder in (ROOT / "native", PACKAGE / "guest")
    for path in folder.rglob("*")
    if path.suffix in {".c", ".h", ".S", ".s"} and path.name != "abi.h"
)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_parts(path: Path) -> Iterator[tuple[str, int]]:
    """(part of tmebox, line) for every import in a file, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            base = (node.module or "").split(".")
            if base[0] == "tmebox":
                names = [base[1]] if len(base) > 1 else [alias.name for alias in node.names]
                yield from ((name if name in LAYERS else "__init__", node.lineno) for name in names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                words = alias.name.split(".")
                if words[0] == "tmebox":
                    yield words[1] if len(words) > 1 else "__init__", node.lineno


def test_every_part_of_the_package_has_a_layer() -> None:
    assert {part_of(path) for path in SOURCES} <= set(LAYERS)


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path != PACKAGE / "__init__.py"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    for imported, line in imported_parts(path):
        if imported == part or (part, imported) in COMPILING or (imported == "__init__" and part in USERS):
            continue
        assert LAYERS[imported] <= LAYERS[part], f"{path.name}:{line}: {part} imports {imported}"
        sideways = LAYERS[imported] == LAYERS[part] and LAYERS[part] >= 2
        assert not sideways, f"{path.name}:{line}: {part} and {imported} are neighbours"


def test_the_verifier_imports_nothing_but_errors_and_numbers() -> None:
    allowed = {"verify", "errors", "abi"}
    for path in (PACKAGE / "verify").rglob("*.py"):
        assert {part for part, _ in imported_parts(path)} <= allowed, path.name


def test_running_a_module_imports_nothing_of_the_toolchain() -> None:
    for path in SOURCES:
        if part_of(path) in {"toolchain", "bench", "cli", "__main__"}:
            continue
        for node in ast.parse(path.read_text()).body:
            names = [getattr(node, "module", None) or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("tmebox.toolchain") for name in names), (
                f"{path.name}:{node.lineno}"
            )


@pytest.mark.parametrize("path", [*SOURCES, *NATIVE_SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LARGEST_FILE_LINES


def abi_numbers() -> dict[int, str]:
    """Numbers of abi.py that can be nothing else, by value."""
    from tmebox import abi

    found = {}
    for name, value in vars(abi).items():
        if name.isupper() and isinstance(value, int) and value > 1 << 20 and value & (value - 1):
            found[value] = name
    return found


@pytest.mark.parametrize("path", NATIVE_SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_c_and_assembly_take_abi_numbers_from_the_generated_header(path: Path) -> None:
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)
    known = abi_numbers()
    for literal in re.findall(r"(?<![\w.])(0[xX][0-9a-fA-F]+|[1-9]\d+)[uUlL]*\b", code):
        assert int(literal, 0) not in known, f"{path.name} spells out {known.get(int(literal, 0))}"


def test_abi_numbers_are_spelled_out_in_no_other_python_file() -> None:
    known = abi_numbers()
    for path in SOURCES:
        if path.name == "abi.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and type(node.value) is int:
                assert node.value not in known, f"{path.name}:{node.lineno} spells out {known[node.value]}"


def test_the_generated_header_holds_every_number(tmp_path: Path) -> None:
    import subprocess
    import sys

    from tmebox import abi

    header = tmp_path / "abi.h"
    subprocess.run([sys.executable, PACKAGE / "abi.py", header], check=True)
    defined = dict(re.findall(r"#define TMEBOX_(\w+) (-?\w+)", header.read_text()))
    numbers = {name: value for name, value in vars(abi).items() if name.isupper() and isinstance(value, int)}
    assert {name: int(text, 0) for name, text in defined.items()} == numbers


@pytest.mark.parametrize("path", [*SOURCES, *NATIVE_SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_unfinished(path: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text())
