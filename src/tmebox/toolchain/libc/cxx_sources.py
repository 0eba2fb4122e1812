"""What the sandboxed C++ library is made of: libc++, libc++abi and libunwind of the compiler's package.

Ours (`guest/cxx`) are the places where a processor or a host is met: where an exception moves the stack
pointer and jumps, what a thread has of exceptions, and how std::terminate ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tmebox.toolchain.compile import clang, cplusplus
from tmebox.toolchain.compile.flags import SANDBOXED
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.sources import Source

_COMMON = (
    "-target", clang.TARGET, "-O2", "-nostdinc", *SANDBOXED, "-funwind-tables",
    "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing", "-DNDEBUG", "-w",
)  # fmt: skip
_CXX = (
    *_COMMON, "-nostdinc++", *cplusplus.LIBRARY_MACROS, "-fvisibility-inlines-hidden",
    "-D_LIBCPP_BUILDING_LIBRARY", "-DLIBCXX_BUILDING_LIBCXXABI",
)  # fmt: skip
_LIBCXX = (*_CXX, *cplusplus.FLAGS, "-std=c++23")
_LIBCXXABI = (*_LIBCXX, "-D_LIBCXXABI_BUILDING_LIBRARY")
_UNWINDER = ("-D_LIBUNWIND_IS_BAREMETAL", "-D_LIBUNWIND_HAS_NO_THREADS")
"""The tables are where the linker has put them, as on a machine without a system."""
_STACK_WORDS = ("-include", "stack_words.h")
_LIBUNWIND = (*_CXX, *_STACK_WORDS, *_UNWINDER, "-fno-exceptions", "-fno-rtti", "-std=c++17")
_LIBUNWIND_C = (*_COMMON, *_UNWINDER, "-std=c99")

EXCLUDED = {
    "libcxx/new": "operators new and delete are libc++abi's",
    "libcxx/int128_builtins": "compiler-rt is ours",
    "libcxxabi/abort_message": "ours tells the host",
    "libcxxabi/cxa_exception_storage": "the loader finds ours",
    "libcxxabi/cxa_noexception": "there are exceptions",
    "libunwind/Unwind-EHABI": "another processor's",
    "libunwind/Unwind-seh": "another system's",
    "libunwind/Unwind_AIXExtras": "another system's",
}
"""Files that are left out, and why."""
_UNWIND_C = ("UnwindLevel1", "UnwindLevel1-gcc-ext", "gcc_personality_v0")
_LIBCXX_FOLDERS = (".", "filesystem", "ryu")


def sources() -> list[Source]:
    """Everything in the archive."""
    return [source for source in _all() if source.name not in EXCLUDED]


def _all() -> Iterator[Source]:
    library = clang.toolchain_dir() / "lib"
    cxx, abi, unwind = (library / name / "src" for name in ("libcxx", "libcxxabi", "libunwind"))
    for folder in _LIBCXX_FOLDERS:
        for path in sorted((cxx / folder).glob("*.cpp")):
            yield Source(f"libcxx/{path.stem}", path, _LIBCXX, (cxx,))
    for path in sorted(abi.glob("*.cpp")):
        yield Source(f"libcxxabi/{path.stem}", path, _LIBCXXABI, (abi, cxx))
    for path in sorted(unwind.glob("*.cpp")):
        yield Source(f"libunwind/{path.stem}", path, _LIBUNWIND)
    for stem in _UNWIND_C:
        yield Source(f"libunwind/{stem}", unwind / f"{stem}.c", _LIBUNWIND_C, (unwind.parent / "include",))
    for path in sorted([*libc_sources.CXX.glob("*.cpp"), *libc_sources.CXX.glob("*.S")]):
        flags = _COMMON if path.suffix == ".S" else _LIBCXXABI
        yield Source(f"cxx/{path.stem}", path, flags, (abi, cxx))


def notices() -> Iterator[tuple[str, Path]]:
    """The licenses that go wherever the compiled library goes, and what to call them there."""
    library = clang.toolchain_dir() / "lib"
    for name in ("libcxx", "libcxxabi", "libunwind"):
        if (path := library / name / "LICENSE.TXT").exists():
            yield f"{name}-LICENSE", path
