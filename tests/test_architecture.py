"""The architecture, held: imports point one way, files stay small, numbers have one home."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import pytest

from tmebox import abi

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tmebox"
BENCH = ROOT / "bench" / "tmebox_bench"
LARGEST_FILE_LINES = 450

LAYERS: dict[str, int] = {
    "records": -1,
    "_version": 0,
    "demangle": 0,
    "errors": 0,
    "abi": 0,
    "at_once": 0,
    "cache": 0,
    "once": 0,
    "listing": 0,
    "outputs": 0,
    "progress": 0,
    "shown": 0,
    "numpy_threads": 0,
    "unread": 0,
    "uncopied": 0,
    "warned": 0,
    "_native": 1,
    "modulefile": 1,
    "toolchain": 2,
    "verify": 2,
    "memory": 2,
    "tme": 2,
    "runtime": 3,
    "compilation": 4,
    "binding": 5,
    "hints": 4,
    "python": 4,
    "driver": 4,
    "ray": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}
"""A module imports from its own layer's part and from lower layers, never upwards or sideways."""

USERS = {"python", "cli", "ray"}
"""Written against the public interface, `import tmebox`, as a user's program is."""

LATE_IMPORTS = {
    "__main__.py": "builds start `tmebox cc` thousands of times: no command imports what others need",
    "cli/": "help and completion appear at once, without NumPy, the core or the toolchain",
    "demangle/": "errors can show names of C++, and a compiler's start seldom has any",
    "memory/reservation.py": "`import tmebox` reserves addresses, and imports next to nothing for that",
    "records.py": "the library's module for what only it can do, which a compiler's start need not wait for",
    "runtime/arrow.py": "pyarrow, which takes longer to import than tmebox, and need not be there",
    "runtime/shared_heap.py": "the model of TME-MK, which few heaps have",
    "progress.py": "the log and terminals matter where work is long; a compiler's start waits for imports",
    "shown.py": "notebooks alone want HTML",
    "toolchain/build.py": "threads only where several sources are compiled",
    "toolchain/compile/gcc.py": "gcc is looked for where it is asked for",
    "toolchain/libc/": "most links find the C library built, and the compiler's version in a name",
    "toolchain/link/imports.py": "a decoder only where it is in doubt what a symbol is",
    "toolchain/rewrite/embedded.py": "a decoder only where instructions are written as bytes",
    "toolchain/unpromised.py": "a decoder only where assembly has what may be no sandbox's",
    "toolchain/unpack.py": "most sources are in no archive",
    "toolchain/cc/driver.py": "`tmebox cc -E` and `-dumpversion` answer without rewriter and linker",
}
"""Files and folders whose functions import something, and what starts faster for that."""

LOCKS = {
    "python/mcp.py": "the server's process, which starts no others",
    "runtime/system/streams.py": "made anew in a forked child",
    "runtime/tenancy.py": "of a sandbox, which a forked child has not got",
    "toolchain/libc/sources.py": "where the C library is built, by threads that end with it",
}
"""Files with locks, and why a child does not wait for ever that is forked while another thread has one."""

SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))
NATIVE_SOURCES = sorted(
    path
    for folder in (ROOT / "native", PACKAGE / "guest", PACKAGE / "python" / "guest")
    for path in folder.rglob("*")
    if path.suffix in {".c", ".h", ".S", ".s"} and path.name != "abi.h"
)

EVERY_FILE = [*SOURCES, *NATIVE_SOURCES, *sorted(BENCH.rglob("*.py"))]

NATIVE_LAYERS = {"": 0, "tme": 1, "windows": 1, "heap": 2, "threads": 3, "enter": 4, "python": 5}
"""The core's folders: a file includes and calls what is in its own folder and in lower ones. What goes the
other way is a function that the higher folder hands over: a signal's handler, an import's `call`."""


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
        if imported == part or (imported == "__init__" and part in USERS):
            continue
        assert LAYERS[imported] <= LAYERS[part], f"{path.name}:{line}: {part} imports {imported}"
        sideways = LAYERS[imported] == LAYERS[part] and LAYERS[part] >= 2
        assert not sideways, f"{path.name}:{line}: {part} and {imported} are neighbours"


def names_of_modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCES
    }


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, str, int]]:
    """(module, function, line) of what a file imports when it runs, not for type checkers only. function: the
    one that the statement stands in, "" outside of any."""

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    yield full if full in known else child.module or "", function, child.lineno
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, function, child.lineno
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from visit(child, getattr(child, "name", "") if is_function else function)

    yield from visit(ast.parse(path.read_text()), "")


def circles(uses: Mapping[str, Set[str]]) -> list[list[str]]:
    """Groups of names each of which leads to all of its group."""
    reached: dict[str, set[str]] = {}
    for name in uses:
        reached[name], new = set(), {name}
        while new:
            new = {other for one in new for other in uses.get(one, ())} - reached[name]
            reached[name] |= new
    found = {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ()))) for name in uses
    }
    return [list(circle) for circle in sorted(found) if circle]


def test_no_modules_import_each_other_in_a_circle() -> None:
    known = names_of_modules()
    uses = {name: {module for module, _, _ in imports(path, known)} for name, path in known.items()}
    del uses["tmebox"]  # whose names are found where they are at their first use
    assert circles(uses) == []


def test_functions_import_only_where_something_starts_faster_for_it() -> None:
    known, used = names_of_modules(), set()
    for path in known.values():
        name = path.relative_to(PACKAGE).as_posix()
        permitted = next((entry for entry in LATE_IMPORTS if name.startswith(entry)), None)
        for module, function, line in imports(path, known):
            if function:
                assert permitted is not None, f"{name}:{line}: {function}() imports {module}"
                used.add(permitted)
    assert used == set(LATE_IMPORTS)


def test_the_verifier_imports_nothing_but_errors_and_numbers() -> None:
    allowed = {"verify", "errors", "abi", "once"}
    for path in (PACKAGE / "verify").rglob("*.py"):
        assert {part for part, _ in imported_parts(path)} <= allowed, path.name


def test_the_tme_model_imports_nothing_but_errors_and_numbers_and_the_core() -> None:
    allowed = {"tme", "errors", "abi", "_native"}
    for path in (PACKAGE / "tme").rglob("*.py"):
        assert {part for part, _ in imported_parts(path)} <= allowed, path.name


def test_running_a_module_imports_nothing_of_the_toolchain() -> None:
    program = "import sys, tmebox; tmebox.Sandbox; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "tmebox.runtime.sandbox" in done.stdout and "tmebox.toolchain" not in done.stdout


LOCKING = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier", "cached_property"}
"""What is a lock or, before Python 3.12, has one: of the class, for all of its objects."""


def locks(path: Path) -> set[str]:
    """Those of `threading` and `functools` that a file uses."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in {"threading", "functools"}:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"threading", "functools"}:
            found.add(node.attr)
    return found & LOCKING


def test_locks_are_few_and_let_forked_children_go_on() -> None:
    """`once` is cached_property without a lock."""
    found = {path.relative_to(PACKAGE).as_posix(): locks(path) for path in SOURCES}
    assert {name for name, used in found.items() if used} == set(LOCKS)
    hidden = [name for name, used in found.items() if "cached_property" in used]
    assert hidden == ["toolchain/libc/sources.py"]


def property_tests(path: Path) -> Iterator[tuple[str, str]]:
    """(name, decorators in full) of a file's property tests."""
    tree = ast.parse(path.read_text())
    named = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            decorators = [named.get(ast.unparse(item), item) for item in node.decorator_list]
            text = " ".join(map(ast.unparse, decorators))
            if "given(" in text:
                yield node.name, text


def test_no_property_test_has_a_deadline() -> None:
    """A busy machine is no defect."""
    files = [path for path in (ROOT / "tests").rglob("*.py") if "@given" in path.read_text()]
    found = [(path.name, name, text) for path in files for name, text in property_tests(path)]
    assert len(found) > 20
    assert [(file, name) for file, name, text in found if "deadline=None" not in text] == []


def test_the_product_knows_nothing_of_the_benchmarks() -> None:
    assert [path.name for path in SOURCES if "tmebox_bench" in path.read_text()] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_who_asks_for_a_windows_address_keeps_the_window(path: Path) -> None:
    """Else it may be another sandbox's by the time the address is used."""
    assert re.findall(r"hold\(\)\.base", path.read_text()) == []


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LARGEST_FILE_LINES


CORE = ROOT / "native"
CORE_FILES = {path.relative_to(CORE).as_posix(): path for path in NATIVE_SOURCES if path.is_relative_to(CORE)}


def without_comments(path: Path) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)


def native_layer(name: str) -> int:
    return NATIVE_LAYERS[name.rpartition("/")[0]]


def native_definitions() -> dict[str, str]:
    """The file that defines each name the core's files share; all of those start with `tmebox_`."""
    found: dict[str, str] = {}
    for name, path in CORE_FILES.items():
        code = without_comments(path)
        if name.endswith(".S"):
            defined = re.findall(r"(?m)^(?: *function )?(tmebox_\w+):?$", code)
        elif name.endswith(".h"):
            defined = re.findall(r"(?m)^static inline [^\n(]*?\b(tmebox_\w+)\(", code)
        else:
            # What stands at the left margin, up to a body, a value or a semicolon; prototypes are none.
            beginnings = re.findall(r"(?m)^(?!extern|static)[A-Za-z_][^;{}=]*[;{=]", code)
            known = [text for text in beginnings if not re.search(r"tmebox_\w+\([^;]*;", text)]
            defined = [symbol for text in known for symbol in re.findall(r"\btmebox_\w+", text)]
        for symbol in defined:
            assert found.setdefault(symbol, name) == name, f"{symbol}: {found[symbol]} and {name}"
    return found


DRIVERS_INTERFACE = "../driver/tmebox_uapi.h"
"""The only file of the driver that user space shares with it."""


def names_of_the_driver() -> set[str]:
    text = (ROOT / "native" / DRIVERS_INTERFACE).read_text()
    return {*re.findall(r"\btmebox_\w+", text), "tmebox_uapi"}


def native_calls() -> dict[str, dict[str, str]]:
    """For each file that is compiled: the other files it uses, and one name for which."""
    definitions = native_definitions()
    calls: dict[str, dict[str, str]] = {}
    for name, path in CORE_FILES.items():
        if not name.endswith(".h"):
            used = set(re.findall(r"\btmebox_\w+", without_comments(path))) - names_of_the_driver()
            assert used <= set(definitions), f"{name}: nobody defines {used - set(definitions)}"
            calls[name] = {definitions[symbol]: symbol for symbol in sorted(used)}
            calls[name].pop(name, None)
    return calls


@pytest.mark.parametrize("name", sorted(CORE_FILES))
def test_the_core_includes_one_way(name: str) -> None:
    for included in re.findall(r'#include "([^"]+)"', CORE_FILES[name].read_text()):
        if included == DRIVERS_INTERFACE:
            continue
        if included != "abi.h":
            assert included in CORE_FILES, f'{name} includes "{included}": write the path below native/'
        assert native_layer(included) <= native_layer(name), f"{name} includes {included}"


def test_the_core_calls_one_way() -> None:
    for name, used in native_calls().items():
        for other, symbol in used.items():
            assert native_layer(other) <= native_layer(name), f"{name} uses {symbol}, which {other} defines"


def test_files_of_the_core_call_each_other_in_no_circle() -> None:
    assert circles({name: set(used) for name, used in native_calls().items()}) == []


@pytest.mark.parametrize("name", sorted(CORE_FILES))
def test_every_file_of_the_core_says_first_what_it_is_for(name: str) -> None:
    assert re.match(r"/\* \w[^*]{20,}", CORE_FILES[name].read_text()), name


def test_what_older_headers_lack_is_defined_once() -> None:
    found: dict[str, str] = {}
    for name, path in CORE_FILES.items():
        for macro in re.findall(r"(?m)^#ifndef (\w+)\n#define \1 \S", without_comments(path)):
            assert found.setdefault(macro, name) == name, f"{macro}: {found[macro]} and {name}"
    assert "MAP_FIXED_NOREPLACE" in found


def test_one_file_of_the_core_maps_at_fixed_addresses() -> None:
    """Elsewhere a failure could leave a hole in a window, for anybody's next mapping."""
    code = {name: without_comments(path) for name, path in CORE_FILES.items()}
    users = {name for name, text in code.items() if re.search(r"\b(MAP|MREMAP)_FIXED", text)}
    assert users == {"fixed.c", "newer.h"}
    assert not [name for name, text in code.items() if re.search(r"\bSYS_m(re)?map\b", text)]


def abi_numbers() -> dict[int, str]:
    """Numbers of abi.py that can be nothing else, by value."""
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
    for path in [*SOURCES, *BENCH.rglob("*.py")]:
        if path.name == "abi.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and type(node.value) is int:
                assert node.value not in known, f"{path.name}:{node.lineno} spells out {known[node.value]}"


def test_the_generated_header_holds_every_number(tmp_path: Path) -> None:
    header = tmp_path / "abi.h"
    subprocess.run([sys.executable, PACKAGE / "abi.py", header], check=True)
    defined = dict(re.findall(r"#define TMEBOX_(\w+) (-?\w+)", header.read_text()))
    numbers = {name: value for name, value in vars(abi).items() if name.isupper() and isinstance(value, int)}
    assert {name: int(text, 0) for name, text in defined.items()} == numbers


@pytest.mark.parametrize("path", EVERY_FILE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_unfinished(path: Path) -> None:
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", path.read_text())
