"""What the loader finds in a module's data by a mark. A false one changes the module's own memory."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tmebox import abi
from tmebox.modulefile.file import Segment


def stdout_place(segments: Sequence[Segment]) -> int | None:
    """Offset of the C library's stdout; None if the module has none."""
    return _place(segments, abi.STDOUT_MARK, abi.FILE_COOKIE)


def arrays_place(segments: Sequence[Segment]) -> int | None:
    """Offset of the pointer of arrays whose size is known only when they are made; None if there are none."""
    return _place(segments, abi.ARRAYS_MARK, 0)


def _place(segments: Sequence[Segment], mark: int, before: int) -> int | None:
    """Of what has the mark so many bytes behind its beginning."""
    word = struct.pack("<Q", mark)
    for segment in segments:
        at = segment.data.find(word) if segment.writable else -1
        if at >= before:
            return segment.offset + at - before
    return None
