"""Files that the core has opened, when Python gets to know of them and the host may not open them again."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

import tmebox
from tests.forked import run_forked
from tests.runtime.system.asking import ASK, PREAD, READ

R = TypeVar("R")
ACCESS, LSEEK, EXIT_GROUP = 21, 8, 231
NOBODY = 65534
SOURCE = ASK + "char data[64]; long place(void) { return (long)data; }"
SOURCE += "long access_of(const char *path) { return ask(SYS_access, (long)path, 0, 0, 0, 0); }"
SOURCE += "long open_of(const char *path) { return ask(SYS_open, (long)path, 0, 0, 0, 0); }"


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE, flags=("-w",))


@pytest.fixture
def tree() -> Iterator[Path]:
    """Whoever runs the tests, a user without rights can make files here."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


def as_nobody(action: Callable[[], R]) -> R:
    """What `action` returns in a process for which permissions count."""

    def unprivileged() -> R:
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return action()

    return run_forked(unprivileged).result()


def test_a_file_that_may_not_be_opened_again_is_read_on(module: tmebox.Module, tree: Path) -> None:
    def look() -> tuple[list[int], bytes]:
        (tree / "f").write_bytes(b"0123456789")
        with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], timeout=60) as box:
            file, at = box.open_of("/d/f"), box.place()
            seen = [file, box.ask(READ, file, at, 2, 0, 0)]
            (tree / "f").chmod(0)
            seen.append(box.access_of("/d/missing"))
            seen += [box.ask(READ, file, at + 2, 3, 0, 0), box.ask(PREAD, file, at + 5, 3, 1, 0)]
            seen += [box.ask(LSEEK, file, -1, os.SEEK_END, 0, 0), box.ask(READ, file, at + 8, 9, 0, 0)]
            seen += [box.ask(LSEEK, file, 0, 9, 0, 0), box.ask(LSEEK, file, -1, os.SEEK_SET, 0, 0)]
            seen += [box.open_of("/d/f"), box.access_of("/d/f")]
            return seen, bytes(box.memory.read(at, 9))

    seen, data = as_nobody(look)
    assert seen == [3, 2, -errno.ENOENT, 3, 3, 9, 1, -errno.EINVAL, -errno.EINVAL, -errno.EACCES, 0]
    assert data == b"01" + b"234" + b"123" + b"9"


def test_a_program_ends_though_the_host_has_no_descriptor_left(module: tmebox.Module, tree: Path) -> None:
    (tree / "f").write_bytes(b"")

    def end() -> tuple[int, str]:
        with tmebox.Sandbox(module, dirs=[f"{tree}:/d"], timeout=5) as box:
            assert box.open_of("/d/f") == 3
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            lacking = box.access_of("/d/missing")
            with pytest.raises(tmebox.Aborted) as ended:
                box.ask(EXIT_GROUP, 7, 0, 0, 0, 0)
            return lacking, str(ended.value)

    lacking, ended = run_forked(end).result()
    assert lacking == -errno.EMFILE and "exit(7)" in ended
