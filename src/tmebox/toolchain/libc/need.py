"""Whether objects are complete without the C library or C++'s: then it need not even be there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from tmebox.toolchain.link import linked
from tmebox.toolchain.link.inputs import require_archive
from tmebox.toolchain.link.linked import Elf

INITIALIZERS = (".init", ".fini", ".preinit_array", ".ctors", ".dtors")
"""Sections whose names begin so hold what has to run before or after everything else, which libc does."""
START_NEEDED_BY = "main"
OF_CXX = (
    "_ZSt",
    "_ZNSt",
    "_ZNKSt",
    "_ZTVSt",
    "_ZTVN10__cxxabiv1",
    "_ZTI",
    "_Zn",
    "_Zd",
    "__cxa_",
    "_Unwind_",
)
"""Beginnings of what C++'s library defines."""
PERSONALITIES = ("__gxx_personality_v0", "__gcc_personality_v0")
OF_C = ("__cxa_atexit", "__cxa_finalize")


def needs_libc(objects: Sequence[Path], exports: Collection[str] = ()) -> bool:
    """Whether these objects refer to anything that none of them defines, start as a program, or have
    constructors; or lack one of the `exports`, which libc may have. Raises CompileError for damaged ones.
    """
    defined: set[str] = set()
    wanted = set(exports)
    for path in objects:
        elf = Elf(path.read_bytes(), str(path))
        if any(section.loaded and section.name.startswith(INITIALIZERS) for section in elf.sections):
            return True
        symbols = elf.symbols
        for index in np.flatnonzero(symbols["info"] >> 4 != linked.STB_LOCAL).tolist():
            is_defined = symbols["section"][index] != linked.SHN_UNDEF
            (defined if is_defined else wanted).add(elf.symbol_name(index))
    return START_NEEDED_BY in defined or not wanted <= defined


def needs_libcxx(objects: Sequence[Path], archives: Sequence[Path]) -> bool:
    """Whether these refer to what C++'s library defines: then that is linked, whichever driver links. Raises
    CompileError for damaged ones."""
    for path in objects:
        elf = Elf(path.read_bytes(), str(path))
        symbols = elf.symbols
        for index in np.flatnonzero(symbols["section"] == linked.SHN_UNDEF).tolist():
            name = elf.symbol_name(index)
            if name in PERSONALITIES or (name.startswith(OF_CXX) and name not in OF_C):
                return True
    return any(name.startswith("_Z") for path in archives for name in require_archive(path))
