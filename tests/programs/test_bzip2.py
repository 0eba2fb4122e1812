"""bzip2, built from Debian's source by its own makefile: the same compressed bytes, and back again."""

from __future__ import annotations

import bz2
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs.building import make, native_tools, run, run_sandboxed, sandboxed_tools, source_of

pytestmark = pytest.mark.network

SIZE_BYTES = 10_000_000
WORDS = ("sandbox", "window", "view", "pool", "line", "key", "module", "trap", "host", "call", "verify")


@dataclass(frozen=True)
class Builds:
    native: Path
    sandboxed: Path
    source: Path


@pytest.fixture(scope="session")
def bzip2(tmp_path_factory: pytest.TempPathFactory) -> Builds:
    source = source_of("bzip2")
    directory = tmp_path_factory.mktemp("bzip2")
    native, sandboxed = (
        make(source, directory, tools, "bzip2") for tools in (native_tools(), sandboxed_tools())
    )
    return Builds(native / "bzip2", sandboxed / "bzip2", source)


@pytest.fixture(scope="session")
def mixture() -> bytes:
    """10 MB: text, noise, long repeats, and short repeats that are the sorter's worst case."""
    generator = random.Random(20240229)
    pieces = []
    left = SIZE_BYTES
    while left:
        kind = generator.randrange(4)
        if kind == 0:
            piece = " ".join(generator.choices(WORDS, k=20_000)).encode()
        elif kind == 1:
            piece = generator.randbytes(100_000)
        elif kind == 2:
            piece = generator.randbytes(1) * generator.randrange(1, 300_000)
        else:
            piece = generator.randbytes(generator.randrange(2, 40)) * 5000
        pieces.append(piece[:left])
        left -= len(pieces[-1])
    return b"".join(pieces)


def test_a_file_of_10_mb_makes_the_round_trip_with_the_native_bytes(
    bzip2: Builds, mixture: bytes, tmp_path: Path
) -> None:
    native = run(bzip2.native, "-c", directory=tmp_path, stdin=mixture)
    sandboxed = run_sandboxed(bzip2.sandboxed, "-c", directory=tmp_path, stdin=mixture)
    assert (native.exit_code, sandboxed.exit_code) == (0, 0), sandboxed.stderr.decode()
    assert len(native.stdout) < SIZE_BYTES
    assert sandboxed.stdout == native.stdout
    back = run_sandboxed(bzip2.sandboxed, "-d", "-c", directory=tmp_path, stdin=sandboxed.stdout)
    assert back.exit_code == 0, back.stderr.decode()
    assert back.stdout == mixture


def test_files_are_compressed_and_restored_in_place(bzip2: Builds, tmp_path: Path) -> None:
    data = b"some text, some more text\n" * 40_000
    (tmp_path / "file").write_bytes(data)
    done = run_sandboxed(bzip2.sandboxed, "-1", "-k", "/file", directory=tmp_path)
    assert done.exit_code == 0, done.stderr.decode()
    assert bz2.decompress((tmp_path / "file.bz2").read_bytes()) == data
    (tmp_path / "file").unlink()
    done = run_sandboxed(bzip2.sandboxed, "-d", "/file.bz2", directory=tmp_path)
    assert done.exit_code == 0, done.stderr.decode()
    assert (tmp_path / "file").read_bytes() == data
    assert not (tmp_path / "file.bz2").exists()


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("small", [(), ("-s",)], ids=["fast", "small"])
def test_the_samples_of_bzip2s_own_test_suite_decompress(
    number: int, small: tuple[str, ...], bzip2: Builds, tmp_path: Path
) -> None:
    compressed = (bzip2.source / f"sample{number}.bz2").read_bytes()
    done = run_sandboxed(bzip2.sandboxed, "-d", *small, directory=tmp_path, stdin=compressed)
    assert done.exit_code == 0, done.stderr.decode()
    assert done.stdout == (bzip2.source / f"sample{number}.ref").read_bytes()


def test_damaged_input_is_reported_as_natively(bzip2: Builds, mixture: bytes, tmp_path: Path) -> None:
    damaged = bytearray(bz2.compress(mixture[:200_000]))
    for position in (10, len(damaged) // 2, len(damaged) - 20):
        broken = (
            bytes(damaged[:position]) + bytes([damaged[position] ^ 0xFF]) + bytes(damaged[position + 1 :])
        )
        native = run(bzip2.native, "-t", directory=tmp_path, stdin=broken)
        sandboxed = run_sandboxed(bzip2.sandboxed, "-t", directory=tmp_path, stdin=broken)
        assert native.exit_code == sandboxed.exit_code != 0
