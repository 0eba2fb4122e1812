"""`tmebox pack`: wheels of boxed libraries: the same bytes each time, and no compiler where they go."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tmebox import _native
from tmebox.binding.bind import bind
from tmebox.binding.pack import wheel_of
from tmebox.binding.package import BUILD, MODULE, write_package
from tmebox.binding.shown import show
from tmebox.cli.app import main
from tmebox.modulefile import codec

ROOT = Path(__file__).parents[2]
HEADER = """
#include <stddef.h>
#define PACKED_SIZE 4
size_t packed(const char *text);
const char *packed_where(void);
"""
SOURCE = '#include "packed.h"\n#include <string.h>\nsize_t packed(const char *t) { return strlen(t); }\n' + (
    "const char *packed_where(void) { return __FILE__; }\n"
)


def library(directory: Path) -> Path:
    """A source tree with a folder, and its package beside it."""
    (directory / "lib" / "deep").mkdir(parents=True)
    (directory / "lib" / "configure").touch()
    (directory / "lib" / "deep" / "packed.h").write_text(HEADER)
    (directory / "lib" / "deep" / "packed.c").write_text(SOURCE)
    bound = bind(directory / "lib/deep/packed.h", [directory / "lib/deep"], "packed_box", defines=["A=1"])
    write_package(bound, directory / "packed_box")
    return directory / "packed_box"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp("packed"))


def test_a_wheel_built_elsewhere_and_later_has_the_same_bytes(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = library(tmp_path / "quite" / "elsewhere" / "with a space")
    for number, path in enumerate(sorted(other.iterdir())):
        os.utime(path, (time.time() + 1e6 * number,) * 2)
        path.chmod(0o600)
    (other / "__pycache__").mkdir()
    (other / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert wheel_of(package, "1.2") == wheel_of(other, "1.2")
    assert wheel_of(package, "1.2")[1] != wheel_of(package, "1.3")[1]


def test_no_path_of_the_machine_is_in_a_package(package: Path) -> None:
    files = b"".join(path.read_bytes() for path in package.iterdir())
    for secret in (package.parent, ROOT, Path(sys.prefix), Path.home()):
        assert str(secret).encode() not in files, secret
    with tmebox.Box(tmebox.Module.load(package / MODULE)) as box:
        assert box.packed_where() == "packed_box/deep/packed.c"


def test_the_build_is_recorded(package: Path) -> None:
    record = json.loads((package / BUILD).read_text())
    assert record["compiler"].startswith("clang ") and record["options"] == ["-O2", "-DA=1"]
    assert set(record["files"]) == {"packed_box/deep/packed.c", "packed_box/deep/packed.h"}
    assert record["module"] == codec.digest(tmebox.Module.load(package / MODULE).file)


CLEAN = """
import sys
sys.modules["ziglang"] = sys.modules["typing_extensions"] = None
import packed_box
with packed_box.open(memory="16MiB") as box:
    print(box.packed("four"), packed_box.PACKED_SIZE, packed_box.__file__.startswith(sys.prefix))
assert not any(name.startswith("tmebox.toolchain") for name in sys.modules)
"""


def test_a_wheel_installs_and_runs_in_a_clean_environment_without_a_compiler(
    package: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    name, wheel = wheel_of(package, "1.2")
    (tmp_path / name).write_bytes(wheel)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", str(tmp_path / name)], check=True)
    here = os.pathsep.join(path for path in sys.path if path)  # where tmebox and NumPy are
    environment = {**os.environ, "PYTHONPATH": here}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [str(python), *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert run("-c", CLEAN) == "4 4 True\n"
    said = run("-m", "packed_box")
    assert "packed_box: verified" in said and "2 functions" in said and "-O2 -DA=1" in said
    assert "needs no more than x86-64" in said and "as recorded" in said
    assert "size_t packed(const char *text)" in said
    show = [word for word in pip if word != "-q"] + ["show", "packed_box"]
    listed = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    assert "Version: 1.2" in listed and "Requires: tmebox" in listed


def test_every_file_is_recorded_with_its_digest(package: Path, tmp_path: Path) -> None:
    (tmp_path / "COPYING").write_text("do as you like")
    name, wheel = wheel_of(package, "1.2", [tmp_path / "COPYING"])
    assert name == "packed_box-1.2-py3-none-any.whl"
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        names = archive.namelist()
        record = archive.read("packed_box-1.2.dist-info/RECORD").decode().splitlines()
        assert b"License-File: COPYING" in archive.read("packed_box-1.2.dist-info/METADATA")
    assert [line.split(",")[0] for line in record] == names
    assert "packed_box-1.2.dist-info/licenses/COPYING" in names and "packed_box/py.typed" in names


def altered(package: Path, directory: Path) -> Path:
    return Path(shutil.copytree(package, directory / "packed_box"))


def test_what_is_no_package_of_ours_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(tmebox.ModuleError, match="no version"):
        wheel_of(package, "one")
    (tmp_path / "empty").mkdir()
    with pytest.raises(tmebox.ModuleError, match="no package that"):
        wheel_of(tmp_path / "empty", "1")
    linked = altered(package, tmp_path / "linked")
    (linked / "secret").symlink_to("/etc/passwd")
    with pytest.raises(tmebox.ModuleError, match="is no file"):
        wheel_of(linked, "1")
    other = altered(package, tmp_path / "other")
    module = tmebox.compile(source_text="int f(void) { return 1; }")
    (other / MODULE).write_bytes(module.to_bytes())
    with pytest.raises(tmebox.ModuleError, match="not the module that"):
        wheel_of(other, "1")
    (other / BUILD).write_text("[1")
    with pytest.raises(tmebox.ModuleError, match="not a record"):
        wheel_of(other, "1")


def test_a_stub_that_was_changed_is_not_packed_and_is_told(package: Path, tmp_path: Path) -> None:
    changed = altered(package, tmp_path)
    with (changed / "__init__.py").open("a") as file:
        file.write("print('hello')\n")
    with pytest.raises(tmebox.ModuleError, match="not as `tmebox bind` wrote it"):
        wheel_of(changed, "1")
    code, said = told(tmp_path)
    assert code == 0 and "__init__.py: NOT as it was written" in said and "__main__.py" not in said


@pytest.mark.parametrize(
    "name", ["a\nRequires-Dist: evil", 'a"b', "..\\..\\evil.py", "a,b", "\u202eyp.a", " ", "-x"]
)
def test_names_that_say_more_than_a_name_are_refused(package: Path, tmp_path: Path, name: str) -> None:
    hostile = altered(package, tmp_path / "file")
    (hostile / name).write_text("x")
    with pytest.raises(tmebox.ModuleError, match="plain names"):
        wheel_of(hostile, "1")
    (tmp_path / name).write_text("do as you like")
    with pytest.raises(tmebox.ModuleError, match="plain names"):
        wheel_of(package, "1", [tmp_path / name])
    with pytest.raises(tmebox.ModuleError, match="no name of a package"):
        wheel_of(Path(shutil.copytree(package, tmp_path / "directory" / name)), "1")
    with pytest.raises(tmebox.ModuleError, match="no version"):
        wheel_of(package, f"1{name}")


def test_two_licenses_of_one_name_are_refused(package: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "COPYING").write_text(folder)
    with pytest.raises(tmebox.ModuleError, match="no two the same"):
        wheel_of(package, "1", [tmp_path / "one" / "COPYING", tmp_path / "two" / "COPYING"])


def test_a_module_for_another_processor_is_told(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What code needs is found in the code, whatever the files beside it say."""
    (tmp_path / "wide.h").write_text("void wide(float *to);\n")
    (tmp_path / "wide.c").write_text("void wide(float *to) { for (int i = 0; i < 64; i++) to[i] += 1; }\n")
    write_package(bind(tmp_path / "wide.h", [tmp_path], "wide_box", flags=["-mavx2"]), tmp_path / "wide_box")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wide_box", raising=False)
    here = _native.cpu_features()
    monkeypatch.setattr(_native, "cpu_features", lambda: dict.fromkeys(here, False))
    assert show("wide_box") == 1
    assert "the module needs CPU features this machine lacks: avx" in capsys.readouterr().err


def test_code_that_does_not_verify_is_never_packed(package: Path, tmp_path: Path) -> None:
    broken = altered(package, tmp_path)
    file = tmebox.Module.load(package / MODULE).file
    data = bytearray((package / MODULE).read_bytes())
    place = data.index(file.text[:64])
    data[place : place + 64] = b"\x0f\x05" * 32  # syscall
    (broken / MODULE).write_bytes(data)
    with pytest.raises(tmebox.VerificationError):
        wheel_of(broken, "1")


def test_the_command(package: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        sys, "argv", ["tmebox", "pack", str(package), "--version", "2.0", "-o", str(tmp_path / "dist")]
    )
    assert main() == 0
    assert "packed_box-2.0-py3-none-any.whl: " in capsys.readouterr().out
    assert (tmp_path / "dist" / "packed_box-2.0-py3-none-any.whl").is_file()


def told(directory: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "packed_box"], cwd=directory, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


RECORDS = {
    '{"files": [], "options": 3}': "how it was built is not recorded",
    "[" * 9000: "how it was built is not recorded",
    '{"files": {}, "options": ["\\u001b[31m"], "compiler": {"a": 1}, "module": "x"}': "NOT the one that",
}


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_not_believed(package: Path, tmp_path: Path, record: str) -> None:
    (altered(package, tmp_path) / BUILD).write_text(record)
    code, said = told(tmp_path)
    assert code == 0 and RECORDS[record] in said and "packed_box: verified" in said
    assert "\x1b" not in said


def test_what_does_not_verify_is_told(package: Path, tmp_path: Path) -> None:
    changed = altered(package, tmp_path)
    data = bytearray((changed / MODULE).read_bytes())
    place = data.index(tmebox.Module.load(package / MODULE).file.text[:64])
    data[place : place + 64] = b"\x0f\x05" * 32
    (changed / MODULE).write_bytes(data)
    code, said = told(tmp_path)
    assert code == 1 and "packed_box: " in said and "Traceback" not in said
