"""What may stand before the ELF file in a module file: a few lines of text that make it a script.

So a program can be executed. The lines run as whoever executes the file, outside of any sandbox, and they are
its author's. Whoever has a file from somebody else does not execute it, but names it to `tmebox run`, which
ignores them.
"""

from __future__ import annotations

from tmebox.errors import ModuleError

BEGINNING = b"#!"
MAX_BYTES = 4096
_BEFORE_ELF = b"\n\x7fELF"


def without_launcher(data: bytes | bytearray | memoryview) -> memoryview:
    """The ELF file. Raises ModuleError for a script without one."""
    view = memoryview(data)
    if bytes(view[: len(BEGINNING)]) != BEGINNING:
        return view
    end = bytes(view[: MAX_BYTES + len(_BEFORE_ELF)]).find(_BEFORE_ELF)
    if end < 0:
        raise ModuleError("not a module file: a script")
    return view[end + 1 :]
