"""Each wheel in `dist`, installed as a stranger would, on each Python here. `make wheels` runs this."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tmebox.toolchain.libc.libc import KEYS

ROOT = Path(__file__).parents[2]
DIST = ROOT / "dist"
PYTHONS = subprocess.run(
    [sys.executable, ROOT / "tools" / "pythons.py"], capture_output=True, text=True, check=True
).stdout.split()
WHEELS = sorted(DIST.glob("*.whl"))
FIRST_MINUTE = Path(__file__).parent / "first_minute.py"

pytestmark = pytest.mark.packaging


class Environment:
    """A virtual environment with a cache directory of its own. Only pip has the user's."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.empty = folder / "empty"
        self.empty.mkdir()
        self.run([ROOT / "tools" / "make-venv", folder / "venv"], PYTHON=python)

    def python(self, *arguments: str | Path, **variables: Any) -> subprocess.CompletedProcess[str]:
        return self.run([self.folder / "venv" / "bin" / "python", *arguments], **variables)

    def install(self, *requirements: str) -> None:
        self.python("-m", "pip", "-q", "install", *requirements, XDG_CACHE_HOME="")

    def tmebox(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run([self.folder / "venv" / "bin" / "tmebox", *arguments], status)

    def run(
        self, command: list[str | Path], status: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "XDG"))
        }
        environment |= {"XDG_CACHE_HOME": str(self.empty), **variables}
        done = subprocess.run(
            command, cwd=self.empty, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def wheel_for(python: str) -> Path:
    tag = subprocess.run(
        [python, "-c", "import sys; print(f'cp{sys.version_info[0]}{sys.version_info[1]}')"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (wheel,) = DIST.glob(f"*-{tag}-{tag}-*.whl")
    return wheel


@pytest.mark.parametrize("python", PYTHONS)
def test_a_fresh_environment_gets_its_first_result_and_builds_nothing(
    python: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment, wheel = Environment(tmp_path, python), wheel_for(python)
    started = time.monotonic()
    environment.install(f"{wheel}[cc]")
    installed = time.monotonic()
    told = environment.python(FIRST_MINUTE).stdout
    with capsys.disabled():
        print(f"\n{python}: installed in {installed - started:.1f} s, {told.strip()}")
    # What the libraries' names are made of is kept, so that it is read once; the libraries are not.
    kept = [path.relative_to(environment.empty) for path in environment.empty.rglob("*") if path.is_file()]
    keys = Path("tmebox", KEYS)
    assert all(path.parent == keys for path in kept), f"what was shipped does not fit: {kept}"
    missing = environment.tmebox("doctor", status=1)
    assert "pip install 'tmebox[cli]'" in missing.stderr and missing.stderr.count("\n") == 1
    environment.tmebox("--version")


def test_the_core_alone_runs_modules_and_says_what_compiling_needs(tmp_path: Path) -> None:
    environment = Environment(tmp_path, PYTHONS[-1])
    environment.install(str(wheel_for(PYTHONS[-1])))
    told = environment.python(
        "-c",
        "import tmebox\n"
        "try: tmebox.compile(source_text='int f(void) { return 1; }')\n"
        "except tmebox.CompileError as error: print(error)",
    ).stdout
    assert "pip install 'tmebox[cc]'" in told
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tmebox",
            "cc",
            ROOT / "examples" / "blur.c",
            "-o",
            environment.empty / "blur.tbx",
        ],
        check=True,
    )
    code = "import tmebox; tmebox.Sandbox(tmebox.Module.load('blur.tbx')).close(); print('loaded')"
    assert environment.python("-c", code).stdout == "loaded\n"


def test_untrusted_python_runs_with_the_guest_that_the_wheel_brings(tmp_path: Path) -> None:
    """Without a compiler, and verified there as any module is."""
    environment = Environment(tmp_path, PYTHONS[0])
    environment.install(str(wheel_for(PYTHONS[0])))
    code = "from tmebox.python import Python\nwith Python() as python: print(python.run('sum(range(10))'))"
    assert environment.python("-c", code).stdout == "45\n"
    assert list(environment.empty.iterdir()) == []


def test_all_wheels_bring_one_guest() -> None:
    guests = set()
    for wheel in WHEELS:
        with zipfile.ZipFile(wheel) as archive:
            guests.add(archive.read("tmebox/python/shipped/micropython.tbx"))
            assert archive.read("tmebox/python/shipped/LICENSE.micropython")
    assert len(guests) == 1


def test_the_shell_works_with_its_extra(tmp_path: Path) -> None:
    environment = Environment(tmp_path, PYTHONS[0])
    environment.install(f"{wheel_for(PYTHONS[0])}[cc,cli]")
    environment.tmebox("doctor")
    assert "Hello, World" in environment.tmebox("run", str(ROOT / "examples" / "hello.c"), "World").stdout


def test_the_source_distribution_builds_in_a_fresh_environment(tmp_path: Path) -> None:
    environment = Environment(tmp_path, PYTHONS[-1])
    (sdist,) = DIST.glob("*.tar.gz")
    environment.install(f"{sdist}[cc]")
    code = "import tmebox; module = tmebox.compile(source_text='int add(int a, int b) { return a + b; }')\n"
    code += "with tmebox.Sandbox(module) as sandbox: print(sandbox.add(2, 3))"
    assert environment.python("-c", code).stdout == "5\n"


@pytest.mark.parametrize("wheel", WHEELS, ids=lambda path: path.name.split("-")[2])
def test_a_wheel_is_portable_and_tells_nothing_of_where_it_was_built(wheel: Path) -> None:
    assert "manylinux_2_17_x86_64" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        contents = {name: archive.read(name) for name in names}
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tmebox"}
    places = [str(ROOT).encode(), os.fsencode(Path.home()) + b"/", b"/tmp/tmebox"]
    for name, data in contents.items():
        assert not any(place in data for place in places), name
    assert {"LICENSE", "NOTICE"} <= {name.rpartition("/")[2] for name in names}
    assert sum(name.endswith("/libc.a") for name in names) == 2
    assert sum(name.endswith("/libc++.a") for name in names) == 2
    for notice in ("musl-COPYRIGHT", "libcxx-LICENSE", "libcxxabi-LICENSE", "libunwind-LICENSE"):
        assert any(name.endswith(f"shipped/{notice}") for name in names), notice
