"""What a guest's descriptors lead to stays open on the host as long as the guest has them, whatever it calls:
the core goes by the host's number, which is somebody else's file as soon as it is free."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import tmebox
from tests.runtime.system.asking import ASK
from tests.runtime.system.guest_side import BASE, NUMBERS, FakeMemory, Guest, succeed
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.calls import Abort, Exit
from tmebox.runtime.system.descriptors import DEVICES, STREAMS, Descriptors, NullDevice

PATHS = (*STREAMS, *DEVICES, b"/etc/passwd", b"/etc/hosts", b"/d/file", b"/d", b"/")
WAITING = ("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "nanosleep", "clock_nanosleep")
CLOSING = ("close", "dup2", "dup3")


def arguments() -> Iterator[tuple[int, ...]]:
    at_path, at_other = BASE, BASE + 256
    for rest in (0, 1, 2, os.O_RDWR | os.O_CREAT | os.O_TRUNC):
        yield at_path, rest, rest, rest, 0, 0
        yield at_path, at_other, rest, 0, 0, 0
        yield -100, at_path, rest, rest, 0, 0  # AT_FDCWD
        yield -100, at_path, -100, at_other, rest, 0
    for number in range(4):
        for other in (0, 3, BASE):
            yield number, other, 1, 0, 0, 0
            yield number, other, BASE, 1, 0, 0


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in WAITING + CLOSING])
def test_no_call_closes_what_a_descriptor_leads_to(name: str, tmp_path: Path) -> None:
    for path in PATHS:
        (tmp_path / "file").write_bytes(b"own")
        guest = Guest(System(directories=[Directory(tmp_path, "/d")]), FakeMemory())
        for number in range(3):
            opened = succeed(guest.open("/d/file", os.O_RDWR))
            succeed(guest("dup2", opened, number))
        before = {number: hosts_file(guest.system.descriptors, number) for number in range(4)}
        for values in arguments():
            guest.memory.write(BASE, path + b"\0")
            guest.memory.write(BASE + 256, b"/d/file\0")
            with suppress(Exit, Abort):
                guest(name, *values)
            for number in set(guest.system.descriptors) & set(before):
                assert hosts_file(guest.system.descriptors, number) == before[number], (path, values)
        guest.system.close()


def hosts_file(descriptors: Descriptors, number: int) -> tuple[int, int, int]:
    path = descriptors[number].data_path()
    assert path is not None
    status = os.fstat(path.host)
    return path.host, status.st_dev, status.st_ino


def test_what_has_a_number_cannot_be_closed() -> None:
    device = NullDevice()
    descriptors = Descriptors((device, device), 10)
    with pytest.raises(RuntimeError, match="still has a descriptor"):
        device.close()
    descriptors.remove(0)
    with pytest.raises(RuntimeError, match="still has a descriptor"):
        device.close()
    descriptors.remove(1)
    device.close()
    device.close()


@pytest.mark.parametrize("path", [os.fsdecode(path) for path in (*STREAMS, *DEVICES)])
def test_a_stream_or_device_is_not_truncated(path: str, tmp_path: Path) -> None:
    guest = Guest(System(directories=[Directory(tmp_path, "/d")]), FakeMemory())
    assert guest("truncate", path, 0) == -errno.EINVAL


def test_the_core_reads_no_file_that_the_host_opens_later(tmp_path: Path) -> None:
    (tmp_path / "granted").mkdir()
    (tmp_path / "granted" / "own").write_bytes(b"own")
    text = ASK + 'long shut(void) { return ask(SYS_truncate, (long)"/dev/stdin", 0, 0, 0, 0); }'
    text += "char seen[64]; long look(void) { return ask(SYS_pread64, 0, (long)seen, 64, 0, 0); }"
    text += 'long own(void) { return ask(SYS_open, (long)"/d/own", O_RDWR, 0, 0, 0); }'
    text += "long take(void) { return ask(SYS_dup2, own(), 0, 0, 0, 0); }"
    module = tmebox.compile(source_text=text, flags=("-w",))
    with tmebox.Sandbox(module, dirs=[(str(tmp_path / "granted"), "/d")]) as sandbox:
        assert sandbox.take() == 0
        sandbox.shut()
        opened = [(tmp_path / f"secret{number}").open("w+b", buffering=0) for number in range(20)]
        for file in opened:
            file.write(b"secret")
        assert sandbox.look() == 3
        for file in opened:
            file.close()
