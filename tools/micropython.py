"""Build the guest of `tmebox.python`: MicroPython and our port of it, as a module.

usage: micropython.py [-o FILE.tbx] [--metered]. Runs in the development environment. The sources of
MicroPython come from Debian's source package, once; TMEBOX_MICROPYTHON names a directory that has them
already. What was built is kept in the user's cache directory, by a hash of all that it is made of."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tmebox.cache import NoCacheError, cache_directory, locked
from tmebox.modulefile.codec import encode
from tmebox.toolchain.build import compile_object, link_program
from tmebox.toolchain.compile.compile import preprocess
from tmebox.toolchain.options import CompileOptions

ROOT = Path(__file__).resolve().parents[1]
PORT = ROOT / "src" / "tmebox" / "python" / "guest"
PACKAGE = "micropython"
VERSION = (1, 26)
SHIPPED = ROOT / "src" / "tmebox" / "python" / "shipped" / "micropython.tbx"

EXTENSIONS = ["asyncio", "binascii", "deflate", "hashlib", "heapq", "json", "random", "re", "time"]
SHARED = ("shared/runtime/sys_stdio_mphal.c", "shared/timeutils/timeutils.c")
NOT_NEEDED = ("py/asm", "py/emitn", "py/emitinline", "py/nlr", "py/nativeglue", "py/modthread", "py/profile")
NEEDED_NLR = ("py/nlr.c", "py/nlrsetjmp.c")
ASYNCIO = ("__init__", "core", "event", "funcs", "lock", "stream")
FAST = ("py/vm.c", "py/gc.c")
"""As MicroPython's own rules have it: -O3 for these."""

RENAMED = {"py/cstack.c": "mp_cstack_check=tmebox_check_stack"}
"""What a metered guest has under another name: the port calls it, and counts."""

NATIVE_MAIN = ROOT / "tests" / "python" / "native" / "main.c"
FLAGS = ("-std=gnu11", "-fno-strict-aliasing", "-Wno-everything", "-fno-math-errno")
CACHE_KEPT = 4
"""Modules in the cache, the newest ones."""


class Unavailable(Exception):
    """The message says what is missing."""


@dataclass(frozen=True)
class Sources:
    micropython: Path
    port: Path

    @property
    def c_files(self) -> list[Path]:
        core = [path for path in sorted((self.micropython / "py").glob("*.c")) if self._is_needed(path)]
        extensions = [self.micropython / "extmod" / f"mod{name}.c" for name in EXTENSIONS]
        shared = [self.micropython / name for name in SHARED]
        return [*core, *extensions, *shared, *sorted(self.port.rglob("*.c"))]

    def _is_needed(self, path: Path) -> bool:
        name = path.relative_to(self.micropython).as_posix()
        return name in NEEDED_NLR or not name.startswith(NOT_NEEDED)

    @property
    def library(self) -> dict[str, bytes]:
        """The modules in Python that programs can import, by the path of their file."""
        own = self.port / "library"
        found = {path.relative_to(own).as_posix(): path.read_bytes() for path in sorted(own.rglob("*.py"))}
        asyncio = self.micropython / "extmod" / "asyncio"
        found |= {f"asyncio/{name}.py": (asyncio / f"{name}.py").read_bytes() for name in ASYNCIO}
        return dict(sorted(found.items()))


def sources() -> Sources:
    """Raises Unavailable."""
    given = os.environ.get("TMEBOX_MICROPYTHON")
    tree = Path(given) if given else _fetched()
    header = tree / "py" / "mpconfig.h"
    if not header.is_file():
        raise Unavailable(f"{tree} has no sources of MicroPython")
    text = header.read_text()
    wanted = f"MICROPY_VERSION_MAJOR {VERSION[0]}\n#define MICROPY_VERSION_MINOR {VERSION[1]}\n"
    if wanted not in text:
        raise Unavailable(f"{tree} is not MicroPython {VERSION[0]}.{VERSION[1]}")
    return Sources(tree, PORT)


def _fetched() -> Path:
    sys.path.insert(0, str(ROOT / "bench"))
    from tmebox_bench.debian import SourcesUnavailableError, fetch

    try:
        return fetch(PACKAGE)
    except SourcesUnavailableError as error:
        raise Unavailable(f"the sources of MicroPython cannot be had: {error}") from None


# -- what MicroPython generates from its sources, by its own scripts ----------------------------------
def generate(found: Sources, output: Path, options: CompileOptions) -> None:
    """Its generated headers, ours, and the library as C, below `output`."""
    from tmebox.python import wire

    headers = output / "genhdr"
    headers.mkdir(parents=True)
    (output / "wire.h").write_text(wire.header())
    (output / "frozen.c").write_text(_frozen(found.library))
    (headers / "mpversion.h").write_text(
        f'#define MICROPY_GIT_TAG "v{VERSION[0]}.{VERSION[1]}"\n#define MICROPY_GIT_HASH ""\n'
        '#define MICROPY_BUILD_DATE "2025-01-01"\n'
    )
    for name in ("moduledefs.h", "root_pointers.h", "qstrdefs.generated.h"):
        (headers / name).touch()  # not read while names are collected
    collecting = replace(options, defines=(*options.defines, "NO_QSTR=1"))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        texts = list(pool.map(lambda path: preprocess(path, collecting).text, found.c_files))
    (headers / "qstr.i.last").write_text("\n".join(texts))
    script = found.micropython / "py" / "makeqstrdefs.py"
    for kind in ("qstr", "module", "root_pointer"):
        for step, source in (("split", headers / "qstr.i.last"), ("cat", Path("_"))):
            _python(script, step, kind, source, headers / kind, headers / f"{kind}.collected")
    for tool, collected, name in (
        ("makemoduledefs.py", "module", "moduledefs.h"),
        ("make_root_pointers.py", "root_pointer", "root_pointers.h"),
    ):
        text = _python(found.micropython / "py" / tool, headers / f"{collected}.collected")
        (headers / name).write_text(text)
    names = _preprocessed_names(found, headers, options)
    text = _python(found.micropython / "py" / "makeqstrdata.py", names)
    (headers / "qstrdefs.generated.h").write_text(text)


def _preprocessed_names(found: Sources, headers: Path, options: CompileOptions) -> Path:
    """All names, less those that the configuration leaves out. The preprocessor must not expand them."""
    text = (found.micropython / "py" / "qstrdefs.h").read_text() + (headers / "qstr.collected").read_text()
    quoted = [f'"{line}"' if line.startswith("Q(") else line for line in text.splitlines()]
    source = headers / "names.c"
    source.write_text("\n".join(quoted) + "\n")
    lines = preprocess(source, options).text.splitlines()
    output = headers / "qstrdefs.preprocessed.h"
    plain = [line.strip()[1:-1] if line.startswith('"Q(') else line for line in lines]
    output.write_text("\n".join(plain) + "\n")
    return output


def _python(script: Path, *arguments: str | Path) -> str:
    return _run([sys.executable, script, *arguments])


def _run(command: list[str | Path]) -> str:
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    if done.returncode:
        raise SystemExit(f"micropython: {' '.join(map(str, command[:4]))} …: {done.stderr[-4000:]}")
    return done.stdout


def _frozen(library: dict[str, bytes]) -> str:
    """The table that MicroPython looks modules up in."""
    names = "".join(f'"{name}\\0"\n' for name in library)
    sizes = ", ".join(str(len(text)) for text in library.values())
    content = ",".join(",".join(map(str, text + b"\0")) for text in library.values())
    return (
        "#include <stdint.h>\n"
        f"const char mp_frozen_names[] = {names};\n"
        f"const uint32_t mp_frozen_str_sizes[] = {{{sizes}, 0}};\n"
        f"const char mp_frozen_str_content[] = {{{content}}};\n"
        "const void *const mp_frozen_mpy_content[] = {0};\n"
    )


# -- the module ---------------------------------------------------------------------------------------
def build(found: Sources, *, metered: bool) -> bytes:
    """The module file's bytes: the same for the same sources and toolchain."""
    defines = ("TMEBOX_METERED=1",) if metered else ()
    with tempfile.TemporaryDirectory(prefix="tmebox-micropython-") as scratch:
        # Line tables name files: so the sources are where they are on every machine, below here.
        tree = Sources(Path(scratch) / "micropython", Path(scratch) / "port")
        for part in ("py", "extmod", "shared", "lib"):
            shutil.copytree(found.micropython / part, tree.micropython / part)
        shutil.copytree(found.port, tree.port)
        generated = Path(scratch) / "generated"
        include = [tree.port / "shadow", tree.port, generated, tree.micropython]
        plain = CompileOptions(
            include_dirs=tuple(include),
            defines=defines,
            flags=(*FLAGS, f"-ffile-prefix-map={scratch}/=", f"-fmacro-prefix-map={scratch}/="),
            timeout_s=600.0,
            name="micropython",
        )
        generate(tree, generated, plain)
        files = [*tree.c_files, generated / "frozen.c"]
        objects = [Path(scratch) / f"{number}-{path.stem}.o" for number, path in enumerate(files)]

        def compile_one(source: Path, output: Path) -> None:
            own = source.is_relative_to(tree.micropython)
            name = source.relative_to(tree.micropython).as_posix() if own else ""
            options = replace(plain, optimize="-O3") if name in FAST else plain
            if metered and name in RENAMED:
                options = replace(options, defines=(*options.defines, RENAMED[name]))
            compile_object(source, output, options)

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(compile_one, files, objects))
        return encode(link_program(objects, (), plain))


def native(found: Sources, folder: Path) -> Path:
    """The same sources as an ordinary program of the same compiler, optimized alike; it runs one file. Counts
    no instructions. Raises CalledProcessError."""
    generated, output = folder / "generated", folder / "micropython"
    include = (found.port / "shadow", found.port, generated, found.micropython)
    generate(found, generated, CompileOptions(include_dirs=include, flags=FLAGS))
    headers = ROOT / "src" / "tmebox" / "toolchain" / "include"
    command: list[str | Path] = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
    command += ["-static", "-fno-pic", "-fomit-frame-pointer", "-fno-sanitize=undefined", *FLAGS]
    command += [*(f"-I{path}" for path in (*include, headers)), "-Dmalloc=low_malloc"]
    files = [*found.c_files, generated / "frozen.c", NATIVE_MAIN]
    objects = [folder / f"{number}-{path.stem}.o" for number, path in enumerate(files)]

    def compile_one(source: Path, target: Path) -> None:
        own = source.is_relative_to(found.micropython)
        fast = own and source.relative_to(found.micropython).as_posix() in FAST
        level = "-O3" if fast else CompileOptions().optimize
        subprocess.run([*command, level, "-c", source, "-o", target], check=True, capture_output=True)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(compile_one, files, objects))
    subprocess.run([*command, *objects, "-lm", "-o", output], check=True, capture_output=True)
    return output


def identity(found: Sources, *, metered: bool) -> str:
    """A hash of all that shapes the module."""
    import tmebox
    from tmebox.toolchain.libc import libc

    digest = hashlib.sha256(f"{tmebox.__version__} {metered} {FLAGS} {EXTENSIONS}".encode())
    digest.update(str(libc.libc(isolation="code+data", base="gs").archive.parent.name).encode())
    parts = (found.micropython / part for part in ("py", "extmod", "shared", "lib"))
    package = ROOT / "src" / "tmebox"
    trees = [*parts, found.port, package / "toolchain", package / "modulefile"]
    files = [
        path for tree in trees for path in sorted(tree.rglob("*")) if path.suffix in {".c", ".h", ".py", ".S"}
    ]
    for path in [*files, package / "python" / "wire.py", Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]


def built(*, metered: bool = True) -> Path:
    """The module, from the cache or built. Raises Unavailable."""
    found = sources()
    try:
        cache = cache_directory("micropython")
    except NoCacheError as error:
        raise Unavailable(str(error)) from None
    path = cache / f"{identity(found, metered=metered)}.tbx"
    with locked(cache / "lock"):  # one builds, others wait
        _build_into(path, found, metered)
    return path


def _build_into(path: Path, found: Sources, metered: bool) -> None:
    cache = path.parent
    if not path.exists():
        new = path.with_suffix(f".{os.getpid()}")
        new.write_bytes(build(found, metered=metered))
        new.rename(path)
        by_age = sorted(cache.glob("*.tbx"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in by_age[CACHE_KEPT:]:
            old.unlink(missing_ok=True)
    path.touch()


def put(module: Path, output: Path) -> None:
    """A copy at `output`, and MicroPython's licence beside it. Raises Unavailable."""
    output.parent.mkdir(parents=True, exist_ok=True)
    new = output.with_suffix(f".{os.getpid()}")
    shutil.copyfile(module, new)
    new.replace(output)
    shutil.copyfile(sources().micropython / "LICENSE", output.with_name("LICENSE.micropython"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=SHIPPED)
    parser.add_argument("--plain", action="store_true", help="without metering, to see what it costs")
    arguments = parser.parse_args()
    try:
        module = built(metered=not arguments.plain)
    except Unavailable as error:
        print(f"micropython: {error}", file=sys.stderr)
        return 1
    put(module, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
