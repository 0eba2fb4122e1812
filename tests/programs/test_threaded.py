"""Programs with threads, from Debian's sources by their own makefiles: `zstd -T2`, Redis."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs.test_packages import run, unpacked
from tmebox_bench.servers.clients import command

pytestmark = [pytest.mark.network, pytest.mark.slow]
INPUT_BYTES = 6 << 20


def test_zstd_compresses_with_two_threads(tmp_path: Path) -> None:
    programs = unpacked("libzstd", tmp_path) / "programs"
    without = ["HAVE_ZLIB=0", "HAVE_LZMA=0", "HAVE_LZ4=0", "ZSTD_LEGACY_SUPPORT=0", "BACKTRACE=0"]
    run(programs, "make", "-j2", "zstd-release", "HAVE_THREAD=1", "HAVE_PTHREAD=1", "ZSTD_NO_ASM=1", *without)
    words = random.Random(5).choices([b"thread ", b"turn ", b"sandbox ", b"stack "], k=INPUT_BYTES // 6)
    (programs / "in").write_bytes(b"".join(words)[:INPUT_BYTES])
    given = {"TMEBOX_RUN": "--memory 256MiB --dir .:/"}
    run(programs, "./zstd", "-q", "-f", "-T2", "-B1MB", "in", "-o", "two.zst", **given)
    run(programs, "./zstd", "-q", "-f", "-T1", "-B1MB", "in", "-o", "one.zst", **given)
    run(programs, "./zstd", "-q", "-f", "-d", "two.zst", "-o", "out", **given)
    assert (programs / "out").read_bytes() == (programs / "in").read_bytes()
    assert (programs / "two.zst").read_bytes() == (programs / "one.zst").read_bytes()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _connected(port: int, server: subprocess.Popen[bytes]) -> socket.socket:
    for _ in range(300):
        assert server.poll() is None
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server does not listen")


@pytest.mark.packages
def test_redis_frees_in_a_thread_of_its_own(tmp_path: Path) -> None:
    directory = unpacked("redis", tmp_path) / "src"
    run(directory, "make", "-j2", "redis-server", "MALLOC=libc", "USE_SYSTEMD=no")
    port = _free_port()
    words = [sys.executable, "-m", "tmebox", "run", "--listen", f"127.0.0.1:{port}", "--memory", "256MiB"]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    with subprocess.Popen([*words, "redis-server", *options], cwd=directory) as server:
        try:
            with _connected(port, server) as client, client.makefile("rb") as replies:
                items = [b"%d" % i for i in range(1000)]  # a hash table: what is small is freed at once
                for words_of_one in ([b"SADD", b"set", *items], [b"UNLINK", b"set"]):
                    client.sendall(command(*words_of_one))
                    assert replies.readline() in (b":1000\r\n", b":1\r\n")
                for _ in range(100):
                    client.sendall(command(b"INFO", b"stats") + command(b"INFO", b"memory"))
                    text = b""
                    for _ in range(2):
                        text += replies.read(int(replies.readline()[1:]) + 2)
                    if b"lazyfreed_objects:0" not in text and b"lazyfree_pending_objects:0" in text:
                        break
                    time.sleep(0.05)
                assert b"lazyfreed_objects:1\r\n" in text, text
        finally:
            server.kill()
