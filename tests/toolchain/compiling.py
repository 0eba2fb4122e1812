"""Compile source text to a module file, as the tests of the toolchain do all the time."""

from __future__ import annotations

from typing import Any

from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.build import CompileOptions, SourceText, build


def compile_text(text: str, *more: str, **options: Any) -> ModuleFile:
    """Module of one or more C sources, without libc unless asked for."""
    options.setdefault("use_libc", False)
    sources = [SourceText(source, f"source{index}.c") for index, source in enumerate((text, *more))]
    return build(sources, CompileOptions(**options))


def exports(module: ModuleFile) -> dict[str, str]:
    """Name → prototype as text."""
    return {export.name: str(export.prototype) for export in module.exports}


def imports(module: ModuleFile) -> dict[str, str]:
    return {item.name: str(item.prototype) for item in module.imports}
