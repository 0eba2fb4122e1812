"""Archives that another reader takes apart in another way: the linker sees objects that were looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.toolchain.compiling import exports, imports
from tmebox.errors import CompileError
from tmebox.toolchain.build import CompileOptions, SourceText, compile_object
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.link.inputs import archive_members
from tmebox.toolchain.link.link import link

OPTIONS = CompileOptions(use_libc=False)
SECRET = b"what no program may see"


@pytest.fixture
def parts(tmp_path: Path) -> tuple[bytes, bytes]:
    """An object of ours; and bitcode that defines `helper` and reads a file while it is compiled."""
    (tmp_path / "secret").write_bytes(SECRET)
    compile_object(SourceText("int f(void) { return 1; }"), tmp_path / "ours.o", OPTIONS)
    (tmp_path / "hostile.c").write_text(
        f'__asm__(".data\\n.globl secret\\nsecret: .incbin \\"{tmp_path}/secret\\"\\n.text\\n");'
        "extern char secret[]; int helper(int x) { return secret[x]; }"
    )
    words = ["-target", clang.TARGET, "-c", "-emit-llvm", "-o", str(tmp_path / "hostile.bc")]
    assert clang.run("clang", [*words, str(tmp_path / "hostile.c")], ANYWHERE).status == 0
    ours, hostile = (tmp_path / "ours.o").read_bytes(), (tmp_path / "hostile.bc").read_bytes()
    return ours + bytes(-len(ours) % 4), hostile + bytes(-len(hostile) % 4)  # bitcode lies at words


def member(name: bytes, contents: bytes) -> bytes:
    head = name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"644".ljust(8)
    return head + str(len(contents)).encode().ljust(10) + b"`\n" + contents + b"\n" * (len(contents) % 2)


def linked(folder: Path, archive: bytes) -> bytes:
    compile_object(SourceText("int helper(int); int g(int x) { return helper(x); }"), folder / "g.o", OPTIONS)
    (folder / "lib.a").write_bytes(b"!<arch>\n" + archive)
    module = link([folder / "g.o"], [folder / "lib.a"], OPTIONS)
    return b"".join([module.text, *(bytes(segment.data) for segment in module.segments)])


def test_a_name_of_the_length_of_an_object_hides_nothing(tmp_path: Path, parts: tuple[bytes, bytes]) -> None:
    ours, hostile = parts
    assert SECRET not in linked(tmp_path, member(b"#1/%d" % len(ours), ours + hostile))


@pytest.mark.parametrize("name", [b"/", b"//", b"/SYM64/"])
def test_an_index_hides_no_member(tmp_path: Path, parts: tuple[bytes, bytes], name: bytes) -> None:
    ours, hostile = parts
    assert SECRET not in linked(tmp_path, member(b"ours.o/", ours) + member(name, hostile))


@pytest.mark.parametrize("name", [b"/0", b"__.SYMDEF", b"x.o/", b"", b"/x"])
def test_members_that_are_no_objects_are_refused(
    tmp_path: Path, parts: tuple[bytes, bytes], name: bytes
) -> None:
    ours, hostile = parts
    with pytest.raises(CompileError, match="not an object file"):
        linked(tmp_path, member(b"ours.o/", ours) + member(name, hostile))


def test_files_that_change_after_the_look_are_not_linked(
    tmp_path: Path, parts: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, hostile = parts
    run = clang.run

    def swap(tool: str, *arguments: object, **more: object) -> clang.Finished:
        for name in ("g.o", "lib.a"):
            (tmp_path / name).write_bytes(hostile)
        return run(tool, *arguments, **more)  # type: ignore[arg-type]

    compile_object(SourceText("int g(int x) { return x; }"), tmp_path / "g.o", OPTIONS)
    (tmp_path / "lib.a").write_bytes(b"!<arch>\n" + member(b"ours.o/", ours))
    monkeypatch.setattr(clang, "run", swap)
    module = link([tmp_path / "g.o"], [tmp_path / "lib.a"], CompileOptions(use_libc=False, exports=("g",)))
    assert all(SECRET not in bytes(segment.data) for segment in module.segments)


def test_members_are_called_what_they_are_called_in_the_archive(tmp_path: Path) -> None:
    long = "a_name_that_is_longer_than_the_field_for_it.o"
    for name, text in ((long, "int helper(int x) { return x; }"), ("b.o", "int other(void) { return 2; }")):
        compile_object(SourceText(text), tmp_path / name, OPTIONS)
    compile_object(
        SourceText("int helper(int); int g(int x) { return helper(x); }"), tmp_path / "g.o", OPTIONS
    )
    archive, told = tmp_path / 'lib "of a\\b".a', tmp_path / "map"
    clang.run("ar", ["rcs", str(archive), str(tmp_path / long), str(tmp_path / "b.o")], ANYWHERE)
    assert [name for name, _ in archive_members(archive)] == [f"{archive}({long})", f"{archive}(b.o)"]
    module = link([tmp_path / "g.o"], [archive], OPTIONS, link_map=told)
    assert (list(exports(module)), list(imports(module))) == (["g"], [])
    assert f"{archive}({long}):" in told.read_text() and f"{tmp_path}/g.o:" in told.read_text()
    assert "(b.o)" not in told.read_text()
    compile_object(SourceText("int helper(int x) { return 1; }"), tmp_path / "twice.o", OPTIONS)
    twice = SourceText("int helper(int); int other(void); int h(int x) { return helper(x) + other(); }")
    compile_object(twice, tmp_path / "h.o", OPTIONS)
    compile_object(
        SourceText("int other(void) { return 3; } int helper(int x) { return x; }"), tmp_path / long, OPTIONS
    )
    clang.run("ar", ["rcs", str(archive), str(tmp_path / long)], ANYWHERE)
    with pytest.raises(CompileError, match=r"of a\\b\"\.a\(a_name") as caught:
        link(
            [tmp_path / "h.o", tmp_path / "twice.o"],
            [archive],
            CompileOptions(use_libc=False, exports=("h",)),
        )
    assert str(tmp_path) not in str(caught.value) and "/objects/" not in str(caught.value)
