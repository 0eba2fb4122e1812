"""What the sandboxed libc is made of, and how one of its sources becomes an object.

Three trees, each of which replaces files of the same relative name in the one before it: musl's `src`, musl's
`src` for x86-64, and `guest/musl`. `guest/` adds what stands in for the kernel, start-up and compiler-rt.
"""

from __future__ import annotations

import os
from functools import cache, cached_property
from pathlib import Path

from tmebox.abi import form
from tmebox.errors import CompileError
from tmebox.records import dataclass
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.compile import clang, containment, cplusplus, gcc
from tmebox.toolchain.compile.flags import SANDBOXED
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.libc.kept import Kept, digest
from tmebox.toolchain.rewrite import frames
from tmebox.toolchain.rewrite.replacement import Refusal
from tmebox.toolchain.rewrite.rewrite import rewrite

GUEST = Path(__file__).parents[2] / "guest"
CXX = GUEST / "cxx"
"""What C++ alone needs: see `cxx_sources`."""


@dataclass(frozen=True)
class Source:
    """One file to compile. `name` (folder/stem) is unique and becomes the object's. flags: of the compiler;
    None for those of libc. search: more directories of headers, before all others."""

    name: str
    path: Path
    flags: tuple[str, ...] | None = None
    search: tuple[Path, ...] = ()


START = Source("start/start", GUEST / "start" / "start.S")
"""The object a command starts with; everything else is in the archive."""

EXCLUDED = {
    # Another start-up (guest/start), and a first thread whose descriptor is static data.
    "env/__libc_start_main": "start-up is ours",
    "thread/__set_thread_area": "the thread pointer is a variable of libc",
    "thread/__tls_get_addr": "no thread-local block",
    "thread/syscall_cp": "no system call instruction to cancel at",
    "ldso/tlsdesc": "no dynamic linking",
    "signal/restore": "handlers return like functions",
    "setjmp/longjmp": "with setjmp",
}
"""musl files that are left out, and why."""

MALLOC_KEPT = {"reallocarray", "replaced"}
"""What is left of musl's malloc: the allocator is ours (guest/malloc)."""

EXCLUDED_ASSEMBLY = {"ldso/dlsym", "process/vfork", "string/memset"}
"""x86-64 assembly of musl whose C version is used instead."""

FLAGS = (
    "-target", clang.TARGET, "-std=c99", "-O2", "-ffreestanding", "-nostdinc", "-D_XOPEN_SOURCE=700",
    *SANDBOXED,
    "-frounding-math", "-fno-strict-aliasing", "-fasynchronous-unwind-tables", "-w",
)  # fmt: skip
"""What musl's own build uses, too. Unwind tables become .debug_frame."""

GCC_FLAGS = (
    "-std=c99", "-O2", "-ffreestanding", "-fexcess-precision=standard", "-frounding-math",
    "-fno-strict-aliasing", "-fno-tree-loop-distribute-patterns", "-fasynchronous-unwind-tables", "-w", "-g0",
)  # fmt: skip
"""The same for gcc; which must not turn a loop in memset into a call of memset."""

UNWIND_SECTION = "\t.cfi_sections .debug_frame\n"
UNWIND_SECTIONS = "\t.cfi_sections .eh_frame, .debug_frame\n"
"""Of what exceptions pass through."""
LIMITS = clang.Limits(timeout_s=300)


@cache
def compiler_version() -> str:
    """Raises CompileError if there is no compiler."""
    packages = clang.toolchain_dir().parent
    found = [path.stem.removeprefix("ziglang-") for path in packages.glob("ziglang-*.dist-info")]
    if len(found) == 1:
        return found[0]
    import importlib.metadata  # as much again as all the rest of a link: only where it must be

    return importlib.metadata.version("ziglang")


def notice() -> Path:
    """musl's license, which goes wherever the compiled library goes."""
    return clang.toolchain_dir() / "lib" / "libc" / "musl" / "COPYRIGHT"


def include_dirs(base: str = "gs") -> tuple[Path, ...]:
    """Where a sandboxed program's system headers are, in search order; the compiler's own come last."""
    own = gcc.gcc().include_dir if base == "r15" else clang.compiler_include_dir()
    return (*clang.libc_include_dirs(), own)


def sources() -> list[Source]:
    """Everything in the archive, later trees overriding earlier ones."""
    musl = clang.toolchain_dir() / "lib" / "libc" / "musl" / "src"
    chosen: dict[str, Path] = {}
    for path in sorted(musl.glob("*/*.c")):
        if path.parent.name == "malloc" and path.stem not in MALLOC_KEPT:
            continue
        chosen[f"{path.parent.name}/{path.stem}"] = path
    for path in sorted(musl.glob("*/x86_64/*.c")):
        chosen[f"{path.parent.parent.name}/{path.stem}"] = path
    for path in sorted(musl.glob("*/x86_64/*.s")):
        name = f"{path.parent.parent.name}/{path.stem}"
        if name not in EXCLUDED_ASSEMBLY:
            chosen[name] = path
    for tree in (GUEST / "musl", GUEST):
        for path in sorted([*tree.glob("*/*.c"), *tree.glob("*/*.S")]):
            if path.parent != CXX:
                chosen[f"{path.parent.name}/{path.stem}"] = path
    chosen.pop(START.name)
    return [Source(name, path) for name, path in chosen.items() if name not in EXCLUDED]


@dataclass(frozen=True)
class Variant:
    """For which sandboxes; the directory with the generated abi.h; a hash of the code that instruments."""

    isolation: str
    base: str
    generated: Path
    rewriter: str

    @property
    def form(self) -> str:
        return form(self.base, self.isolation)

    @cached_property
    def headers(self) -> dict[str, Path]:
        """Ours, by name. All others belong to the compiler's package."""
        ours = {str(path.relative_to(GUEST)): path for path in GUEST.rglob("*.h")}
        return {**ours, "abi.h": self.generated / "abi.h"}


def compile_source(source: Source, output: Path, variant: Variant, kept: Kept) -> None:
    """C or assembly → instrumented assembly → object. Raises CompileError."""
    is_assembly = source.path.suffix == ".s"
    text = source.path.read_text() if is_assembly else _assembly(source, output, variant, kept)
    name = f"libc/{source.name}"
    isolation, base = variant.isolation, variant.base
    key = digest("object", compiler_version(), variant.rewriter, isolation, variant.form, name, text)
    made = kept.get(key)
    if made is None:
        unwind = UNWIND_SECTION if source.flags is None else UNWIND_SECTIONS
        instrumented = rewrite(unwind + text, file=name, isolation=isolation, base=base)
        assemble(instrumented, output, file=name, isolation=isolation, base=base, limits=LIMITS)
        kept.put(key, output.read_bytes())
    else:
        output.write_bytes(made)


def archive(path: Path, members: list[Path]) -> None:
    """Write a deterministic archive with a symbol table."""
    listing = path.with_suffix(".rsp")
    listing.write_text("\n".join(f'"{member}"' for member in members))
    reach = Reach(reads=tuple(members), writes=(path.parent,))
    _require(clang.run("ar", ["rcsD", str(path), f"@{listing}"], reach, LIMITS))


def _assembly(source: Source, output: Path, variant: Variant, kept: Kept) -> str:
    """What the compiler makes of a source: made before, if neither it nor a header of ours that it reads has
    changed."""
    ours = variant.headers
    is_gcc = variant.base == "r15"
    how: tuple[str, ...] = (*GCC_FLAGS, *gcc.code_flags(), gcc.gcc().version) if is_gcc else FLAGS
    if source.flags is not None:
        how = (*source.flags, *(path.name for path in source.search))
    if variant.form == "twin":
        how = (*how, digest(Path(frames.__file__).read_bytes(), clang.arrays_header().read_bytes()))
    # The headers' names, too: a new one may stand before another in the search.
    how = (compiler_version(), variant.form, *how, *sorted(ours), source.name)
    key = digest("assembly", *how, source.path.read_bytes())

    def make() -> tuple[str, frozenset[str]]:
        text, opened = _to_assembly(source, output, variant)
        names = {os.path.realpath(path): name for name, path in ours.items()}
        return text, frozenset(names[path] for path in map(os.path.realpath, opened) if path in names)

    return kept.assembly(key, ours, make)


def _to_assembly(source: Source, output: Path, variant: Variant) -> tuple[str, tuple[str, ...]]:
    """The assembly, and the files that were read for it."""
    musl = clang.toolchain_dir() / "lib" / "libc" / "musl"
    own = [GUEST / "arch", GUEST / "kernel", GUEST / "start", variant.generated]
    musls = [musl / name for name in ("arch/x86_64", "arch/generic", "src/include", "src/internal")]
    if source.flags is not None:
        musls = []
    search = [word for path in (*source.search, *own, *musls) for word in ("-I", str(path))]
    libraries = include_dirs(variant.base)
    if source.flags is not None and source.path.suffix == ".cpp":
        libraries = (*cplusplus.include_dirs(), *libraries)
    search += [word for path in libraries for word in ("-isystem", str(path))]
    assembly, listing = output.with_suffix(".s"), output.with_suffix(".d")
    places = (source.path.parent, *source.search, GUEST, variant.generated, *libraries, *clang.system_dirs())
    reach = Reach(reads=places, writes=(output.parent,))
    if variant.base == "r15":
        search.append(gcc.MACRO)
    if variant.form == "twin":
        search.append(frames.MACRO)
    if variant.base == "r15" and source.path.suffix == ".c":
        _run_gcc(source.path, assembly, listing, search, reach)
    elif variant.form == "twin" and source.path.suffix in (".c", ".cpp"):
        return _on_twin(source, assembly, listing, search, reach)
    else:
        mode = ["-E", "-P"] if source.path.suffix == ".S" else ["-S"]
        mode += ["-MD", "-MF", str(listing), "-MT", "output"]
        command = [*(source.flags or FLAGS), *search, *mode, str(source.path), "-o", str(assembly)]
        _require(clang.run("clang", command, reach, LIMITS))
    text, opened = assembly.read_text(), containment.dependencies(listing.read_text())
    assembly.unlink()
    listing.unlink()
    return text, opened


def _on_twin(
    source: Source, assembly: Path, listing: Path, search: list[str], reach: Reach
) -> tuple[str, tuple[str, ...]]:
    """With constant frames; where they are not, with clang's second stack for what has no size."""
    words = [
        *(source.flags or FLAGS),
        *frames.FLAGS,
        *search,
        "-S",
        "-MD",
        "-MF",
        str(listing),
        "-MT",
        "output",
    ]
    for more in ((), clang.without_variable_sizes()):
        command = [*words, *more, str(source.path), "-o", str(assembly)]
        finished = clang.run("clang", command, reach, LIMITS, messages_max=frames.REMARKS_MAX)
        _require(finished)
        text, opened = assembly.read_text(), containment.dependencies(listing.read_text())
        assembly.unlink()
        listing.unlink()
        try:
            layouts, _ = frames.layouts(finished.messages)
            return frames.with_twin(text, layouts, elsewhere=bool(more)), opened
        except Refusal as refusal:
            why = refusal
    raise CompileError(f"{source.name}: {why}")


def _run_gcc(source: Path, assembly: Path, listing: Path, search: list[str], reach: Reach) -> None:
    preprocessed = assembly.with_suffix(".i")
    flags = [*GCC_FLAGS, *gcc.code_flags()]
    given = ["-E", "-nostdinc", "-D_XOPEN_SOURCE=700", *search, str(source), "-o", str(preprocessed)]
    _require(gcc.run([*flags, *given, "-MD", str(listing), "-MT", "output"], reach, LIMITS))
    _require(gcc.compile_preprocessed(preprocessed, assembly, flags, LIMITS))
    preprocessed.unlink()


def _require(finished: clang.Finished) -> None:
    if finished.status:
        raise CompileError(f"libc does not build: {finished.messages.strip()}")
