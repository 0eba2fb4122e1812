"""`tmebox toolchain`: what build systems have to be told to build with `tmebox cc` and `tmebox ar`."""

from __future__ import annotations

import shlex
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tmebox.errors import TmeboxError
from tmebox.outputs import write_output

NAME = "tmebox toolchain"
USAGE = f"""usage: {NAME} --env | --cmake FILE | --meson FILE

  --env         print variables for a shell: eval "$({NAME} --env)"; ./configure; make
  --cmake FILE  write a toolchain file: cmake -DCMAKE_TOOLCHAIN_FILE=FILE …
  --meson FILE  write a native file: meson setup --native-file FILE …
FILE may be - for standard output."""

_NOTHING = "true"
"""The command for what need not be done: our archiver indexes by itself, and modules are not stripped."""


class ToolchainError(TmeboxError):
    """It cannot be described."""


def main_toolchain(argv: Sequence[str]) -> int:
    """Run `tmebox toolchain` with these arguments; returns the exit code."""
    try:
        match [part for word in argv for part in word.split("=", 1)]:
            case ["--env"]:
                print(environment(), end="")
            case ["--cmake", file]:
                write_output(file, cmake().encode())
            case ["--meson", file]:
                write_output(file, meson().encode())
            case ["-h" | "--help"]:
                print(USAGE)
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except (TmeboxError, OSError) as error:
        print(f"{NAME}: error: {error}", file=sys.stderr)
        return 1
    return 0


def environment() -> str:
    """Assignments for a shell."""
    variables = {
        "CC": _tool("tmebox-cc"),
        "CXX": _tool("tmebox-c++"),
        "AR": _tool("tmebox-ar"),
        "RANLIB": _NOTHING,
        "STRIP": _NOTHING,
        "CC_FOR_BUILD": shutil.which("cc") or "cc",
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def cmake() -> str:
    """A toolchain file. The system is not named: CMake would take it for another one, and run nothing."""
    nothing = _tool(_NOTHING)
    return "\n".join(
        [
            "# Written by `tmebox toolchain --cmake`.",
            f"set(CMAKE_C_COMPILER {_quoted(_tool('tmebox-cc'))})",
            f"set(CMAKE_CXX_COMPILER {_quoted(_tool('tmebox-c++'))})",
            f'set(CMAKE_AR {_quoted(_tool("tmebox-ar"))} CACHE FILEPATH "")',
            f'set(CMAKE_C_COMPILER_AR {_quoted(_tool("tmebox-ar"))} CACHE FILEPATH "")',
            f'set(CMAKE_CXX_COMPILER_AR {_quoted(_tool("tmebox-ar"))} CACHE FILEPATH "")',
            f'set(CMAKE_RANLIB {_quoted(nothing)} CACHE FILEPATH "")',
            f'set(CMAKE_C_COMPILER_RANLIB {_quoted(nothing)} CACHE FILEPATH "")',
            f'set(CMAKE_CXX_COMPILER_RANLIB {_quoted(nothing)} CACHE FILEPATH "")',
            f'set(CMAKE_STRIP {_quoted(nothing)} CACHE FILEPATH "")',
            "set(CMAKE_POSITION_INDEPENDENT_CODE OFF)",
            'set(BUILD_SHARED_LIBS OFF CACHE BOOL "")',
            "set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)",
            "",
        ]
    )


def meson() -> str:
    """A native file: what is built can be run here."""
    return "\n".join(
        [
            "# Written by `tmebox toolchain --meson`.",
            "[binaries]",
            f"c = {_quoted(_tool('tmebox-cc'), mark=chr(39))}",
            f"cpp = {_quoted(_tool('tmebox-c++'), mark=chr(39))}",
            f"ar = {_quoted(_tool('tmebox-ar'), mark=chr(39))}",
            f"strip = {_quoted(_tool(_NOTHING), mark=chr(39))}",
            "",
            "[built-in options]",
            "default_library = 'static'",
            "b_staticpic = false",
            "b_pie = false",
            "b_lundef = false",
            "",
        ]
    )


def _tool(name: str) -> str:
    """The path of a command, of ours beside the Python that runs. Raises ToolchainError."""
    beside = Path(sysconfig.get_path("scripts"), name)
    if name.startswith("tmebox-") and beside.exists():
        return str(beside)
    found = shutil.which(name)
    if found is None:
        raise ToolchainError(f"there is no command {name}: install tmebox with pip, which makes it")
    return found


def _quoted(text: str, mark: str = '"') -> str:
    """As CMake and Meson have strings."""
    return mark + text.replace("\\", "\\\\").replace(mark, f"\\{mark}") + mark
