"""What `tmebox run` keeps of sources that it compiled, and when it compiles them anew."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import Run
from tmebox.modulefile import codec

pytestmark = pytest.mark.slow


@pytest.fixture
def private_cache(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A cache directory of its own, which shares the built C library."""
    from tmebox.toolchain.libc.libc import cache_directory, libc

    libc()
    ours = tmp_path / "cache" / "tmebox"
    ours.mkdir(parents=True)
    for built in cache_directory().glob("libc-*"):
        (ours / built.name).symlink_to(built)
    yield {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_a_compiled_source_is_kept_until_something_it_was_made_from_changes(
    tmebox: Run, tmp_path: Path, private_cache: dict[str, str]
) -> None:
    header, source = tmp_path / "answer.h", tmp_path / "main.c"
    header.write_text("#define ANSWER 42\n")
    source.write_text('#include "answer.h"\nint main(void) { return ANSWER; }\n')
    entries = Path(private_cache["XDG_CACHE_HOME"]) / "tmebox" / "programs"

    def run() -> int:
        return tmebox("run", source, env=private_cache).code

    assert run() == 42
    (manifest,) = entries.glob("*.json")
    assert str(header) in json.loads(manifest.read_text())["files"]
    kept = manifest.with_suffix(".tbx")
    first = kept.stat().st_mtime_ns
    assert run() == 42
    assert kept.stat().st_mtime_ns == first
    header.write_text("#define ANSWER 43\n")
    assert run() == 43
    kept.write_bytes(b"damaged")
    assert run() == 43
    os.remove(kept)
    assert run() == 43


def test_a_forged_cache_entry_is_verified_like_any_file(
    tmebox: Run, tmp_path: Path, private_cache: dict[str, str]
) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    assert tmebox("run", source, env=private_cache).code == 0
    (kept,) = (Path(private_cache["XDG_CACHE_HOME"]) / "tmebox" / "programs").glob("*.tbx")
    good = codec.read(kept)
    codec.write(dataclasses.replace(good, text=b"\x0f\x05" * (len(good.text) // 2)), kept)
    manifest = kept.with_suffix(".json")
    entry = json.loads(manifest.read_text()) | {"module": hashlib.sha256(kept.read_bytes()).hexdigest()}
    assert tmebox("run", source, env=private_cache).code == 0  # another's, not that of the entry
    codec.write(dataclasses.replace(good, text=b"\x0f\x05" * (len(good.text) // 2)), kept)
    manifest.write_text(json.dumps(entry))
    done = tmebox("run", source, env=private_cache)
    assert done.code == 1
    assert "no-privileged-instruction" in done.err


def test_a_link_to_a_source_has_its_own_headers(
    tmebox: Run, tmp_path: Path, private_cache: dict[str, str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "y.h").write_text("#define Y 1\n")
    (tmp_path / "sub" / "y.h").write_text("#define Y 2\n")
    (tmp_path / "sub" / "x.c").write_text('#include "y.h"\nint main(void) { return Y; }\n')
    (tmp_path / "x.c").symlink_to("sub/x.c")
    for _ in range(2):
        assert tmebox("run", tmp_path / "x.c", env=private_cache).code == 1
        assert tmebox("run", tmp_path / "sub" / "x.c", env=private_cache).code == 2
    (tmp_path / "other.h").write_text("#define Y 3\n")
    (tmp_path / "y.h").unlink()
    (tmp_path / "y.h").symlink_to("other.h")
    assert tmebox("run", tmp_path / "x.c", env=private_cache).code == 3


ASKS = [
    '#if __has_include("opt.h")\n#include "opt.h"\n#else\n#define A 1\n#endif\n',
    '#define NAME "opt.h"\n#if __has_include(NAME)\n#include NAME\n#else\n#define A 1\n#endif\n',
    "#define TEXT(x) #x\n#if __has_include(TEXT(opt.h))\n#include TEXT(opt.h)\n#else\n#define A 1\n#endif\n",
    '#include "stdio.h"\n#ifdef A\n#undef A\n#define A 2\n#else\n#define A 1\n#endif\n',
]


@pytest.mark.parametrize("asks", range(len(ASKS)))
def test_headers_that_appear_later_change_the_program(
    tmebox: Run, tmp_path: Path, private_cache: dict[str, str], asks: int
) -> None:
    source = tmp_path / "main.c"
    source.write_text(f"{ASKS[asks]}int main(void) {{ return A; }}\n")
    assert tmebox("run", source, env=private_cache).code == 1
    (tmp_path / ("opt.h" if "opt.h" in ASKS[asks] else "stdio.h")).write_text("#define A 2\n")
    assert tmebox("run", source, env=private_cache).code == 2
