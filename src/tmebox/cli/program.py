"""The program a command names: a module file as it is, or source that is compiled first.

What was compiled is kept under the user's cache directory, so that the second run of a .c file starts as
fast as that of a module. The cache is not trusted: what comes out of it is verified like any other file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import tmebox
from tmebox.cli.output import printable, stderr
from tmebox.errors import CompileError, Diagnostic, ModuleError
from tmebox.progress import Report

if TYPE_CHECKING:
    from tmebox.modulefile.file import ModuleFile
    from tmebox.toolchain.options import CompileOptions

SOURCE_SUFFIXES = frozenset({".c", ".i", ".s", ".S", ".cpp", ".cc", ".cxx", ".c++", ".cp", ".C", ".ii"})
KEPT_PROGRAMS = 64
ELF_MAGIC = b"\x7fELF"


def load_program(path: Path, *, report: Report | None = None) -> tmebox.Module:
    """The verified, loaded module of `path`. Raises as `read_program` does, and VerificationError."""
    file = read_program(path, report=report)
    if report:
        report("verify", 0, 1)
    return tmebox.Module(file)


def read_program(path: Path, *, report: Report | None = None) -> ModuleFile:
    """The module file of `path`, compiled if it is source. Raises CompileError, ModuleError, OSError."""
    from tmebox.modulefile import codec

    if path.suffix not in SOURCE_SUFFIXES:
        _require_module(path)
        return codec.read(path)
    path.open("rb").close()  # else the compiler says that it has no input
    manifest = _manifest_path(path)
    cached = None if manifest is None else _from_cache(manifest)
    return cached if cached is not None else _compile(path, manifest, report)


def _require_module(path: Path) -> None:
    """Say of a file that is neither that it is neither; a damaged module is for the one who reads it."""
    from tmebox.modulefile import launcher

    with path.open("rb") as file:
        if not file.read(len(ELF_MAGIC)).startswith((ELF_MAGIC, launcher.BEGINNING)):
            kinds = " ".join(sorted(SOURCE_SUFFIXES))
            raise ModuleError(
                f"{path}: neither a module, which `tmebox cc -o {path.stem}.tbx` makes, nor C, C++ or "
                f"assembly, whose names end in one of {kinds}"
            )


def assembly(path: Path) -> tuple[str, str]:
    """Source's assembly as the compiler wrote it, and as the rewriter changed it. Raises CompileError."""
    _require_compiler()
    from tmebox.toolchain.compile.compile import compile_to_assembly, language_of
    from tmebox.toolchain.objects import instrumented

    compiled = compile_to_assembly(path, _options())
    is_by_hand = language_of(path).startswith("assembler")
    return compiled.text, instrumented(compiled, str(path), _options(), is_by_hand=is_by_hand).text


def _options() -> CompileOptions:
    from tmebox.toolchain.options import CompileOptions

    return CompileOptions()


def _require_compiler() -> str:
    try:
        return version("ziglang")
    except ImportError:
        raise CompileError(
            "the compiler is not installed: pip install 'tmebox[cc]' (ready .tbx files run without it)"
        ) from None


def _manifest_path(source: Path) -> Path | None:
    """Where the cache entry of `source` is: by its path, and everything else that shapes what is compiled. A
    link has its own headers beside it. None where nothing can be kept."""
    from tmebox.cache import NoCacheError, cache_directory

    try:
        folder = cache_directory("programs")
    except NoCacheError:
        return None
    shaping = [
        os.path.join(os.path.abspath(""), source),
        tmebox.__version__,
        _require_compiler(),
        _pipeline_digest(),
    ]
    return folder / (
        hashlib.sha256("\0".join(shaping).encode("utf-8", "surrogateescape")).hexdigest() + ".json"
    )


def _pipeline_digest() -> str:
    """Changes with the toolchain's and the guest's files: by size and time, which is faster than reading."""
    package = Path(tmebox.__file__).parent
    digest = hashlib.sha256()
    for folder in ("toolchain", "guest"):
        for file in sorted((package / folder).rglob("*")):
            if file.suffix != ".pyc" and file.is_file():
                status = file.stat()
                digest.update(
                    f"{file}\0{status.st_size}\0{status.st_mtime_ns}\0".encode("utf-8", "surrogateescape")
                )
    return digest.hexdigest()


def _from_cache(manifest: Path) -> ModuleFile | None:
    """What was compiled earlier, if none of the files it was made from has changed since, and none is there
    that it would have been made from."""
    from tmebox.modulefile import codec

    try:
        kept = json.loads(manifest.read_text())
        if any(_digest(Path(name)) != digest for name, digest in kept["files"].items()):
            return None
        if any(map(os.path.isfile, kept["absent"])):
            return None
        data = manifest.with_suffix(".tbx").read_bytes()
        if hashlib.sha256(data).hexdigest() != kept["module"]:  # somebody else writes both just now
            return None
        module = codec.decode(data)
        os.utime(manifest)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, ModuleError):
        return None
    return module


def _compile(source: Path, manifest: Path | None, report: Report | None) -> ModuleFile:
    from tmebox.toolchain.build import build
    from tmebox.toolchain.compile import clang
    from tmebox.toolchain.compile.compile import preprocess

    # The files it reads are hashed before and after: what changed in between is not kept.
    names = preprocess(source, _options()).dependencies
    dependencies = [os.path.join(os.path.abspath(""), name) for name in names]
    before = {name: _digest(Path(name)) for name in dependencies}
    system = tuple(f"{directory}/" for directory in clang.system_dirs())
    absent = _absent([name for name in dependencies if not name.startswith(system)])
    module = build([source], _options(), progress=report, warn=_warn)
    if (
        manifest is not None
        and absent is not None
        and before == {name: _digest(Path(name)) for name in before}
    ):
        _keep(module, before, absent, manifest)
    return module


def _absent(files: Sequence[str]) -> list[str] | None:
    """Files that these would read if they were there: whatever a text in quotes could name. None for names
    that nobody sees, since a macro has them."""
    found: set[str] = set()
    for file in files:
        text = Path(file).read_text(encoding="utf-8", errors="surrogateescape").replace("\\\n", "")
        if _COMPUTED.search(text) is not None:
            return None
        names = (name for name in _QUOTED.findall(text) if "\0" not in name)
        found.update(os.path.join(os.path.dirname(file), name) for name in names)
    return sorted(path for path in found if not os.path.isfile(path))


_QUOTED = re.compile(r'(?="([^"\n]{1,255})")')
_COMPUTED = re.compile(
    r'(?:#|%:)[ \t]*(?:include|include_next|import|embed)\b(?![ \t]*["<])'
    r'|__has_(?:include|include_next|embed)\b(?!\s*\(\s*["<])'
)


def _warn(warning: Diagnostic) -> None:
    stderr().print(printable(str(warning)), soft_wrap=True)


def _keep(module: ModuleFile, files: dict[str, str], absent: Sequence[str], manifest: Path) -> None:
    """Write a cache entry, the module before the manifest that makes it valid. A full disk is no error, nor
    is a cache that only somebody else may write."""
    from tmebox.modulefile import codec

    try:
        data = codec.encode(module)
        kept = {"module": hashlib.sha256(data).hexdigest(), "files": files, "absent": list(absent)}
        _replace(manifest.with_suffix(".tbx"), data)
        _replace(manifest, json.dumps(kept).encode())
        entries = sorted(
            manifest.parent.glob("*.json"), key=lambda entry: entry.stat().st_mtime, reverse=True
        )
        for entry in entries[KEPT_PROGRAMS:]:
            entry.unlink(missing_ok=True)
            entry.with_suffix(".tbx").unlink(missing_ok=True)
    except OSError:
        return


def _replace(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
