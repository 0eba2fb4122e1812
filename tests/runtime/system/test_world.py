"""What world.c and world_at_rest.c get of the world outside, natively and in a sandbox: the same."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import tmebox

SOURCES = [Path(__file__).with_name(name) for name in ("world.c", "world_at_rest.c")]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _native(directory: Path) -> list[str]:
    program = directory / "native"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl", "-O1", "-w"]
    subprocess.run([*compiler, *SOURCES, "-o", program], check=True)
    (directory / "n").mkdir()
    arguments = [str(program), str(_free_port()), str(directory / "n.socket"), str(directory / "n")]
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    return done.stdout.decode().splitlines()


def _sandboxed(directory: Path) -> list[str]:
    module = tmebox.compile(SOURCES)
    (directory / "s").mkdir()
    port, path = _free_port(), directory / "s.socket"
    with tmebox.Sandbox(
        module,
        timeout=60,
        dirs=[(directory / "s", "/d")],
        listen=[("127.0.0.1", port), f"unix:{path}:/run/socket"],
        connect=[("127.0.0.1", port), f"unix:{path}:/run/socket"],
    ) as sandbox:
        done = sandbox.run(["world", str(port), "/run/socket", "/d"])
    assert done.exit_code == 0 and not path.exists()
    return done.stdout.decode().splitlines()


def test_the_world_is_what_it_is_natively(tmp_path: Path) -> None:
    native, sandboxed = _native(tmp_path), _sandboxed(tmp_path)
    assert len(native) > 200
    assert sandboxed == native
