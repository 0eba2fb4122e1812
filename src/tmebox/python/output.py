"""Where the output of programs goes: kept, or handed on piece by piece."""

from __future__ import annotations

import codecs
from typing import Any

from tmebox.at_once import require_at_once
from tmebox.errors import LimitError


class Printed:
    """`text` is what the latest run printed, where nobody else gets it."""

    def __init__(self, stdout: Any, most_bytes: int) -> None:
        write = getattr(stdout, "write", stdout)
        if stdout is not None and not callable(write):
            raise TypeError(f"stdout={stdout!r}: a callable that takes text, a text stream, or None")
        require_at_once(write, "stdout")
        self._write = write
        self._most = most_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._kept = (
            bytearray()
        )  # as printed: pieces of text, a character each say, take thirty times as much
        self._size = 0

    @property
    def streams(self) -> bool:
        """Whether somebody waits for each line."""
        return self._write is not None

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace")

    def begin(self) -> None:
        if self._size:
            self._kept.clear()
            self._size = 0
            self._decoder.reset()

    def write(self, data: bytes) -> None:
        """Raises LimitError where the guest has printed more than it may, which MicroPython does not do."""
        self._size += len(data)
        if self._size > self._most:
            raise LimitError(f"the program has printed more than {self._most:,} bytes; raise output=")
        if self._write is None:
            self._kept += data
        else:
            self._hand_on(self._decoder.decode(data))

    def end(self) -> None:
        if self._size and self._write is not None:
            self._hand_on(self._decoder.decode(b"", True))

    def _hand_on(self, text: str) -> None:
        if text:
            self._write(text)
