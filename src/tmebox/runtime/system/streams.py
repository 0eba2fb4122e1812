"""stdin, stdout and stderr, from whatever the host gave for them."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
from collections.abc import Callable
from typing import Any

from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SLICE_NS
from tmebox.runtime.system.descriptors import POLLIN, POLLOUT, Description


def input_stream(source: Any) -> Description:
    """Raises TypeError for what cannot be read from."""
    if isinstance(source, int) and not isinstance(source, bool):
        return HostInput(source)
    return Input(_reader(source))


def output_stream(target: Any) -> Description:
    """Raises TypeError for what cannot be written to."""
    if isinstance(target, int) and not isinstance(target, bool):
        return HostOutput(target)
    return Output(_writer(target), _descriptor_of(target))


def _reader(source: Any) -> Callable[[int], Any]:
    if source is None:
        return lambda _size: b""
    if isinstance(source, str):
        raise TypeError("stdin is binary: pass bytes, or a binary file")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source).read
    binary = getattr(source, "buffer", source)  # sys.stdin is a text file over a binary one
    for name in ("read1", "read"):
        method = getattr(binary, name, None)
        if callable(method):
            return method  # type: ignore[no-any-return]
    if callable(source):
        return source  # type: ignore[no-any-return]
    raise TypeError(f"stdin cannot be read from {type(source).__name__}")


def _writer(target: Any) -> Callable[[bytes], Any]:
    if target is None:
        return len
    binary = getattr(target, "buffer", None)
    if binary is not None and hasattr(binary, "write"):
        return lambda data: _write_below_text(target, binary, data)
    if isinstance(target, io.TextIOBase):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda data: _write_text(target, decoder.decode(data), len(data))
    if hasattr(target, "write"):
        return target.write  # type: ignore[no-any-return]
    if callable(target):
        return lambda data: _ignore_result(target, data)
    raise TypeError(f"output cannot be written to {type(target).__name__}")


def _write_below_text(text: Any, binary: Any, data: bytes) -> int:
    """What the host printed before must come out before."""
    text.flush()
    written = binary.write(data)
    binary.flush()
    return len(data) if written is None else int(written)


def _write_text(target: Any, text: str, size_bytes: int) -> int:
    target.write(text)
    return size_bytes


def _ignore_result(target: Callable[[bytes], Any], data: bytes) -> int:
    target(data)
    return len(data)


def _descriptor_of(stream: Any) -> int | None:
    """A stream's own descriptor, to ask whether it is a terminal."""
    try:
        number = stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None
    return number if isinstance(number, int) else None


def _terminal_size(descriptor: int | None) -> os.terminal_size | None:
    if descriptor is None or not os.isatty(descriptor):
        return None
    try:
        return os.get_terminal_size(descriptor)
    except OSError:
        return os.terminal_size((80, 24))


class Input(Description):
    status_flags = os.O_RDONLY

    def __init__(self, read: Callable[[int], Any]) -> None:
        self._read = read
        self._left = b""

    def read(self, size_bytes: int) -> bytes:
        if not self._left:
            data = self._read(size_bytes)
            if data is None:
                raise failure(errno.EAGAIN)
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"stdin gave {type(data).__name__}, not bytes")
            self._left = bytes(data)
        taken, self._left = self._left[:size_bytes], self._left[size_bytes:]
        return taken

    def ready(self, events: int) -> int:
        return events & POLLIN


class Output(Description):
    status_flags = os.O_WRONLY

    def __init__(self, write: Callable[[bytes], Any], descriptor: int | None) -> None:
        self._write = write
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        written = self._write(data)
        return len(data) if written is None else min(int(written), len(data))

    def terminal_size(self) -> os.terminal_size | None:
        return _terminal_size(self._descriptor)

    def ready(self, events: int) -> int:
        return events & POLLOUT


class HostInput(Description):
    """A descriptor of the host's, which stays the host's. Reads wait in slices, as `clock` explains."""

    status_flags = os.O_RDONLY

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    def read(self, size_bytes: int) -> bytes:
        if not self._poll.poll(SLICE_NS / 1e6):
            raise failure(errno.EINTR)
        return os.read(self._descriptor, size_bytes)

    def terminal_size(self) -> os.terminal_size | None:
        return _terminal_size(self._descriptor)

    def ready(self, events: int) -> int:
        return events & POLLIN if self._poll.poll(0) else 0


class HostOutput(Description):
    """A descriptor of the host's, which stays the host's."""

    status_flags = os.O_WRONLY

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def terminal_size(self) -> os.terminal_size | None:
        return _terminal_size(self._descriptor)

    def ready(self, events: int) -> int:
        return events & POLLOUT
