"""Everything that a user names as an output goes through one function, which writes to devices and never
replaces them."""

from __future__ import annotations

import ast
import contextlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
import tmebox_bench
from tmebox.outputs import write_output

PACKAGES = {Path(tmebox.__file__).parent: Path(), Path(tmebox_bench.__file__).parent: Path("tmebox_bench")}
DATA = b"what was written \xff\0" * 5000
"""More than a pipe holds at once."""

# -- every writer ----------------------------------------------------------------------------------------
OPENING = {"open", "fdopen", "FileIO"}
WRITING = {
    *("write_text", "write_bytes", "mkstemp", "NamedTemporaryFile", "mknod", "mkfifo", "symlink_to"),
    *("rename", "renames", "link", "symlink", "copy", "copy2", "copyfile", "copytree", "move", "touch"),
}
IN_MODULES = {"rename", "renames", "replace", "link", "symlink", "copy", "copy2", "copyfile", "move"}
"""Of these only calls on `os`, `shutil` and paths count: `replace` and `copy` are methods of many things."""

WRITERS = {
    "toolchain/unpack.py:take": "what is in an archive of sources, in a scratch directory",
    "toolchain/patterns.py:keep": "compiled patterns, beside bytecode",
    "toolchain/scratch.py:scratch_file": "a new file without a name, for what a tool says",
    "binding/bind.py:_make_headers": "headers that a build would make, in a scratch directory",
    "binding/bind.py:_copy": "copies of headers in a scratch directory",
    "binding/bind.py:declared": "a source that includes the headers, in a scratch directory",
    "abi.py:<module>": "the header that a build of the native core asks for",
    "unread.py:write": "the null device, in the place of standard output",
    "outputs.py:_write_through": "the function that outputs go through",
    "outputs.py:_replace": "the function that outputs go through",
    "toolchain/cc/archive.py:_write": "a copy in a scratch directory",
    "toolchain/assemble.py:assemble": "a source in a scratch directory",
    "toolchain/compile/compile.py:_compile": "an overlay in a scratch directory",
    "toolchain/cc/driver.py:_read_stdin": "standard input, in a scratch directory",
    "toolchain/libc/libcxx.py:_build_into": "the cache",
    "toolchain/libc/libc.py:_build_into": "the cache",
    "toolchain/libc/ship.py:ship": "what a wheel brings, in the source tree that it is built from",
    "toolchain/libc/kept.py:put": "the cache of what libc is made of",
    "toolchain/libc/sources.py:compile_source": "an object in a scratch directory",
    "toolchain/libc/sources.py:archive": "a listing beside the cache's archive",
    "toolchain/link/inputs.py:add": "copies of objects in a scratch directory",
    "toolchain/link/inputs.py:extract": "objects in a scratch directory",
    "toolchain/link/link.py:link": "the linker's map, in a scratch directory",
    "toolchain/link/link.py:run": "a linker script in a scratch directory",
    "toolchain/objects.py:_compile_text": "a source in a scratch directory",
    "toolchain/unpromised.py:assembled": "a source in a scratch directory",
    "tmebox_bench/python_loops.py:_native": "the cache",
    "tmebox_bench/python_loops.py:_run_native": "a program in a scratch directory",
    "tmebox_bench/boxes/builds.py:_asked": "a program in a scratch directory",
    "tmebox_bench/boxes/builds.py:_compile": "copies of headers in a scratch directory",
    "tmebox_bench/costs.py:_build": "sources in a scratch directory",
    "tmebox_bench/debian.py:_download_from": "the cache of packages",
    "tmebox_bench/debian.py:_private_configuration": "the cache of packages",
    "tmebox_bench/debian.py:_publish": "the cache of packages",
    "tmebox_bench/debian.py:_unpack": "the cache of packages",
    "tmebox_bench/instances_fork.py:main": "the null device, as its output",
    "tmebox_bench/instances_peers.py:sandbox": "the null device, as a program's output",
    "tmebox_bench/native.py:_build_libc_in": "the cache of builds",
    "tmebox_bench/native.py:native_libc": "the cache's lock",
    "tmebox_bench/native_cxx.py:libraries": "the cache's lock",
    "tmebox_bench/native.py:publish": "the cache of builds",
    "tmebox_bench/peers.py:cffi_api": "sources in a scratch directory",
    "tmebox_bench/peers.py:copied": "memory, not a file",
    "tmebox_bench/peers.py:ctypes_library": "sources in a scratch directory",
    "tmebox_bench/heap_calls.py:_large": "memory: a call named touch",
    "tmebox_bench/applications/nbench.py:_indexes": "commands in a scratch directory",
    "tmebox_bench/native_cc.py:_write": "a preprocessed source, where its build says",
    "tmebox_bench/applications/packages.py:_build": "a tree in a scratch directory",
    "tmebox_bench/applications/packages.py:_prepared": "a tree in a scratch directory",
    "tmebox_bench/applications/packages.py:_variables": "a script in a scratch directory",
    "tmebox_bench/applications/packages.py:_write_compiler": "a script in a scratch directory",
    "tmebox_bench/servers/streams.py:_streams": "a program's input and output, in a scratch directory",
    "tmebox_bench/servers/streams.py:measure_streams": "a program's input, in a scratch directory",
    "tmebox_bench/servers/builds.py:build": "the cache of builds",
    "tmebox_bench/servers/measure.py:_start": "a log in a scratch directory",
    "tmebox_bench/servers/programs.py:_files": "a server's files in a scratch directory",
    "tmebox_bench/servers/programs.py:_prepare_lighttpd": "a server's configuration in a scratch directory",
    "tmebox_bench/servers/programs.py:_prepare_nginx": "a server's configuration in a scratch directory",
    "tmebox_bench/tme_heap.py:_cold": "memory: a call named touch",
    "tmebox_bench/variants.py:_cached": "the cache of builds",
    "tmebox_bench/wasm2c.py:to_c": "sources in a scratch directory",
    "tmebox_bench/worker.py:_run_wasm": "a temporary file without a name of the user's",
    "tmebox_bench/worker.py:main": "standard output",
    "cli/doctor.py:_gcc": "a source in a scratch directory",
    "cli/program.py:_replace": "the cache of compiled programs",
    "memory/backends/tmemk.py:device": "the driver's device",
    "driver/build.py:copy": "sources in a scratch directory",
    "driver/disk.py:_copy": "a root file system in a scratch directory",
    "driver/disk.py:_copy_library": "a root file system in a scratch directory",
    "driver/disk.py:beside": "files for a virtual machine, in a scratch directory",
    "driver/disk.py:_fill": "a root file system in a scratch directory",
    "driver/disk.py:image": "a root file system in a scratch directory",
    "cache.py:locked": "the lock of a cache",
    "driver/kernels.py:_settle": "the cache of kernels",
    "driver/machine.py:run": "a virtual machine's memory and first files, in a scratch directory",
    "driver/mutants.py:files": "sources in a scratch directory",
    "driver/packages.py:_fetch": "the cache of packages",
}
"""Every function that writes files in another way, and which. Add one only for files that no user names."""


def _writers(path: Path) -> Iterator[str]:
    """Functions of a file that open something for writing, or put something in the place of a file."""

    def visit(node: ast.AST, function: str) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from visit(child, child.name)
                continue
            if isinstance(child, ast.Call) and _writes(child):
                yield function
            yield from visit(child, function)

    yield from visit(ast.parse(path.read_text()), "<module>")


def _writes(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""
    if name in OPENING:
        strings = [item.value for item in [*call.args, *(word.value for word in call.keywords)]
                   if isinstance(item, ast.Constant) and isinstance(item.value, str)]  # fmt: skip
        flags = ast.dump(call)
        is_mode = any(set(text) <= set("rwaxbt+") and set(text) & set("wax+") for text in strings)
        return is_mode or "O_WRONLY" in flags or "O_RDWR" in flags or "O_CREAT" in flags
    if name == "replace":
        return owner == "os" or (len(call.args) == 1 and not call.keywords)
    if name in IN_MODULES and owner not in ("os", "shutil"):
        return name == "rename" and isinstance(call.func, ast.Attribute)
    return name in WRITING


def test_no_output_is_written_in_any_other_way() -> None:
    found = {
        f"{called / path.relative_to(package)}:{function}"
        for package, called in PACKAGES.items()
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[:2] != ("runtime", "system")  # a guest's files: its own rules
        for function in _writers(path)
    }
    assert found - set(WRITERS) == set()
    assert set(WRITERS) - found == set(), "no such writer any more"


@pytest.mark.parametrize(
    "text",
    ["path.write_text(x)", "open(path, 'w')", "path.open('ab')", "os.open(path, os.O_WRONLY | os.O_CREAT)",
     "os.replace(a, b)", "partial.replace(target)", "path.rename(x)", "shutil.copyfile(a, b)",
     "tempfile.NamedTemporaryFile()", "os.fdopen(3, mode='r+')"],
)  # fmt: skip
def test_the_search_for_writers_finds_them(text: str, tmp_path: Path) -> None:
    path = tmp_path / "writer.py"
    path.write_text(f"def f():\n    if x:\n        with {text} as y: pass\n")
    assert list(_writers(path)) == ["f"]
    path.write_text("def f():\n    x.replace('a', 'b'); open(path); y.copy(); replace(a, b=c)\n")
    assert list(_writers(path)) == []


# -- what it does ----------------------------------------------------------------------------------------
def device(path: Path) -> Path:
    """A device node of our own that takes everything, as /dev/null does."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        path.write_bytes(b"x")
    except PermissionError:
        pytest.skip("device nodes cannot be made or used here")
    return path


class Pipe:
    """A named pipe with a reader; `read` is what arrived."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._data = b""
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        self._data = self._path.read_bytes()

    def read(self) -> bytes:
        self._reader.join(20)
        assert not self._reader.is_alive()
        return self._data


def test_a_regular_file_appears_complete_with_the_modes_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_output(tmp_path / "a", DATA)
        write_output(tmp_path / "b", DATA, is_program=True)
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == DATA
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o750]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_keeps_its_mode_and_becomes_executable_where_it_has_to(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o604)
    write_output(path, DATA)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (DATA, 0o604)
    write_output(path, DATA, is_program=True)
    assert stat.S_IMODE(path.stat().st_mode) & 0o700 == 0o700


def test_a_device_stays_one(tmp_path: Path) -> None:
    path = device(tmp_path / "null")
    before = path.stat()
    for is_program in (False, True):
        write_output(path, DATA, is_program=is_program, replaces_links=True)
    assert path.stat().st_ino == before.st_ino and path.stat().st_mode == before.st_mode
    link = tmp_path / "link"
    link.symlink_to("null")
    write_output(link, DATA, replaces_links=True)
    assert link.is_symlink() and stat.S_ISCHR(link.stat().st_mode)


def test_a_pipe_gets_all_of_it(tmp_path: Path) -> None:
    for name in ("pipe", "link"):
        pipe = Pipe(tmp_path / "pipe")
        if name == "link":
            (tmp_path / "link").symlink_to(tmp_path / "pipe")
        write_output(tmp_path / name, DATA, is_program=True, replaces_links=True)
        assert pipe.read() == DATA
        assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
        (tmp_path / "pipe").unlink()


@pytest.mark.parametrize("before", [None, b"", b"full"])
@pytest.mark.parametrize("replaces_links", [False, True])
def test_links_are_treated_as_gcc_treats_them(
    before: bytes | None, replaces_links: bool, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    target, link, further = tmp_path / "deep" / "file", tmp_path / "deep" / "link", tmp_path / "further"
    link.symlink_to("file")
    further.symlink_to("deep/link")
    if before is not None:
        target.write_bytes(before)
    write_output(further, DATA, replaces_links=replaces_links)
    assert further.read_bytes() == DATA
    if replaces_links and before:
        assert target.read_bytes() == before and not further.is_symlink() and link.is_symlink()
    else:
        assert target.read_bytes() == DATA and further.is_symlink() and link.is_symlink()


def test_another_name_of_a_file_keeps_the_old_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    os.link(tmp_path / "a", tmp_path / "b")
    write_output(tmp_path / "a", DATA)
    assert (tmp_path / "b").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "-"])
@pytest.mark.parametrize("to", ["pipe", "file", "deleted"])
def test_standard_output_by_its_names(name: str, to: str, tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from tmebox.outputs import write_output\n"
        "sys.stdout.write('before ')\n"
        f"write_output({name!r}, b'in ' + b'x' * 100000)\n"
        "os.write(1, b' after')\n"
    )
    path = tmp_path / "file"
    with path.open("wb") if to != "pipe" else contextlib.nullcontext(subprocess.PIPE) as stdout:
        if to == "deleted":
            path.unlink()
        done = subprocess.run([sys.executable, "-c", script], stdout=stdout, check=True)
    if to == "pipe":
        assert done.stdout.replace(b"before ", b"") == b"in " + b"x" * 100000 + b" after"
    elif to == "file":
        assert b"x" * 90000 in path.read_bytes()
    assert sorted(item.name for item in tmp_path.iterdir()) == (["file"] if to == "file" else [])


def test_what_cannot_be_written_is_an_error_that_names_it_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"")
    for name in ("folder", "loop", "none/file", "file/below", "x" * 300):
        with pytest.raises(OSError) as caught:
            write_output(tmp_path / name, DATA)
        assert caught.value.filename == str(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "loop"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk."""
    script = (
        "import resource, signal, sys\n"
        "from tmebox.outputs import write_output\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_output(sys.argv[1], b'x' * 5000)\n"
    )
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=False)
    assert done.returncode == 1 and str(path) in done.stderr.decode()
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_file_in_a_directory_that_cannot_be_written_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_EXCL:
            raise PermissionError(13, "no new files here")
        return usual(path, flags, mode)

    path = tmp_path / "file"
    path.write_bytes(b"old")
    usual = os.open
    monkeypatch.setattr("os.open", refuse)
    write_output(path, DATA)
    assert path.read_bytes() == DATA
    with pytest.raises(PermissionError):
        write_output(tmp_path / "new", DATA)
