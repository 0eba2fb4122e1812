"""A bound library as a Python package: the module file, typed source, and what `python -m` says of it."""

from __future__ import annotations

import ast
import hashlib
import json
import keyword
import math
import re
import unicodedata
from pathlib import Path

from tmebox.binding.bind import Bound, exports_of
from tmebox.binding.constants import Value
from tmebox.errors import ModuleError
from tmebox.modulefile import codec
from tmebox.outputs import write_output
from tmebox.runtime.attributes import is_attribute
from tmebox.runtime.calls.stubs import TAKEN, stub

MODULE = "library.tbx"
BUILD = "build.json"
"""How the module was made: see `Bound.build`. WRITTEN: digests of the package's own Python, by name."""
WRITTEN = "written"
PYTHON = ("__init__.py", "__main__.py")
NO_LITERALS = ("float('inf')", "float('-inf')", "float('nan')")
"""How Python writes the numbers that have no literal."""
_UNPACK = """
if TYPE_CHECKING:
    from typing_extensions import Unpack
"""
_OPEN = '''

def open(**options: Unpack[hints.SandboxOptions]) -> {face}:
    """A new sandbox of the library. Options are those of tmebox.Sandbox: memory, timeout, imports, ..."""
    return {face}(module(), **options)


def module() -> tmebox.Module:
    """The library, verified and loaded once."""
    found = _loaded.get("module")
    if found is None:
        file = Path(__file__).with_name("{file}")
        found = _loaded.setdefault("module", tmebox.Module.load(file))
    return found


_loaded: dict[str, tmebox.Module] = {{}}
'''
_MAIN = '''"""`python -m {name}`: what is in here, whether it verifies, what it needs, how it was built."""

from tmebox.binding.shown import show

if __name__ == "__main__":
    raise SystemExit(show("{name}"))
'''


def files_of(bound: Bound) -> dict[str, bytes]:
    """Contents by name within the package. The same library gives the same bytes. Raises ModuleError for a
    name that cannot be a package's."""
    name = bound.name
    if not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        raise ModuleError(f"{name!r} cannot be the name of a Python package")
    files = {
        "__init__.py": _source(bound).encode(),
        "__main__.py": _MAIN.format(name=name).encode(),
        "py.typed": b"",
        MODULE: codec.encode(bound.file),
    }
    build = {**bound.build, WRITTEN: {each: written_digest(files[each]) for each in PYTHON}}
    return {**files, BUILD: (json.dumps(build, indent=1, sort_keys=True) + "\n").encode()}


def written_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_package(bound: Bound, directory: Path) -> None:
    """Raises OSError, ModuleError."""
    files = files_of(bound)
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_output(directory / name, data)


def _source(bound: Bound) -> str:
    wanted = set(exports_of(bound))
    exports = [(e.name, e.prototype) for e in bound.file.exports if e.name in wanted]
    text = stub(
        exports,
        name=bound.name,
        by_clang=bound.file.base != "r15",
        box=True,
        docs=bound.comments,
        structs=bound.structs,
    )
    face = re.findall(r"^class (\w+)\(tmebox\.Box\)", text, re.MULTILINE)[-1]
    head, _, rest = text.partition("import tmebox\n")
    head = re.sub(r'^"""[^\n]*"""', f'"""{bound.name}, boxed: written by `tmebox bind`."""', head)
    head = head.replace("from typing import", "from pathlib import Path\nfrom typing import", 1)
    rest = rest.replace("from tmebox import hints\n", f"from tmebox import hints\n{_UNPACK}", 1)
    head = head.replace("TYPE_CHECKING, Any,", "TYPE_CHECKING, Any, Final,", 1)
    before, after = f"{head}import tmebox\n{rest}\n\n", _OPEN.format(face=face, file=MODULE)
    taken = _bound_names(before + after) | TAKEN
    lines = [
        f"{name}: Final = {_literal(value)}"
        for name, value in bound.constants.items()
        if name not in taken and _is_free_name(name) and type(value) in (int, float, str)
    ]
    source = before + "\n".join(lines) + after
    _require_plain(source, after)
    return source


def _require_plain(source: str, own: str) -> None:
    """Importing a package runs nothing that a header's author wrote: constants are literals, and calls are
    those of `own` and a few more. Raises ModuleError: a name or value was written down that is more."""
    calls = _calls("\n".join((own, *NO_LITERALS, "hints.Member()")))
    if not _calls(source) <= calls or not all(map(_is_literal, _constants(source))):
        raise ModuleError("something that a header declares would run when the package is imported")


def _calls(source: str) -> set[str]:
    return {ast.dump(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)}


def _constants(source: str) -> list[ast.expr]:
    """What is behind the equals sign of each."""
    found = [node for node in ast.parse(source).body if isinstance(node, ast.AnnAssign)]
    return [node.value for node in found if node.value and ast.unparse(node.annotation) == "Final"]


def _is_literal(value: ast.expr) -> bool:
    negated = isinstance(value, ast.UnaryOp) and isinstance(value.operand, ast.Constant)
    return negated or isinstance(value, ast.Constant) or ast.unparse(value) in NO_LITERALS


def _bound_names(source: str) -> set[str]:
    """What the package's own code is made of: a constant of such a name would take its place."""
    found: set[str] = set()
    for node in ast.walk(ast.Module(_outer(ast.parse(source).body), [])):
        if isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _outer(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements, without what is in classes and functions."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            node.body = []
    return body


def _is_free_name(name: str) -> bool:
    """Python reads a name in its normal form, and gives meaning to some with an underscore in front, as
    others do."""
    is_itself = name.isidentifier() and unicodedata.normalize("NFKC", name) == name
    return is_itself and is_attribute(name) and not keyword.iskeyword(name)


def _literal(value: Value) -> str:
    """What Python reads as the value, which is an int, a float or a str itself: subclasses write themselves
    as they like."""
    is_plain = not isinstance(value, float) or math.isfinite(value)
    return repr(value) if is_plain else f"float('{value!r}')"
