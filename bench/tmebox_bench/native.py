"""Native builds of the suite's programs: the baseline.

The same compiler compiles the same sources with the same options minus those that sandboxing adds, and the
same C library is linked: the guest libc's sources (its allocator and string functions included), without the
instrumentation. So what differs between a native program and a sandboxed one is the sandbox; natively,
`native/start.c` stands in for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tmebox import abi
from tmebox.toolchain.compile import clang, cplusplus, gcc
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.libc import cache_directory
from tmebox.toolchain.libc.sources import Source
from tmebox.toolchain.link.link import shuffled
from tmebox_bench import native_compilers
from tmebox_bench.native_compilers import COMPILERS, MODES

Progress = Callable[[str, int, int], None]
LINK = {"non-PIE": ("-static",), "PIE": ("-pie", "--no-dynamic-linker", "-z", "text")}
START = Path(__file__).parent / "native" / "start.c"


def compile_native(source: Path, output: Path, mode: str, options: Sequence[str], compiler: str) -> None:
    """C or C++ to a native object. mode: of MODES; compiler: of COMPILERS. Raises CompileError."""
    chosen = COMPILERS[compiler]
    headers = [f"-isystem{path}" for path in libc_sources.include_dirs(chosen.base)]
    if source.suffix in cplusplus.SUFFIXES:
        headers = [*native_compilers.code_flags_of_cxx(compiler), *headers]
    chosen.compile(source, output, [*chosen.code_flags, *MODES[mode], *options, *headers])


def link_native(
    objects: Sequence[Path],
    output: Path,
    mode: str,
    library: Path,
    placement: int = 0,
    libcxx: Path | None = None,
) -> None:
    """Objects and the native libc in `library` to a static executable. placement: as in CompileOptions.
    libcxx: the native C++ library, for programs in C++.

    Raises CompileError.
    """
    inputs = [library / "start.o", *objects, *([] if libcxx is None else [libcxx]), library / "libc.a"]
    common = ["-m", "elf_x86_64", "--gc-sections", "-z", "norelro", "-z", "noexecstack"]
    common += ["--no-eh-frame-hdr"] if libcxx is None else ["--eh-frame-hdr", "-u", "dl_iterate_phdr"]
    common += shuffled(placement) + ONE_THREAD
    native_compilers.run("ld.lld", [*common, *LINK[mode], "-o", str(output), *map(str, inputs)])
    output.chmod(0o755)


ONE_THREAD = [f"--defsym=__tmebox_thread_{name}=0" for name in ("size", "start", "data_end", "end")]
"""Programs of the suite start no thread: what the sandboxes' linker script tells libc of thread-local
variables is nothing natively."""


def native_libc(mode: str, compiler: str, progress: Progress | None = None) -> Path:
    """Directory of the native libc.a and start.o, built at first use. Raises CompileError, OSError."""
    directory = cache_directory() / f"native-libc-{_key(mode, compiler)}"
    if not directory.is_dir():
        with directory.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not directory.is_dir():
                _build_libc(directory, mode, compiler, progress)
    return directory


def publish(scratch: Path, directory: Path) -> None:
    """Rename a finished directory into place; when another process was faster its copy is as good."""
    try:
        scratch.rename(directory)
    except OSError:
        if not directory.is_dir():
            raise


def _key(mode: str, compiler: str) -> str:
    versions = f"{libc_sources.compiler_version()} {gcc.gcc().version if compiler == 'gcc' else ''}"
    flags = (COMPILERS[compiler].libc_flags, MODES[mode])
    digest = hashlib.sha256(f"{mode}\0{compiler}\0{flags}\0{versions}\0".encode())
    guest = libc_sources.GUEST
    for path in [*sorted(guest.rglob("*.[chsS]")), START, Path(abi.__file__), Path(libc_sources.__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:20]


def _build_libc(directory: Path, mode: str, compiler: str, progress: Progress | None) -> None:
    scratch = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", dir=directory.parent))
    try:
        _build_libc_in(scratch, mode, compiler, progress)
        publish(scratch, directory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build_libc_in(scratch: Path, mode: str, compiler: str, progress: Progress | None) -> None:
    (scratch / "abi.h").write_text(abi._header())
    objects = scratch / "objects"
    objects.mkdir()
    sources = [*libc_sources.sources(), Source("start", START)]
    outputs = native_compilers.compile_all(
        lambda source, output: _compile_libc(source, output, scratch, mode, compiler),
        sources,
        objects,
        f"native libc, {compiler}, {mode}",
        progress,
    )
    outputs.pop().rename(scratch / "start.o")
    libc_sources.archive(scratch / "libc.a", outputs)
    shutil.rmtree(objects)


def _compile_libc(source: Source, output: Path, scratch: Path, mode: str, compiler: str) -> None:
    guest, musl = libc_sources.GUEST, clang.toolchain_dir() / "lib" / "libc" / "musl"
    own = [guest / name for name in ("arch", "kernel", "start")]
    musls = [musl / name for name in ("arch/x86_64", "arch/generic", "src/include", "src/internal")]
    chosen = COMPILERS[compiler]
    search = [f"-I{path}" for path in (*own, scratch, *musls)]
    system = [f"-isystem{path}" for path in libc_sources.include_dirs(chosen.base)]
    chosen.compile(source.path, output, [*chosen.libc_flags, *MODES[mode], *search, *system])
