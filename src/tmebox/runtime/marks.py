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


def kept_by_libraries(segments: Sequence[Segment]) -> tuple[int, bytes]:
    """Where threads have how far their variables are from the first's, or 0; and what of the C and the C++
    library a call leaves as it was when an exception ends it, as the core takes it."""
    variables, words = 0, b""
    if (place := _place(segments, abi.KEPT_MARK, abi.KEPT_BYTES)) is not None:
        keeps_turn, mask, mask_at_rest, *told = range(place, place + abi.KEPT_BYTES, 8)
        variables, itself, cleanups = (_told(segments, at) for at in told)
        words += kept_word(0, keeps_turn)
        words += kept_word(0, mask, rest_place=mask_at_rest)
        words += kept_word(0, mask_at_rest, rest_place=mask_at_rest)
        words += kept_word(itself, cleanups)
    if (place := _place(segments, abi.EXCEPTIONS_MARK, abi.EXCEPTIONS_BYTES)) is not None:
        for at in range(place, place + abi.EXCEPTIONS_BYTES, 8):
            words += kept_word(variables, at)
    return variables, words


def kept_word(base: int, place: int, *, at_rest: int = 0, rest_place: int = 0) -> bytes:
    """One word, for `Instance.keep_words`."""
    return struct.pack("<4I", base, place, at_rest, rest_place)


def _told(segments: Sequence[Segment], place: int) -> int:
    """What a module's data says there, if that can be an offset; else 0."""
    for segment in segments:
        if 0 <= (at := place - segment.offset) <= len(segment.data) - 8:
            value = int.from_bytes(segment.data[at : at + 8], "little")
            return value if value < abi.WINDOW_SIZE else 0
    return 0


def _place(segments: Sequence[Segment], mark: int, before: int) -> int | None:
    """Of what has the mark so many bytes behind its beginning."""
    word = struct.pack("<Q", mark)
    for segment in segments:
        at = segment.data.find(word) if segment.writable else -1
        if at >= before:
            return segment.offset + at - before
    return None
