"""What a program reaches that has taken over MicroPython, and with it all of the window: nothing."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest

import tmebox
from tmebox import abi
from tmebox.python import Python, PythonSnapshot, guest, wire

FORGED = b'{"jsonrpc": "2.0", "id": 1, "result": "forged"}\n\x1b]0;owned\x07'
FILE_WEND, FILE_WRITE, FILE_BUF, FILE_BUF_SIZE = 32, 72, 88, 96


def streams(python: Python) -> list[int]:
    """Where the C library has its FILEs for output, by what they write with."""
    module = guest.module()
    (write,) = (s.address + module.slide for s in module.file.symbols if s.name == "__stdio_write")
    data = python.memory.read(abi.IMAGE_START, module.image_end - abi.IMAGE_START)
    words = np.frombuffer(data[: len(data) // 8 * 8], np.uint64)
    found = {abi.IMAGE_START + 8 * int(place) - FILE_WRITE for place in np.flatnonzero(words == write)}
    return sorted(found)


def forge(python: Python) -> None:
    """Have every stream hold a text for a descriptor of the host's, as a program can that knows a bug."""
    block = python.sandbox.array(len(FORGED))
    block[:] = np.frombuffer(FORGED, np.uint8)
    text = block.__array_interface__["data"][0] - python.sandbox.base
    end = text + len(FORGED)
    files = streams(python)
    assert files
    for file in files:
        for offset, value in (
            (abi.FILE_WBASE, text), (abi.FILE_WPOS, end), (FILE_WEND, end), (FILE_BUF, text),
            (FILE_BUF_SIZE, 4096),
        ):  # fmt: skip
            python.memory.write(file + offset, struct.pack("<Q", value))
        python.memory.write(file + abi.FILE_FD, struct.pack("<i", 1))


def fail(python: Python) -> None:
    """An assertion of MicroPython's fails, which its C library writes to stderr."""
    python.run("y = bytearray(5)")
    python.memory.write(int(python.eval("id(y)")) + 24, struct.pack("<Q", 0x12345))
    with pytest.raises(tmebox.Aborted, match="VERIFY_PTR"):
        python.run("y.extend(bytes(100))")


def test_forged_streams_reach_nobody(capfd: pytest.CaptureFixture[str]) -> None:
    with Python(timeout=5.0) as python:
        forge(python)
        fail(python)
        python.reset()
        forge(python)
    with Python(timeout=5.0) as python:
        forge(python)
        data = python.snapshot().to_bytes()
    with PythonSnapshot.from_bytes(data).spawn(timeout=5.0) as python:
        fail(python)
    assert capfd.readouterr() == ("", "")


def test_a_program_with_a_clock_of_its_own_gets_no_other_one() -> None:
    """Not by asking the gate for it, either, as one that has taken over MicroPython can."""
    source = "import time\ndef look():\n    return time.time(), time.ticks_us()\nlook()\ntime.sleep(0.01)"
    with Python(timeout=5.0, clock=1e9) as python:
        python.run(source)
        assert 1e9 < python.call("look")[0] < 1e9 + 1
        for operation in (wire.HOST_CLOCK, wire.HOST_TICKS, wire.HOST_SLEEP):
            with pytest.raises(tmebox.LimitError, match="clock"):
                python._host(operation)
        python._each_run = python._each_run.replace(struct.pack("<I", 1), struct.pack("<I", 0))
        with pytest.raises(tmebox.LimitError, match="clock"):
            python.call("look")
    with Python(timeout=5.0) as python:
        python.run(source)
        assert abs(python.call("look")[0] - time.time()) < 5
