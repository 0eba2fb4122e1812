"""Packages that are configured, built and tried by their own build systems, as if by any compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs.building import sandboxed_tools, source_of

pytestmark = pytest.mark.network

TIMEOUT_S = 1800
NO_AUTOTOOLS = [f"{name}=true" for name in ("ACLOCAL", "AUTOMAKE", "AUTOCONF", "AUTOHEADER")]
TICKS = r"""
#include <event2/event.h>
#include <stdio.h>
static int count;
static void tick(evutil_socket_t descriptor, short what, void *base)
{
	if (++count == 3) event_base_loopbreak(base);
}
int main(void)
{
	struct event_base *base = event_base_new();
	struct timeval interval = { 0, 1000 };
	event_add(event_new(base, -1, EV_PERSIST, tick, base), &interval);
	event_base_dispatch(base);
	printf("%s %d\n", event_base_get_method(base), count);
	return 0;
}
"""


def run(directory: Path, *command: str, **variables: str) -> str:
    tools = sandboxed_tools()
    environment = {"CC": tools.cc, "AR": tools.ar, "RANLIB": "true", **variables}
    done = subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def unpacked(package: str, directory: Path) -> Path:
    shutil.copytree(source_of(package), directory / package)
    return directory / package


def test_zlib_passes_its_own_test(tmp_path: Path) -> None:
    source = unpacked("zlib", tmp_path)
    run(source, "./configure", "--static")
    assert "*** zlib test OK ***" in run(source, "make", "-j2", "teststatic", TMEBOX_RUN="--dir .:/")


@pytest.mark.packages
def test_libevent_waits_with_epoll(tmp_path: Path) -> None:
    source = unpacked("libevent", tmp_path)
    run(source, "./configure", "--disable-shared", "--disable-openssl", "--disable-dependency-tracking")
    run(source, "make", "-j2", *NO_AUTOTOOLS, "include/event2/event-config.h")
    run(source, "make", "-j2", *NO_AUTOTOOLS, "libevent_core.la")
    (source / "ticks.c").write_text(TICKS)
    link = [sys.executable, "-m", "tmebox", "cc", "-O2", "-Iinclude", "ticks.c", ".libs/libevent_core.a"]
    run(source, *link, "-o", "ticks")
    assert run(source, "./ticks") == "epoll 3\n"
