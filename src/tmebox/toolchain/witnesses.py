"""Prototypes of imports that are never called, only passed on, such as a comparator for qsort.

Compilers write no debug information about them. So the sources that name them are compiled once more, each
with a variable that points to the function, whose type says it. This happens only where a prototype is
missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tmebox.abi import SHARED_IMPORT, SYSCALL_IMPORT
from tmebox.errors import CompileError
from tmebox.modulefile.file import ModuleFile
from tmebox.modulefile.prototypes import Prototype
from tmebox.records import replace
from tmebox.toolchain.compile.compile import LANGUAGES, preprocess
from tmebox.toolchain.link.debug.prototypes import WITNESS
from tmebox.toolchain.options import CompileOptions, SourceText
from tmebox.toolchain.patterns import regex

Build = Callable[[SourceText, CompileOptions], ModuleFile]
_C_NAME = regex(r"[A-Za-z_]\w*")


def with_prototypes(
    module: ModuleFile, sources: Sequence[Path | SourceText], options: CompileOptions, build: Build
) -> ModuleFile:
    """The module with prototypes for imports that lack them, as far as the sources declare them."""
    missing = {item.name for item in module.imports if item.prototype is None}
    missing -= {SYSCALL_IMPORT, SHARED_IMPORT}
    missing = {name for name in missing if _C_NAME.fullmatch(name)}
    found: dict[str, Prototype] = {}
    for source in sources if missing else ():
        if LANGUAGES.get(Path(source.name).suffix) == "c":
            found.update(_from_source(source, missing - found.keys(), options, build))
    imports = tuple(replace(i, prototype=i.prototype or found.get(i.name)) for i in module.imports)
    return replace(module, imports=imports) if found else module


def _from_source(
    source: Path | SourceText, names: set[str], options: CompileOptions, build: Build
) -> dict[str, Prototype]:
    """What one source declares of these."""
    try:
        text = source.text if isinstance(source, SourceText) else preprocess(source, options).text
        wanted = sorted(names.intersection(_C_NAME.findall(text)))
        for _ in range(2):
            if not wanted:
                break
            try:
                return _compiled(source, text, wanted, options, build)
            except CompileError as error:  # not declared where the source ends
                wanted = [name for name in wanted if f"'{name}'" not in str(error)]
    except CompileError:
        pass  # the prototypes stay unknown, which is told when a sandbox is made
    return {}


def _compiled(
    source: Path | SourceText, text: str, names: Sequence[str], options: CompileOptions, build: Build
) -> dict[str, Prototype]:
    lines = [
        f"static __typeof__({name}) *const {WITNESS}{name} __attribute__((used)) = {name};" for name in names
    ]
    suffix = Path(source.name).suffix if isinstance(source, SourceText) else ".i"
    witness = SourceText("\n".join([text, *lines, ""]), f"{Path(source.name).stem}{suffix}")
    module = build(witness, replace(options, exports=None))
    return {item.name: item.prototype for item in module.imports if item.prototype and item.name in names}
