"""What is compiled besides single sources: directories, objects, archives of objects and of sources."""

from __future__ import annotations

import io
import shutil
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tmebox.binding.bind import bind, exports_of
from tmebox.toolchain import unpack
from tmebox.toolchain.build import compile_object
from tmebox.toolchain.link.inputs import extract
from tmebox.toolchain.options import CompileOptions

SOURCE = '#include "own.h"\nint twice(int x) { return FACTOR * x; }\n'
HEADER = "#define FACTOR 2\nint twice(int x);\n"
ONCE = "int once(int x) { return x; }\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    lib = tmp_path / "numbers-1.0" / "lib"
    lib.mkdir(parents=True)
    (lib / "twice.c").write_text(SOURCE)
    (lib / "once.cpp").write_text(f'extern "C" {ONCE}')
    (lib / "own.h").write_text(HEADER)
    (lib.parent / "README").write_text("numbers")
    return lib.parent


def packed(tree: Path, name: str) -> Path:
    target = tree.parent / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in tree.rglob("*"):
                zipped.write(path, path.relative_to(tree.parent))
    else:
        mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[target.suffix]
        with tarfile.open(target, mode) as tar:  # type: ignore[call-overload]
            tar.add(tree, tree.name)
    return target


@pytest.mark.parametrize("name", ["n.tar", "n.tar.gz", "n.tgz", "n.tar.bz2", "n.tar.xz", "n.zip"])
def test_paths_go_through_archives_of_sources(tree: Path, name: str) -> None:
    archive = packed(tree, name)
    shutil.rmtree(tree)
    for place in ("lib", "numbers-1.0/lib", "lib/twice.c"):
        with tmebox.Sandbox(tmebox.compile(archive / place)) as sandbox:
            assert sandbox.twice(21) == 42
    bound = bind(archive / "lib/own.h", [archive / "lib"], "numbers_box")
    assert exports_of(bound) == ["twice"]
    assert set(bound.build["files"]) == {
        "numbers_box/twice.c",
        "numbers_box/once.cpp",
        "numbers_box/own.h",
    }
    assert bound.constants == {"FACTOR": 2}


def test_the_same_sources_give_the_same_module_packed_or_not(tree: Path) -> None:
    archive = packed(tree, "n.tar.gz")
    plain = bind(tree / "lib/own.h", [tree / "lib"], "numbers_box")
    assert bind(archive / "lib/own.h", [archive / "lib"], "numbers_box").file.text == plain.file.text


def test_what_is_not_there_is_told_with_what_is(tree: Path) -> None:
    archive = packed(tree, "n.tar.gz")
    with pytest.raises(tmebox.CompileError, match=r"n\.tar\.gz has no src \(at its top: README, lib\)"):
        tmebox.compile(archive / "src")
    with pytest.raises(tmebox.CompileError, match=r"n\.tar\.gz: no sources are directly in there; .* in lib"):
        tmebox.compile(archive)
    with pytest.raises(tmebox.CompileError, match="no sources are directly in there; there are some in lib"):
        tmebox.compile(tree)
    with pytest.raises(tmebox.CompileError, match="has no"):
        tmebox.compile(archive / "../secret.c")
    (tree.parent / "bad.tar.gz").write_bytes(b"no archive")
    for name in ("bad.tar.gz", "bad.zip"):
        (tree.parent / name).write_bytes(b"no archive")
        with pytest.raises(tmebox.CompileError, match="cannot be unpacked"):
            tmebox.compile(tree.parent / name / "a.c")


def _tar(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        fill(tar)
    return path


def _member(name: str, data: bytes = b"int f(void) { return 1; }\n") -> tuple[tarfile.TarInfo, io.BytesIO]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, io.BytesIO(data)


@pytest.mark.parametrize(
    "name", ["../out.c", "/tmp/tmebox-out.c", "a/../../out.c", "a\\b.c", "a\nb.c", "x" * 300, "a/" * 70 + "b"]
)
@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_no_file_of_an_archive_lands_elsewhere(tmp_path: Path, name: str, kind: str) -> None:
    archive = tmp_path / f"evil.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("a.c", ONCE)
            zipped.writestr(name, "int f;")
    else:
        _tar(archive, lambda tar: (tar.addfile(*_member("a.c")), tar.addfile(*_member(name)))[0])
    with pytest.raises(tmebox.CompileError, match="impossible name"):
        tmebox.compile(archive / "a.c")
    assert not Path("/tmp/tmebox-out.c").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name]


def test_links_and_devices_do_not_come_out_of_archives(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h"
    secret.write_text("int secret(void) { return 1; }\n")

    def fill(tar: tarfile.TarFile) -> None:
        tar.addfile(*_member("a.c", b'#include "b.h"\nint f(void) { return 1; }\n'))
        for name, kind in (("b.h", tarfile.SYMTYPE), ("c.h", tarfile.LNKTYPE), ("d.h", tarfile.CHRTYPE)):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, str(secret)
            tar.addfile(link)
        fifo = tarfile.TarInfo("e.c")
        fifo.type = tarfile.FIFOTYPE
        tar.addfile(fifo)
        directory = tarfile.TarInfo("dir")
        directory.type, directory.linkname = tarfile.SYMTYPE, str(tmp_path)
        tar.addfile(directory)

    with pytest.raises(tmebox.CompileError, match=r"b\.h.* file not found"):
        tmebox.compile(_tar(tmp_path / "evil.tar.gz", fill) / "a.c")
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.c", '#include "b.h"\n')
        info = zipfile.ZipInfo("b.h")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        zipped.writestr(info, str(secret))
    with pytest.raises(tmebox.CompileError, match=r"b\.h.* file not found"):
        tmebox.compile(archive / "a.c")


def test_a_file_where_a_directory_is_is_told(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        tar.addfile(*_member("a/b.c"))
        tar.addfile(*_member("a"))

    with pytest.raises(tmebox.CompileError, match="cannot be unpacked"):
        tmebox.compile(_tar(tmp_path / "evil.tar.gz", fill) / "a/b.c")


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_archives_that_unpack_without_end_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MOST_BYTES", 3 << 20)
    archive = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr("a.c", ONCE)
            zipped.writestr("b.h", bytes(4 << 20))
    else:
        _tar(
            archive, lambda tar: (tar.addfile(*_member("a.c")), tar.addfile(*_member("b", bytes(4 << 20))))[0]
        )
    with pytest.raises(tmebox.CompileError, match="more than 3,145,728 bytes"):
        tmebox.compile(archive / "a.c")
    monkeypatch.setattr(unpack, "MOST_FILES", 0)
    with pytest.raises(tmebox.CompileError, match="more than 0 files"):
        tmebox.compile(archive / "a.c")


def test_a_long_header_of_a_tar_file_is_bounded(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        member, data = _member("a.c")
        member.pax_headers = {"comment": "x" * (4 << 20)}
        tar.addfile(member, data)

    with pytest.raises(tmebox.CompileError, match="a header of 4194321 bytes"):
        tmebox.compile(_tar(tmp_path / "evil.tar.gz", fill) / "a.c")


# -- objects and archives of them ------------------------------------------------------------------------
def archive_of(objects: list[Path], path: Path) -> Path:
    ar = shutil.which("ar")
    if ar is None:
        pytest.skip("ar is not installed")
    subprocess.run([ar, "rcs", str(path), *map(str, objects)], check=True)
    return path


def objects_of(tmp_path: Path, options: CompileOptions) -> list[Path]:
    made: list[Path] = []
    for name in ("one", "two"):
        source = tmp_path / f"{name}.c"
        source.write_text(f"int {name}(int x) {{ return x + {len(made) + 1}; }}\n")
        made.append(tmp_path / f"{name}.o")
        compile_object(source, made[-1], options)
    return made


def test_archives_and_objects_that_were_made_for_sandboxes_are_linked(tmp_path: Path) -> None:
    objects = objects_of(tmp_path, CompileOptions())
    (tmp_path / "more.c").write_text("int two(int); int three(int x) { return two(x) + 1; }\n")
    archive = archive_of(objects, tmp_path / "libnumbers.a")
    for given in (archive, objects):
        sources = [tmp_path / "more.c", *(given if isinstance(given, list) else [given])]
        with tmebox.Sandbox(tmebox.compile(sources)) as sandbox:
            assert (sandbox.one(0), sandbox.two(0), sandbox.three(0)) == (1, 2, 3)
    header = tmp_path / "numbers.h"
    header.write_text("int one(int x); int two(int x);\n")
    bound = bind(header, [archive], "numbers_box")
    assert sorted(exports_of(bound)) == ["one", "two"]
    assert extract(archive, tmp_path / "again")


def test_native_archives_are_refused_with_what_to_do(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no native compiler is installed")
    (tmp_path / "native.c").write_text(ONCE)
    subprocess.run([compiler, "-c", "native.c", "-o", "native.o"], cwd=tmp_path, check=True)
    archive = archive_of([tmp_path / "native.o"], tmp_path / "libnative.a")
    for given, name in ((archive, r"libnative\.a\(native\.o\)"), (tmp_path / "native.o", r"native\.o")):
        with pytest.raises(tmebox.CompileError, match=f"{name}: not compiled for a sandbox.*tmebox cc"):
            tmebox.compile(given)
    (tmp_path / "once.h").write_text("int once(int x);\n")
    with pytest.raises(tmebox.CompileError, match="not compiled for a sandbox"):
        bind(tmp_path / "once.h", [archive], "once_box")


def test_archives_for_another_isolation_are_refused(tmp_path: Path) -> None:
    objects = objects_of(tmp_path, CompileOptions(isolation="data"))
    archive = archive_of(objects, tmp_path / "libdata.a")
    with pytest.raises(tmebox.CompileError, match=r"libdata\.a\(one\.o\): compiled with"):
        tmebox.compile(archive)


@pytest.mark.parametrize("data", [b"", b"!<arch>\n", b"!<thin>\n", b"!<arch>\nxxxx", b"text"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.a").write_bytes(data)
    with pytest.raises(tmebox.CompileError, match=r"archive|nothing to link|bad"):
        tmebox.compile(tmp_path / "bad.a")
    (tmp_path / "bad.o").write_bytes(data)
    with pytest.raises(tmebox.CompileError, match="not an object file"):
        tmebox.compile(tmp_path / "bad.o")
