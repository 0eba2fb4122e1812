"""Files out of tar archives, as the standard library writes them, and as an attacker does."""

from __future__ import annotations

import io
import tarfile

import pytest

from tmebox.toolchain import tar

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG = "/".join(["a" * 40] * 5)
NAMES = {
    "a.c": b"",
    "d/b.c": b"1",
    "c": bytes(512),
    "e": bytes(range(256)) * 7,
    LONG: b"long",
    f"{LONG}/x": b"x" * 1025,
}


def archive(names: dict[str, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as written:
        directory = tarfile.TarInfo("d")
        directory.type = tarfile.DIRTYPE
        written.addfile(directory)
        for name, data in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            written.addfile(member, io.BytesIO(data))
            link = tarfile.TarInfo(f"{name}.link")
            link.type = tarfile.SYMTYPE
            link.linkname = "a" if kind == tarfile.USTAR_FORMAT else LONG
            written.addfile(link)
    return out.getvalue()


def found(data: bytes, most: int = 1 << 20) -> dict[str, bytes]:
    """most: bytes that the file gives at a time."""
    file, every = io.BytesIO(data), {}
    for name, contents in tar.files(lambda size: file.read(min(size, most))):
        pieces = []
        while piece := contents.read(1000):
            pieces.append(piece)
        every[name] = b"".join(pieces)
    return every


@pytest.mark.parametrize("most", [1 << 20, 100])
@pytest.mark.parametrize("kind", FORMATS, ids=["ustar", "gnu", "pax"])
def test_regular_files_are_found_with_their_names_and_contents(kind: int, most: int) -> None:
    names = {name: data for name, data in NAMES.items() if kind != tarfile.USTAR_FORMAT or len(name) < 200}
    assert found(archive(names, kind), most) == names


@pytest.mark.parametrize("kind", FORMATS, ids=["ustar", "gnu", "pax"])
def test_files_need_not_be_read(kind: int) -> None:
    assert [name for name, _ in tar.files(io.BytesIO(archive({"a": b"1" * 700, "b": b""}, kind)).read)] == [
        "a",
        "b",
    ]


def test_names_that_are_no_text() -> None:
    for kind in FORMATS:
        data = archive({"gr\xfc\xdfe-\u4e2d-\udcff": b"1"}, kind)
        assert list(found(data)) == ["gr\xfc\xdfe-\u4e2d-\udcff"]


def header(size: int, kind: bytes, name: str = "a") -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


FILE = archive({"a": b"1"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (header(1 << 40, tarfile.XHDTYPE) + b"1" * 1024, "a header of"),
        (header(1 << 33, tarfile.GNUTYPE_LONGNAME) + b"1" * 1024, "a header of"),
        (header(60_000, tarfile.XHDTYPE) + blocks(b"1" * 60_000) + FILE, "makes no sense"),
        (header(20, tarfile.XHDTYPE) + blocks(b"21 path=a") + FILE, "makes no sense"),
        (header(20, tarfile.XHDTYPE) + blocks(b"0 path=a\n") + FILE, "makes no sense"),
        (header(13, tarfile.XHDTYPE) + blocks(b"13 size=1e99\n") + FILE, "invalid literal"),
        (header(23, tarfile.XHDTYPE) + blocks(b"23 GNU.sparse.major=1\n\n") + FILE, "sparse"),
        (header(0, tarfile.GNUTYPE_SPARSE), "sparse"),
        (b"x" * 512, "a number that is none"),
        (header(0, b"0").replace(b"a", b"b", 1), "checksum"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_headers_that_make_no_sense_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        found(data)


def test_an_archive_that_is_cut_ends_too_early() -> None:
    for length in (100, 512 + 100, 1024 + 1):
        with pytest.raises(EOFError):
            found(archive({"a": b"1" * 600}, tarfile.USTAR_FORMAT)[512:][:length])


def test_headers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar, "MOST_HEADERS", 10)
    with pytest.raises(ValueError, match="more than 10 headers"):
        found(header(0, tarfile.DIRTYPE) * 11)
