"""stdin, stdout and stderr, from whatever the host gave for them.

Where somebody else decides how long it takes, at a pipe, a socket or a terminal, one system call waits for
one slice, as `clock` explains: time limits and Ctrl-C hold. That goes for descriptors, and for Python's own
files over them. Other objects are the host's code, which nothing interrupts.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import socket
import stat
import threading
from collections.abc import Callable
from typing import Any

from tmebox import _native
from tmebox.at_once import require_at_once
from tmebox.runtime.host_pointers import require_none
from tmebox.runtime.system import nonblocking
from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.clock import SLICE_NS
from tmebox.runtime.system.datapath import FILE, READS, WAITS, WRITES, DataPath
from tmebox.runtime.system.descriptors import POLLIN, POLLOUT, Description
from tmebox.runtime.system.whole_writes import WholeWrites


def input_stream(source: Any, exclusive: bool = False) -> Description:
    """exclusive: it is for a program, which ends before anybody waits for the other side of a pipe. Raises
    TypeError for what cannot be read from."""
    if isinstance(source, int) and not isinstance(source, bool):
        return HostInput(source, _own(source, os.O_RDONLY) if exclusive else None)
    file = _layers(source, (io.BufferedReader,))
    return FileInput(*file) if file is not None else Input(_reader(source))


def output_stream(target: Any, exclusive: bool = False) -> Description:
    """exclusive: as for input. Raises TypeError for what cannot be written to."""
    if isinstance(target, int) and not isinstance(target, bool):
        return HostOutput(target, _own(target, os.O_WRONLY) if exclusive else None)
    file = _layers(target, (io.BufferedWriter,))
    if file is not None:
        return FileOutput(target, file[1])
    return Output(_writer(target), _descriptor_of(target))


USUAL_OUTPUTS = (type(None), int, io.BufferedWriter, io.TextIOWrapper, io.BytesIO, io.StringIO, io.FileIO)


def require_output(target: Any) -> None:
    """Raise TypeError for what cannot be written to."""
    if type(target) not in USUAL_OUTPUTS:
        output_stream(target)


def _own(descriptor: int, access: int) -> _native.Descriptor | None:
    """An open file of ours for it, as long as the guest runs. Others do not see an end of a pipe closed that
    we hold: so this is for programs, which end."""
    try:
        own = nonblocking.reopened(descriptor, access)
        if own is None and not nonblocking.may_wait(descriptor):
            own = os.dup(descriptor)
    except OSError:
        return None
    return None if own is None else _native.Descriptor(own)


RAW = (io.FileIO, socket.SocketIO)
SLICE_MS = SLICE_NS / 1e6


def _layers(file: Any, buffered: tuple[type, ...]) -> tuple[Any, Any] | None:
    """(buffered file or None, raw file) of one of Python's own files that may have to wait for somebody."""
    binary = file.buffer if isinstance(file, io.TextIOWrapper) and type(file) is io.TextIOWrapper else file
    middle = binary if type(binary) in buffered else None
    raw = binary if middle is None else middle.raw
    if type(raw) not in RAW:
        return None
    number = _descriptor_of(raw)
    return (middle, raw) if number is not None and nonblocking.may_wait(number) else None


def _reader(source: Any) -> Callable[[int], Any]:
    if source is None:
        return lambda _size: b""
    if isinstance(source, str):
        raise TypeError("stdin is binary: pass bytes, or a binary file")
    if isinstance(source, (bytes, bytearray, memoryview)):
        require_none(source, "stdin")
        return io.BytesIO(source).read
    binary = getattr(source, "buffer", source)  # sys.stdin is a text file over a binary one
    for name in ("read1", "read"):
        method = getattr(binary, name, None)
        if callable(method):
            require_at_once(method, f"stdin's {name}()")
            return method  # type: ignore[no-any-return]
    if callable(source):
        require_at_once(source, "stdin")
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
        require_at_once(target.write, "an output's write()")
        return target.write  # type: ignore[no-any-return]
    if callable(target):
        require_at_once(target, "an output")
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
            require_none(data, "what stdin gave")
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


def _own_path(own: _native.Descriptor | None, flags: int) -> DataPath | None:
    """Only of a descriptor of ours: the host may close its own, whose number then is another file's, or a
    pipe's, for which the core would wait."""
    if own is None:
        return None
    if stat.S_ISREG(os.fstat(own.number).st_mode):
        flags |= FILE
    elif nonblocking.may_wait(own.number):
        flags |= WAITS
    return DataPath(own.number, flags)


class HostInput(Description):
    """A descriptor of the host's, which stays the host's. own: as of HostOutput."""

    status_flags = os.O_RDONLY

    def __init__(self, descriptor: int, own: _native.Descriptor | None = None) -> None:
        self._number = descriptor
        self._own = own

    def descriptor(self) -> int:
        return self._number

    def data_path(self) -> DataPath | None:
        return _own_path(self._own, READS)

    def release(self) -> None:
        if self._own is not None:
            self._own.close()
        self._own = None

    def read(self, size_bytes: int) -> bytes:
        descriptor = self.descriptor()
        data = nonblocking.read(descriptor, size_bytes)
        if data is None and nonblocking.ready(descriptor, select.POLLIN, SLICE_MS):
            data = nonblocking.read(descriptor, size_bytes)
        if data is None:
            raise failure(errno.EINTR)
        return data

    def terminal_size(self) -> os.terminal_size | None:
        return _terminal_size(self.descriptor())

    def pollable(self) -> int | None:
        return self.descriptor()

    def ready(self, events: int) -> int:
        return events & POLLIN if nonblocking.ready(self.descriptor(), select.POLLIN) else 0


class FileInput(HostInput):
    """One of Python's files over a descriptor: what it has read ahead comes first."""

    def __init__(self, buffered: io.BufferedReader | None, raw: Any) -> None:
        super().__init__(-1)
        self._buffered = buffered
        self._raw = raw

    def data_path(self) -> DataPath | None:
        return None

    def descriptor(self) -> int:
        return int(self._raw.fileno())

    def read(self, size_bytes: int) -> bytes:
        if self._buffered is not None and self._read_ahead():
            return self._buffered.read1(size_bytes)
        return super().read(size_bytes)

    def pollable(self) -> int | None:
        return None if self._buffered is not None else self.descriptor()

    def ready(self, events: int) -> int:
        return events & POLLIN if self._read_ahead() else super().ready(events)

    def _read_ahead(self) -> bool:
        """Whether something is in the file's buffer. Python only tells by way of reading more if not:
        meanwhile the raw file has nothing to read."""
        if self._buffered is None:
            return False
        if not _PROBING.acquire(blocking=False):  # another thread looks, maybe into the same file
            raise failure(errno.EINTR)
        try:
            self._raw.readinto = _nothing
            return bool(self._buffered.peek(1))
        finally:
            vars(self._raw).pop("readinto", None)
            _PROBING.release()


_PROBING = threading.Lock()


def _renew_lock() -> None:
    """In a forked child nobody is left to release it."""
    global _PROBING
    _PROBING = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def _nothing(_: object) -> None:
    """What a raw file's readinto() returns if it would have to wait."""


class HostOutput(Description):
    """A descriptor of the host's, which stays the host's. own: the same pipe or terminal, in an open file of
    ours that does not wait, or None."""

    status_flags = os.O_WRONLY

    def __init__(self, descriptor: int, own: _native.Descriptor | None = None) -> None:
        self._number = descriptor
        self._own = own
        self.writes: WholeWrites = WholeWrites()

    def descriptor(self) -> int:
        return self._number

    def data_path(self) -> DataPath | None:
        return _own_path(self._own, WRITES)

    def write(self, data: bytes) -> int:
        return self.write_rest(data, 0)

    def write_rest(self, data: bytes, begun: int) -> int:
        descriptor = self.descriptor()

        def ready(wait_ms: float) -> bool:
            return nonblocking.ready(descriptor, select.POLLOUT, wait_ms)

        return self.writes.go(data, begun, lambda rest: nonblocking.write(descriptor, rest), ready)

    def release(self) -> None:
        if self._own is not None:
            self._own.close()
        self._own = None

    def terminal_size(self) -> os.terminal_size | None:
        return _terminal_size(self.descriptor())

    def pollable(self) -> int | None:
        return self.descriptor()

    def ready(self, events: int) -> int:
        return events & POLLOUT if nonblocking.ready(self.descriptor(), select.POLLOUT) else 0


class FileOutput(HostOutput):
    """One of Python's files over a descriptor: what the host wrote before comes out before, once there is
    room for something; it may wait, as it would for the host. What the guest writes does not go through the
    file's buffer."""

    def __init__(self, file: Any, raw: Any) -> None:
        super().__init__(-1)
        self._file = file
        self._raw = raw

    def data_path(self) -> DataPath | None:
        return None

    def descriptor(self) -> int:
        return int(self._raw.fileno())

    def write_rest(self, data: bytes, begun: int) -> int:
        if not nonblocking.ready(self.descriptor(), select.POLLOUT, SLICE_MS):
            raise failure(errno.EINTR)
        self._file.flush()
        return super().write_rest(data, begun)
