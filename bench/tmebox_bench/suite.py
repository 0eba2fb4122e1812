"""The suite: which programs there are, what they are made of, and how much work they do.

Every program takes one argument, the amount of work, and prints a checksum of what it computed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tmebox_bench import debian

PROGRAMS_DIR = Path(__file__).parent / "programs"
SIZES = ("full", "quick", "tiny")
"""How long a program runs: 0.1–2 s natively; a few times less, for a first look; hardly at all, for tests."""


@dataclass(frozen=True)
class Upstream:
    """Sources from a Debian source package, compiled with the program's own.

    sources: patterns below the package's directory. excluded: names that the patterns also match.
    """

    package: str
    sources: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    include_dirs: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Sources:
    """Files to compile together, in C or C++, and directories of headers."""

    files: tuple[Path, ...]
    include_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Program:
    """full, quick, tiny: amounts of work. defines: "NAME" or "NAME=value"; wasm_defines: more of them, for
    WebAssembly. is_cxx: whether it is written in C++. remark: what explains an odd result."""

    name: str
    group: str
    full: int
    quick: int
    tiny: int
    upstream: Upstream | None = None
    defines: tuple[str, ...] = ()
    wasm_defines: tuple[str, ...] = ()
    remark: str = ""
    is_cxx: bool = False

    @property
    def own_source(self) -> Path:
        return PROGRAMS_DIR / self.group / f"{self.name}.{'cpp' if self.is_cxx else 'c'}"

    def amount(self, size: str) -> int:
        """size: one of SIZES."""
        return {"full": self.full, "quick": self.quick, "tiny": self.tiny}[size]

    def sources(self) -> Sources:
        """Downloaded at first use. Raises SourcesUnavailableError."""
        if self.upstream is None:
            return Sources((self.own_source,))
        tree = debian.fetch(self.upstream.package)
        found = [path for pattern in self.upstream.sources for path in sorted(tree.glob(pattern))]
        found = [path for path in found if path.name not in self.upstream.excluded]
        if not found:
            raise debian.SourcesUnavailableError(f"{self.upstream.package} is laid out differently here")
        directories = tuple(tree / name for name in self.upstream.include_dirs)
        return Sources((self.own_source, *found), directories)


_BZIP2 = Upstream(
    "bzip2",
    ("blocksort.c", "huffman.c", "crctable.c", "randtable.c", "compress.c", "decompress.c", "bzlib.c"),
)
_ZLIB = Upstream(
    "zlib",
    ("adler32.c", "crc32.c", "deflate.c", "inf[lt]*.c", "inffast.c", "trees.c", "zutil.c", "*compr*.c"),
)
_LUA = Upstream("lua5.4", ("src/*.c",), ("lua.c", "luac.c"), ("src",))
_DUKTAPE = Upstream("duktape", ("src/duktape.c",), (), ("src",))
_QUICKJS = Upstream(
    "quickjs", tuple(f"{n}.c" for n in ["quickjs", "libregexp", "libunicode", "cutils", "libbf", "dtoa"])
)
_QUICKJS_WASM = ("EMSCRIPTEN", "_SETJMP_H")
"""QuickJS's name for WebAssembly; and it includes setjmp.h, which wasi-libc refuses, without a use for it."""
_SQLITE = Upstream("fossil", ("extsrc/sqlite3.c",), (), ("extsrc",))
"""SQLite's own package needs Tcl to become C; Fossil's has the C file that SQLite's authors publish."""
_SQLITE_DEFINES = (
    "SQLITE_THREADSAFE=0",
    "SQLITE_OMIT_LOAD_EXTENSION",
    "SQLITE_OMIT_WAL",
    "SQLITE_MAX_MMAP_SIZE=0",
    "SQLITE_DEFAULT_MEMSTATUS=0",
)

_SIMDJSON = Upstream("simdjson", ("singleheader/simdjson.cpp",), (), ("singleheader",))
_SIMDJSON_DEFINES = ("SIMDJSON_IMPLEMENTATION_ICELAKE=0",)
"""Its code for AVX-512, which the verifier does not accept. It chooses among the others as it runs."""

_SLOW_STRTOD = (
    "WebAssembly's `long double` has 128 bits, in software, and `strtod`, musl's everywhere, computes in it"
)
_PREDICTED = (
    "most of its time goes into two jumps through tables, and where the code lies decides how well they are "
    "predicted: three bytes of `nop` before one of them take it from 0.50 s to 0.35 s on a Zen 4 class CPU"
)
_FORWARDED = (
    "waits for values that it stored a moment ago; on CPUs that guess where such a value is kept (AMD's "
    "Zen), a store and the load after it take from one cycle to six, with gs and without, and small changes "
    "decide which: take ratios far from 1 for that, neither for a gain nor for a cost"
)

PROGRAMS = (
    Program("gemm", "numeric", 200, 40, 1),
    Program("jacobi", "numeric", 12000, 2400, 10),
    Program("nbody", "numeric", 4500, 900, 1),
    Program("fft", "numeric", 750, 150, 1),
    Program("mandelbrot", "numeric", 90, 18, 1),
    Program("dot", "numeric", 600, 120, 1),
    Program("blur", "numeric", 250, 50, 1),
    Program("lu", "numeric", 900, 180, 1),
    Program("list", "pointers", 60, 12, 1),
    Program("trees", "pointers", 180, 36, 1),
    Program("avl", "pointers", 60, 12, 1),
    Program("hashtable", "pointers", 80, 16, 1),
    Program("graph", "pointers", 40, 8, 1),
    Program("fib", "calls", 40, 37, 15),
    Program("tak", "calls", 600, 120, 1),
    Program("callbacks", "calls", 20, 4, 1),
    Program("shapes", "calls", 500, 100, 1),
    Program("queens", "calls", 12, 11, 7),
    Program("switch_vm", "interpreters", 300, 60, 1),
    Program("threaded_vm", "interpreters", 300, 60, 1),
    Program("tape", "interpreters", 225, 45, 1, remark=_FORWARDED),
    Program("forth", "interpreters", 300, 60, 1, remark=_FORWARDED),
    Program("chip", "interpreters", 2000, 400, 1, remark=_PREDICTED),
    Program("json", "strings", 300, 60, 1, remark=_SLOW_STRTOD),
    Program("regex", "strings", 1000, 200, 1),
    Program("utf8", "strings", 150, 30, 1),
    Program("words", "strings", 100, 20, 1),
    Program("levenshtein", "strings", 1500, 300, 4),
    Program("aes", "crypto", 7500, 1500, 1),
    Program("sha256", "crypto", 500, 100, 1),
    Program("chacha", "crypto", 3000, 600, 1),
    Program("checksums", "crypto", 1500, 300, 1),
    Program("lz", "compression", 120, 24, 1),
    Program("huffman", "compression", 100, 20, 1),
    Program("bwt", "compression", 320, 64, 1),
    Program("quicksort", "sorting", 150, 30, 1),
    Program("heapsort", "sorting", 120, 24, 1),
    Program("mergesort", "sorting", 120, 24, 1),
    Program("radix", "sorting", 1000, 200, 1),
    Program("lift", "state", 10000, 2000, 1),
    Program("parser", "state", 30000, 6000, 1),
    Program("flags", "state", 15000, 3000, 1),
    Program("sieve", "stores", 100, 20, 1),
    Program("raster", "stores", 3000, 600, 1),
    Program("scatter", "stores", 9000, 1800, 1),
    Program("grid", "stores", 1800, 360, 1),
    Program("particles", "structs", 30000, 6000, 1),
    Program("orders", "structs", 9000, 1800, 1),
    Program("matrices", "structs", 25000, 5000, 1),
    Program("forest", "trees", 1200, 240, 1),
    Program("rules", "trees", 5000, 1000, 1),
    Program("thrown", "cxx", 10, 2, 1, is_cxx=True),
    Program("virtuals", "cxx", 90, 18, 1, is_cxx=True),
    Program("streams", "cxx", 300, 60, 1, is_cxx=True),
    Program("containers", "cxx", 90, 18, 1, is_cxx=True),
    Program("simdjson", "cxx", 2000, 400, 8, _SIMDJSON, _SIMDJSON_DEFINES, is_cxx=True),
    Program("bzip2", "whole", 20, 4, 1, _BZIP2, ("BZ_NO_STDIO",)),
    Program("zlib", "whole", 30, 6, 1, _ZLIB),
    Program("lua", "whole", 480, 96, 1, _LUA, wasm_defines=("_WASI_EMULATED_SIGNAL",)),
    Program("duktape", "whole", 320, 64, 1, _DUKTAPE),
    Program("quickjs", "whole", 320, 64, 1, _QUICKJS, ('CONFIG_VERSION="0"', "_GNU_SOURCE"), _QUICKJS_WASM),
    Program("sqlite", "whole", 90, 18, 1, _SQLITE, _SQLITE_DEFINES),
)

GROUPS = tuple(dict.fromkeys(program.group for program in PROGRAMS))


def choose(names: Iterable[str] = (), group: str | None = None) -> tuple[Program, ...]:
    """Programs by name and group; all, for none given. Raises ValueError for one that does not exist."""
    wanted = set(names)
    unknown = sorted(wanted - {program.name for program in PROGRAMS})
    if unknown:
        raise ValueError(f"no program {', '.join(unknown)}: there are {', '.join(p.name for p in PROGRAMS)}")
    if group is not None and group not in GROUPS:
        raise ValueError(f"no group {group}: there are {', '.join(GROUPS)}")
    return tuple(
        program
        for program in PROGRAMS
        if (not wanted or program.name in wanted) and (group is None or program.group == group)
    )
