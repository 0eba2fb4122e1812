"""The libraries that a wheel brings are used where they lie, if they fit; a build repeats what changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tmebox.errors import CompileError
from tmebox.toolchain.libc import cxx_sources, libcxx
from tmebox.toolchain.libc import libc as libc_module
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.kept import Kept
from tmebox.toolchain.libc.libc import Libc, libc
from tmebox.toolchain.libc.ship import ISOLATIONS, ship
from tmebox.toolchain.libc.sources import Source


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A guest of two sources, the first of which reads a header, and of one in C++; an empty cache; nothing
    shipped."""
    guest = tmp_path / "guest"
    shutil.copytree(libc_sources.GUEST, guest)
    (guest / "arch" / "number.h").write_text("#define NUMBER 1\n")
    one, two = guest / "one.c", guest / "two.c"
    one.write_text('#include "number.h"\nint one(void) { return NUMBER; }\n')
    two.write_text("int two(void) { return 2; }\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(libc_module, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(libc_sources, "GUEST", guest)
    monkeypatch.setattr(libc_sources, "START", Source("start/start", guest / "start" / "start.S"))
    monkeypatch.setattr(libc_sources, "sources", lambda: [Source("own/one", one), Source("own/two", two)])
    three = tmp_path / "three.cpp"
    three.write_text("int three() { return 3; }\n")
    flags = ("-target", "x86_64-linux-musl", "-nostdinc", "-fno-integrated-as")
    monkeypatch.setattr(cxx_sources, "sources", lambda: [Source("own/three", three, flags)])
    forget_keys()
    yield guest
    forget_keys()


def forget_keys() -> None:
    """They are of other sources."""
    libc_module._key.cache_clear()
    libcxx._name.cache_clear()


class Work:
    """What a build did: the sources that were compiled, instrumented and assembled."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.compiled: list[str] = []
        self.instrumented: list[str] = []
        self.assembled: list[str] = []
        self._watch(monkeypatch, "_to_assembly", lambda given, _: self.compiled.append(given[0].name))
        self._watch(monkeypatch, "rewrite", lambda _, named: self.instrumented.append(named["file"]))
        self._watch(monkeypatch, "assemble", lambda _, named: self.assembled.append(named["file"]))

    def _watch(self, monkeypatch: pytest.MonkeyPatch, name: str, note: Callable[..., None]) -> None:
        real = getattr(libc_sources, name)

        def watched(*given: object, **named: object) -> object:
            note(given, named)
            return real(*given, **named)

        monkeypatch.setattr(libc_sources, name, watched)

    def of_a_build(self) -> tuple[list[str], list[str], list[str]]:
        for seen in (self.compiled, self.instrumented, self.assembled):
            seen.clear()
        build_again()
        return sorted(self.compiled), sorted(self.instrumented), sorted(self.assembled)


@pytest.fixture
def work(tree: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work(monkeypatch)
    build_again()
    assert sorted(work.compiled) == ["own/one", "own/two", "start/start"]
    return work


def build_again() -> Libc:
    """A build as a new process would do it, with the cache of objects that there is."""
    libc_module._key.cache_clear()
    for path in libc_module.cache_directory().glob("libc-*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return libc()


def put() -> None:
    ship(lambda _step, _done, _total: None)


def test_what_has_not_changed_is_not_made_again(work: Work) -> None:
    before = build_again().archive.read_bytes()
    assert work.of_a_build() == ([], [], [])
    assert libc().archive.read_bytes() == before


def test_a_changed_source_is_the_only_one_compiled(work: Work, tree: Path) -> None:
    (tree / "two.c").write_text("int two(void) { return 3; }\n")
    assert work.of_a_build() == (["own/two"], ["libc/own/two"], ["libc/own/two"])


def test_a_changed_header_recompiles_what_reads_it(work: Work, tree: Path) -> None:
    (tree / "arch" / "number.h").write_text("#define NUMBER 4\n")
    assert work.of_a_build() == (["own/one"], ["libc/own/one"], ["libc/own/one"])


def test_a_header_that_comes_to_stand_before_another_is_noticed(work: Work, tree: Path) -> None:
    (tree / "number.h").write_text("#define NUMBER 5\n")
    assert work.of_a_build()[0] == ["own/one", "own/two", "start/start"]


def test_a_changed_rewriter_compiles_nothing(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libc_module, "code_digest", lambda: "another")
    everything = ["libc/own/one", "libc/own/two", "libc/start/start"]
    assert work.of_a_build() == ([], everything, everything)


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda _: b"", lambda _: b"x" * 99])
def test_a_damaged_cache_is_an_empty_one(work: Work, damage: Callable[[bytes], bytes]) -> None:
    good = build_again().archive.read_bytes()
    for path in (libc_module.cache_directory() / "objects").iterdir():
        path.write_bytes(damage(path.read_bytes()))
    assert work.of_a_build()[0] == ["own/one", "own/two", "start/start"]
    assert libc().archive.read_bytes() == good


@pytest.mark.parametrize(
    "entry", [b"", b"[]", b"{}", b'{"headers": 1, "text": ""}', b'{"headers": {"a": "b"}}']
)
def test_an_entry_that_says_something_else_is_made_again(tmp_path: Path, entry: bytes) -> None:
    kept = Kept(tmp_path / "kept")
    kept.put("key", entry)
    assert kept.assembly("key", {}, lambda: ("made", frozenset())) == "made"
    assert kept.assembly("key", {}, lambda: ("again", frozenset())) == "made"


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = Kept(tmp_path / "file" / "kept")
    kept.put("key", b"data")
    assert kept.get("key") is None


def test_the_shipped_library_is_used_where_it_lies_and_leaves_no_cache(tree: Path, tmp_path: Path) -> None:
    put()
    shutil.rmtree(tmp_path / "cache")
    places = [libc_module.found(isolation=isolation) for isolation in ISOLATIONS]
    assert all(place and place.parent == tmp_path / "shipped" for place in places)
    library = libc()
    assert library.archive.is_relative_to(tmp_path / "shipped") and library.start_object.exists()
    assert libc(isolation="data").archive.parent != library.archive.parent
    assert all(libcxx.libcxx(isolation=each).is_relative_to(tmp_path / "shipped") for each in ISOLATIONS)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("base", ["/dev/null", "/proc/nowhere"])
def test_the_shipped_library_is_used_where_there_can_be_no_cache(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    put()
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    forget_keys()
    assert libc().archive.is_relative_to(tmp_path / "shipped")
    assert libcxx.libcxx().is_relative_to(tmp_path / "shipped")
    (tree / "two.c").write_text("int two(void) { return 3; }\n")
    forget_keys()
    with pytest.raises(CompileError, match="set XDG_CACHE_HOME"):
        libc()


def test_a_shipped_library_of_other_sources_is_left_alone_and_shipping_replaces_it(
    tree: Path, tmp_path: Path
) -> None:
    put()
    (tree / "two.c").write_text("int two(void) { return 3; }\n")
    libc_module._key.cache_clear()
    assert libc_module.found() is None
    assert libc().archive.is_relative_to(tmp_path / "cache")
    put()
    assert libc().archive.is_relative_to(tmp_path / "shipped")
    assert len(list((tmp_path / "shipped").glob("libc-*/libc.a"))) == len(ISOLATIONS)
    assert len(list((tmp_path / "shipped").glob("libc-*/libc++.a"))) == len(ISOLATIONS)


def test_nothing_but_libraries_is_shipped(tree: Path, tmp_path: Path) -> None:
    put()
    names = {path.name for path in (tmp_path / "shipped").rglob("*") if path.is_file()}
    licenses = {"musl-COPYRIGHT", "libcxx-LICENSE", "libcxxabi-LICENSE", "libunwind-LICENSE"}
    assert names == {"libc.a", "crt1.o", "libc++.a", *licenses}
    places = [str(path).encode() for path in (tmp_path, Path.home())]
    for path in (tmp_path / "shipped").rglob("*.a"):
        assert not any(place in path.read_bytes() for place in places), path


def test_musls_license_is_shipped_with_it(tree: Path, tmp_path: Path) -> None:
    put()
    assert "MIT license" in (tmp_path / "shipped" / "musl-COPYRIGHT").read_text()
    assert [path for path in tmp_path.iterdir() if path.name.startswith("shipped.")] == []
