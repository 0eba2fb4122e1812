"""`tmebox.compile`: from C source to a loaded module, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tmebox.errors import CompileError
from tmebox.progress import shown, to
from tmebox.runtime.module import Module


def compile(
    source: str | Path | Sequence[str | Path] | None = None,
    *,
    source_text: str | None = None,
    include_dirs: Sequence[str | Path] = (),
    defines: Mapping[str, str | int | None] | Sequence[str] = (),
    optimize: str = "-O2",
    flags: Sequence[str] = (),
    exports: Sequence[str] | None = None,
    isolation: str = "code+data",
    base: str = "gs",
    trust_compiler: bool = False,
    timeout: float = 120.0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Module:
    """Compile C (one file, several, or `source_text`), instrument, link, verify and load it.

    include_dirs, defines ("NAME", "NAME=1" or a mapping), optimize ("-O0" … "-O3", "-Os"), flags (further
    compiler options that cannot read files): as a C compiler has them. exports: names of callable functions;
    default every non-static function of the sources. isolation: "code+data", or "data", which leaves
    control flow to a compiler that `trust_compiler=True` says is trusted. base: "gs", or "r15" (needs gcc).
    timeout: seconds the compiler may take.
    progress(stage, done, total) is called during long work. Without it, work of more than a second shows a
    bar on a terminal or in a notebook, and otherwise writes to the log `tmebox`, level INFO.

    Raises CompileError with the compiler's messages, VerificationError, ModuleError, LimitError. Needs the
    compiler extra: `pip install 'tmebox[cc]'`.
    """
    try:
        from tmebox.toolchain.build import CompileOptions, SourceText, build
    except ImportError as error:
        raise CompileError(f"the compiler is not installed ({error}): pip install 'tmebox[cc]'") from error
    sources: list[Any] = []
    if source_text is not None:
        sources.append(SourceText(source_text))
    if source is not None:
        sources += [Path(item) for item in ([source] if isinstance(source, (str, Path)) else source)]
    if not sources:
        raise TypeError("compile() needs a source file or source_text=")
    if isinstance(defines, Mapping):
        defines = [name if value is None else f"{name}={value}" for name, value in defines.items()]
    options = CompileOptions(
        optimize=optimize,
        include_dirs=tuple(Path(directory) for directory in include_dirs),
        defines=tuple(defines),
        flags=tuple(flags),
        exports=None if exports is None else tuple(exports),
        isolation=isolation,
        base=base,
        timeout_s=timeout,
    )
    with shown("compile") if progress is None else to(progress) as report:
        return Module(build(sources, options, progress=report), trust_compiler=trust_compiler)
