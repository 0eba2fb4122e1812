"""Random system calls through the core, beside peers that stall, hang up, and send without end."""

from __future__ import annotations

import os
import random
import resource
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tmebox
from tmebox import _native, abi

SOURCE = Path(__file__).parent / "sources" / "fuzzing.c"
BATCH = 2_000
BATCH_TIMEOUT_S = 30.0
SLOW_S = 10.0
"""A batch takes a tenth of a second on a machine that does nothing else."""
MEMORY = 32 << 20
SLICE_NS = 100_000
"""Of threads, where there are some: an interruption takes a third of it."""


@dataclass
class Fuzzed:
    """beside: calls of threads that took turns with the one that was counted."""

    calls: int = 0
    beside: int = 0
    traps: int = 0
    slowest_s: float = 0.0


def compiled() -> tmebox.Module:
    names = ("CONTROL_PAGE", "PAGE_SIZE", "PRIVATE_END", "ARENA_END", "GATE_HOSTCALL", "SYS_DIRECT")
    defines = {f"TMEBOX_{name}": hex(getattr(abi, name)) for name in names}
    return tmebox.compile(SOURCE, defines=defines, flags=("-w",))


class Peers:
    """The other ends: some never read, some never write, some are gone."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self._port, self._rng = port, rng
        self._open: list[socket.socket] = []

    def act(self) -> None:
        for _ in range(6):
            peer = socket.socket()
            peer.setblocking(False)
            with suppress(OSError):
                peer.connect(("127.0.0.1", self._port))
            self._open.append(peer)
        self._rng.shuffle(self._open)
        for peer in self._open[:3]:
            with suppress(OSError):
                peer.send(self._rng.randbytes(self._rng.randrange(1, 70_000)))
        for peer in self._open[3:6]:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_WR)
        while len(self._open) > 12:
            self._open.pop().close()

    def close(self) -> None:
        for peer in self._open:
            peer.close()


def furnish(folder: Path) -> None:
    for name in ("rw", "ro"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(bytes(range(256)) * 40)
    (folder / "secret").write_bytes(b"secret")
    (folder / "rw" / "link").symlink_to(folder / "secret")


def seen(folder: Path) -> object:
    """What must be after as it was before."""
    kept = [
        (path, path.read_bytes(), path.stat().st_mode) for path in (folder / "ro/file", folder / "secret")
    ]
    return kept, sorted(os.listdir(folder)), sorted(os.listdir(folder / "ro"))


def descriptors() -> list[tuple[str, str]]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            found.append((name, os.readlink(f"/proc/self/fd/{name}")))
    return sorted(found)


def one_life(module: tmebox.Module, folder: Path, seed: int, most: int, found: Fuzzed, threads: bool) -> None:
    """A sandbox until it has trapped, or made so many calls."""
    rng = random.Random(seed)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        peers = Peers(port, rng)
        grants = [f"{folder}/rw:/rw", f"{folder}/ro:/ro:ro"]
        with tmebox.Sandbox(
            module,
            memory=MEMORY,
            timeout=BATCH_TIMEOUT_S,
            files=40,
            dirs=grants,
            listen=[server],
            connect=[("127.0.0.1", port)],
            stdin=b"input" * 1000,
            stdout=lambda _data: None,
            stderr=lambda _data: None,
        ) as sandbox:
            assert sandbox.prepare(port) >= 0
            assert not threads or sandbox.crowd() == 0
            for _ in range(most // BATCH):
                peers.act()
                began_s = time.monotonic()
                try:
                    found.calls += sandbox.fuzz(rng.getrandbits(60), BATCH)
                except (tmebox.Trap, OSError):  # it has written over itself
                    found.traps += 1
                    found.calls += 1
                    break
                finally:
                    found.slowest_s = max(found.slowest_s, time.monotonic() - began_s)
                assert sandbox.intact(), f"seed {seed}: read-only memory was written"
            else:
                found.beside += sandbox.done_beside()
        peers.close()


def fuzz(folder: Path, calls: int, seed: int, *, threads: bool = False) -> Fuzzed:
    """In a child process. threads: whether there are three, which ask or compute; their turns end anywhere.
    Raises AssertionError for whatever is not as before."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    _native.set_slice(SLICE_NS)
    module = compiled()
    furnish(folder)
    found = Fuzzed()
    one_life(module, folder, seed, BATCH, Fuzzed(), threads)  # what is made once is there
    kept, before = seen(folder), descriptors()
    while found.calls < calls:
        seed += 1
        one_life(module, folder, seed, min(20 * BATCH, calls), found, threads)
        assert seen(folder) == kept, f"seed {seed}"
        assert descriptors() == before, f"seed {seed}: descriptors"
    assert found.slowest_s < SLOW_S * 6, "the host waited"
    return found
