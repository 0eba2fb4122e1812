"""Building the C library: everything in it verifies, it is cached, and nobody ever sees half of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tmebox import CompileError
from tmebox.toolchain.build import compile_object
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.libc import libc as libc_module
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.libc import libc
from tmebox.toolchain.libc.sources import Source
from tmebox.toolchain.link.link import link
from tmebox.toolchain.options import CompileOptions, SourceText
from tmebox.verify import verify

pytestmark = pytest.mark.slow

FEW = [
    Source("string/memmove", libc_sources.GUEST / "musl" / "string" / "memmove.c"),
    Source("compiler_rt/bits", libc_sources.GUEST / "compiler_rt" / "bits.c"),
]


def test_every_object_of_the_library_passes_the_verifier(tmp_path: Path) -> None:
    library = libc()
    assert clang.run("ar", ["x", str(library.archive)], ANYWHERE, cwd=tmp_path).status == 0
    compile_object(SourceText("int main(void) { return 0; }", "main.c"), tmp_path / "main.o")
    objects = sorted(tmp_path.glob("*.o"))
    assert len(objects) > 1300
    module = link(objects, (), CompileOptions(name="everything"), start_object=library.start_object)
    assert [item.name for item in module.imports] == ["__tmebox_syscall"]
    verified = verify(
        module.text,
        module.text_address,
        functions=module.functions.tolist(),
        labels=module.labels.tolist(),
        fact_places=module.fact_places,
        facts=module.facts,
        depth_places=module.depth_places,
        depths=module.depths,
        table_entries=module.table_entries,
    )
    assert verified is not None


def test_no_two_members_define_the_same_function_and_none_is_missing(tmp_path: Path) -> None:
    """Linking all members at once, as above, fails on either; `main` and the import are the only unknowns."""
    archive = libc().archive
    listing = subprocess.run(
        [clang.toolchain_dir() / "zig", "ar", "t", archive], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(listing) == len(set(listing))


@pytest.fixture
def small_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, nothing shipped, and a library of two objects."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(libc_module, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(libc_sources, "sources", lambda: FEW)
    return tmp_path / "tmebox"


def test_progress_is_told_and_a_second_call_builds_nothing(small_library: Path) -> None:
    steps: list[tuple[int, int]] = []
    first = libc(lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    written = first.archive.stat().st_mtime_ns
    assert libc(lambda *_: pytest.fail("built again")) == first
    assert first.archive.stat().st_mtime_ns == written
    libraries = [path for path in small_library.iterdir() if path.name != "objects"]
    assert sorted(path.suffix for path in libraries) == ["", ".lock"]


def test_a_failed_build_leaves_nothing_behind_and_says_which_file(
    small_library: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.c"
    bad.write_text('void f(void) { __asm__("syscall"); }')
    monkeypatch.setattr(libc_sources, "sources", lambda: [*FEW, Source("misc/bad", bad)])
    with pytest.raises(CompileError, match="misc/bad"):
        libc()
    assert [path.suffix for path in small_library.iterdir() if path.name != "objects"] == [".lock"]


def test_libraries_unused_for_a_month_are_deleted_when_another_is_built(small_library: Path) -> None:
    old, recent = libc(), libc(isolation="data")
    os.utime(old.archive.parent, (0, 0))
    libc_module._forget_unused(small_library)
    assert not old.archive.exists() and recent.archive.exists()
    assert libc() == old and old.archive.exists()


def test_each_isolation_has_its_own_library(small_library: Path) -> None:
    assert libc(isolation="data").archive != libc().archive


def test_any_change_to_a_guest_source_makes_another_library(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = libc_module._key("code+data")
    guest = tmp_path / "tmebox" / "guest"
    guest.mkdir(parents=True)
    (guest / "new.c").write_text("int x;")
    key = libc_module._key.__wrapped__
    monkeypatch.setattr(libc_sources, "GUEST", guest)
    assert key("code+data") != before
    first = key("code+data")
    (guest / "new.c").write_text("int y;")
    assert key("code+data") != first


def test_code_is_hashed_again_only_after_it_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    code, computed = tmp_path / "code", list[str]()
    (code / "inner").mkdir(parents=True)
    (code / "inner" / "a.c").write_text("int x;")

    def hashed(asked: str = "data") -> str:
        def compute() -> str:
            computed.append(asked)
            return f"{asked}{len(computed)}"

        return libc_module.remembered(asked, (code,), compute)

    assert hashed() == hashed() == "data1"
    assert hashed("code+data") == "code+data2"
    (code / "inner" / "a.c").write_text("int y;")
    assert hashed() == hashed() == "data3"
    (code / "b.py").write_text("")
    assert hashed() == "data4"
    (code / "notes.txt").write_text("")
    assert hashed() == "data4"
    (code / "b.py").rename(code / "c.py")
    assert hashed() == "data5"
    for path in (tmp_path / "cache" / "tmebox" / libc_module.KEYS).iterdir():
        path.write_bytes(b"damaged")
    assert hashed() == "data6"


def test_processes_that_need_the_library_at_once_build_it_once(small_library: Path, tmp_path: Path) -> None:
    script = """if True:
        from pathlib import Path
        from tmebox.toolchain.libc import libc as libc_module, sources as libc_sources
        from tmebox.toolchain.libc.libc import libc
        from tmebox.toolchain.libc.sources import Source, GUEST
        libc_module.SHIPPED = Path("/nowhere")
        libc_sources.sources = lambda: [Source("compiler_rt/bits", GUEST / "compiler_rt" / "bits.c")]
        built = []
        libc(lambda *step: built.append(step))
        print(len(built))
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sorted(process.communicate()[0].strip() for process in processes) == ["0", "0", "1"]
