"""The `tmebox` command. `cc`, `c++` and `ar` are handled before anything else is imported: builds start them
thousands of times, and their arguments must arrive as they were typed."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

from tmebox.numpy_threads import begin_none
from tmebox.unread import quietly

COMPILERS = ("cc", "c++", "ar")
SHELL_PACKAGES = {"rich", "typer"}
"""What the extra `cli` installs."""


def _start_fast() -> None:
    """What a short process need not do. Not in the driver, which also runs in the processes of others."""
    begin_none()
    gc.disable()


def main_cc() -> int:
    """The command `tmebox-cc`: `tmebox cc`, for who takes one word only for a compiler."""
    sys.argv.insert(1, "cc")
    return command()


def main_cxx() -> int:
    """The command `tmebox-c++`."""
    sys.argv.insert(1, "c++")
    return command()


def main_ar() -> int:
    """The command `tmebox-ar`."""
    sys.argv.insert(1, "ar")
    return command()


def command() -> int:
    """`main` where nothing else runs in the process: a compiler's ends at once, without coming back."""
    code = main()
    if sys.argv[1:2] and sys.argv[1] in COMPILERS:
        _end(code)
    return code


def main() -> int:
    """Run the command in `sys.argv` and return its exit code."""
    return quietly(_main)


def _end(code: int) -> NoReturn:
    """What is written has to arrive. To give back all objects one by one takes a tenth of a compilation."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


def _main() -> int:
    tool, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if tool in COMPILERS:
        _start_fast()
    if tool == "run":
        begin_none()
    if tool in ("cc", "c++"):
        from tmebox.toolchain.cc.driver import main_cc as compile_and_link

        return compile_and_link(arguments, is_cxx=tool == "c++")
    if tool == "ar":
        from tmebox.toolchain.cc.archive import main_ar as archive

        return archive(arguments)
    if tool == "toolchain":
        from tmebox.toolchain.cc.description import main_toolchain

        return main_toolchain(arguments)
    if sys.argv[1:] == ["--version"]:
        from tmebox._version import __version__

        print(f"tmebox {__version__}")
        return 0
    try:
        from tmebox.cli.app import main as main_app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in SHELL_PACKAGES:
            raise
        print(
            f"tmebox: error: this command needs {error.name}, which is an extra: pip install 'tmebox[cli]' "
            "(`tmebox cc`, `tmebox c++` and `tmebox ar` work without it)",
            file=sys.stderr,
        )
        return 1
    return main_app()


if __name__ == "__main__":
    sys.exit(command())
