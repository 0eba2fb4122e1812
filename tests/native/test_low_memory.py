"""Where new memory lies below 4 GiB, as under valgrind, sandboxes are refused with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LOW = """
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
/* What has no place gets one far below 4 GiB, if it is as small as a stack for signals. */
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (at == NULL && protection == PROT_NONE && size < (1 << 20)) at = (void *)0x10000000;
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    return mmap(at, size, protection, flags, fd, offset);
}
"""
CALL = """
import sys, tmebox
try:
    tmebox.Sandbox(tmebox.Module.load(sys.argv[1])).one()
except tmebox.LimitError as error:
    print(error)
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler for the host")
def test_the_message_says_what_is_wrong_with_the_address_space(tmp_path: Path) -> None:
    import tmebox

    tmebox.compile(source_text="int one(void) { return 1; }").save(tmp_path / "one.tbx")
    (tmp_path / "low.c").write_text(LOW)
    library = tmp_path / "low.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "low.c"], check=True)
    finished = subprocess.run(
        [sys.executable, "-c", CALL, tmp_path / "one.tbx"],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "new memory lies below 4 GiB" in finished.stdout and "valgrind" in finished.stdout
