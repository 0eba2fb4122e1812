"""A program that was executed by its name: runs it as `tmebox run` does, with what it is given by default.

That is: arguments, standard streams, and files beside it that are named after it. A program `conftest` that
is started in its own directory sees the files there whose names begin with `conftest.`, and may make more of
them. It sees no others, none of the environment, and no network. `TMEBOX_RUN` holds options of `tmebox run`
that say otherwise, as `TMEBOX_RUN="--dir .:/ --timeout 5"`.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, NoReturn

from tmebox.numpy_threads import begin_none

if TYPE_CHECKING:
    import tmebox
    from tmebox.runtime.system import Directory
    from tmebox.shown import printable

OPTIONS_VARIABLE = "TMEBOX_RUN"
EXIT_FAILED, EXIT_TRAP, EXIT_USAGE = 1, 134, 2


def main() -> NoReturn:
    """Run the program that the first argument names, with the others. Ends the process."""
    if len(sys.argv) < 2:
        sys.exit("tmebox: error: this starts programs that `tmebox cc` has linked, by their names")
    begin_none()
    program, arguments = sys.argv[1], sys.argv[2:]
    options = os.environ.get(OPTIONS_VARIABLE, "")
    if options.strip():
        sys.exit(_with_options(options, program, arguments))
    sys.exit(_by_default(program, arguments))


def _with_options(options: str, program: str, arguments: list[str]) -> int:
    try:
        words = shlex.split(options)
    except ValueError as error:
        print(f"tmebox: error: {OPTIONS_VARIABLE}={options!r}: {error}", file=sys.stderr)
        return EXIT_USAGE
    sys.argv[1:] = ["run", *words, "--", program, *arguments]
    from tmebox.cli.app import main as run_command

    return run_command()


def _by_default(program: str, arguments: list[str]) -> int:
    import tmebox

    try:
        module = tmebox.Module.load(program)
        with tmebox.Sandbox(module) as sandbox:
            completed = sandbox.run(
                [program, *arguments],
                stdin=b"" if sys.stdin is None else 0,
                stdout=_drop if sys.stdout is None else 1,
                stderr=_drop if sys.stderr is None else 2,
                dirs=own_files(program),
            )
    except tmebox.Trap as trap:
        _tell(trap)
        return EXIT_TRAP
    except (tmebox.TmeboxError, OSError) as error:
        print(f"{printable(program)}: error: {printable(str(error))}", file=sys.stderr)
        return EXIT_FAILED
    return completed.exit_code


def own_files(program: str) -> list[Directory]:
    """The current directory as far as it is the program's own, if that is where it is started."""
    from tmebox.runtime.system import Directory

    directory, name = os.path.split(os.path.abspath(program))
    if directory != os.getcwd():
        return []
    return [Directory(".", "/", names=f"{name}.")]


def _drop(_: bytes) -> None:
    """Output that nobody reads."""


def _tell(trap: tmebox.Trap) -> None:
    try:
        from tmebox.cli.trap_report import show_trap
    except ImportError:  # the command line's packages are an extra
        print(f"tmebox: trap: {trap.kind}: {trap.message}", file=sys.stderr)
        for frame in trap.backtrace[:12]:
            print(f"  in {frame}", file=sys.stderr)
    else:
        show_trap(trap)


if __name__ == "__main__":
    main()
