"""Whether objects are complete without the C library: then it need not even be there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from tmebox.toolchain.link import linked
from tmebox.toolchain.link.linked import Elf

INITIALIZERS = (".init", ".fini", ".preinit_array", ".ctors", ".dtors")
"""Sections whose names begin so hold what has to run before or after everything else, which libc does."""
START_NEEDED_BY = "main"


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
