"""What C++ adds to a compilation: libc++'s headers, and tables by which exceptions find their handlers."""

from __future__ import annotations

from pathlib import Path

from tmebox.toolchain.compile import clang

LANGUAGE = "c++"
SUFFIXES = (".cpp", ".cc", ".cxx", ".c++", ".cp", ".C", ".CPP")
PREPROCESSED_SUFFIXES = (".ii",)

LIBRARY_MACROS = (
    "-D_LIBCPP_ABI_VERSION=1",
    "-D_LIBCPP_ABI_NAMESPACE=__1",
    "-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_FAST",
    "-D_LIBCPP_PSTL_BACKEND_SERIAL",
    "-D_LIBCPP_HAS_MUSL_LIBC",
    "-D_LIBCPP_HAS_NO_VENDOR_AVAILABILITY_ANNOTATIONS",
    "-D_LIBCPP_HAS_NO_TIME_ZONE_DATABASE",
    "-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
    "-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
)
"""What a configuration of libc++ decides; the wheel's headers expect it from the command line."""

FLAGS = ("-fexceptions", "-fcxx-exceptions", "-fforce-dwarf-frame")
"""Whoever can throw gets .eh_frame, which code in the sandbox reads; and everybody .debug_frame, for
backtraces."""


def include_dirs() -> tuple[Path, ...]:
    """libc++'s headers, which come before those of C."""
    library = clang.toolchain_dir() / "lib"
    return (
        library / "libcxx" / "include",
        library / "libcxxabi" / "include",
        library / "libunwind" / "include",
    )
